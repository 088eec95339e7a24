from inferd.resilience.stale import LastAnswers, Stale


def remembering(max_entries: int = 3, max_age_s: float = 10.0) -> LastAnswers[str]:
    return LastAnswers(max_entries=max_entries, max_age_s=max_age_s)


def test_an_answer_of_before_comes_with_its_age() -> None:
    answers = remembering()
    answers.put("user", "old", 1.0)
    answers.put("user", "new", 2.0)

    assert answers.get("user", 5.0) == Stale("new", 3.0)
    assert len(answers) == 1


def test_what_was_never_answered_is_not_known() -> None:
    assert remembering().get("user", 1.0) is None


def test_what_is_too_old_is_forgotten() -> None:
    answers = remembering(max_age_s=10.0)
    answers.put("user", "it", 0.0)

    assert answers.get("user", 10.0) is not None
    assert answers.get("user", 10.1) is None
    assert len(answers) == 0


def test_the_question_answered_longest_ago_makes_room() -> None:
    answers = remembering(max_entries=2)
    for now, key in enumerate("abac"):
        answers.put(key, key, now)

    assert len(answers) == 2
    assert answers.get("b", 4.0) is None
    assert answers.get("a", 4.0) == Stale("a", 2.0)
