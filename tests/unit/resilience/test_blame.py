"""Whose fault it is when calls fail: the model's, or that of a caller who sends only poison."""

from inferd.resilience.blame import IN_A_ROW, REMEMBERED, Blame


def failures(it: Blame, caller: str, times: int) -> list[bool]:
    return [it.is_callers(caller) for _ in range(times)]


def test_the_first_failures_are_the_models() -> None:
    it = Blame()
    it.answered("other")

    assert failures(it, "bad", IN_A_ROW) == [False] * IN_A_ROW


def test_who_only_fails_while_others_are_answered_is_to_blame_himself() -> None:
    it = Blame()
    failures(it, "bad", 1)
    it.answered("other")

    assert failures(it, "bad", IN_A_ROW) == [False] * (IN_A_ROW - 1) + [True]


def test_while_nobody_is_answered_it_is_the_model() -> None:
    it = Blame()
    it.answered("other")

    assert failures(it, "bad", 10) == [False] * 10


def test_one_answer_makes_a_caller_credible_again() -> None:
    it = Blame()
    failures(it, "bad", IN_A_ROW)
    it.answered("other")
    it.answered("bad")

    assert it.nobody
    assert failures(it, "bad", IN_A_ROW) == [False] * IN_A_ROW


def test_callers_are_forgotten_in_their_favour_when_there_are_too_many() -> None:
    it = Blame()
    failures(it, "first", IN_A_ROW)
    for at in range(REMEMBERED):
        it.is_callers(at)
    it.answered("other")

    assert not it.is_callers("first")
