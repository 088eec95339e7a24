"""Lists that are given again."""

import pytest

from inferd.config.recommendation.cache import AnswerCache as Settings
from inferd.resilience.degradation import Degradation
from inferd.services.recommendation.answer_cache import AnswerCache, Key
from inferd.services.recommendation.making import Entry, Listed, Made
from inferd.services.recommendation.tuning import UNTUNED

KEY = Key("u1", 1, ("home",), (), 10, UNTUNED, ("trees/1",), 7)
LIST = Listed((Entry("i1", 0.5, "for_you"),), Made.COMPUTED, 7)


def cache(**settings: float) -> AnswerCache:
    return AnswerCache(Settings.model_validate(settings))


def test_what_was_kept_is_given_again_to_who_asks_for_the_same() -> None:
    answers = cache()
    assert answers.get(KEY, 1.0) is None

    answers.put(KEY, LIST, begun=1.0, now=2.0)

    assert answers.get(KEY, 2.0) is LIST
    assert (answers.hits, answers.misses) == (1, 1)


def test_defect_15_nothing_that_is_kept_is_of_one_call_only() -> None:
    """A hit cannot carry an old request id, latency or arm: there is no place for them."""
    own = {"request_id", "latency_ms", "latency", "time_us", "arms", "arm", "experiments"}

    assert not own & {*Listed._fields, *Entry._fields, *Key._fields}


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(user_id="u2"),
        KEY._replace(stamp=2),
        KEY._replace(context=("cart",)),
        KEY._replace(wanted=("cheap",)),
        KEY._replace(length=11),
        KEY._replace(tuning=UNTUNED._replace(diversity=0.5)),
        KEY._replace(models=("trees/2",)),
        KEY._replace(epoch=8),
    ],
)
def test_whatever_makes_a_difference_to_a_list_makes_another_request(other: Key) -> None:
    answers = cache()
    answers.put(KEY, LIST, begun=1.0, now=2.0)

    assert answers.get(other, 2.0) is None


def test_what_a_user_does_takes_their_answers_away_and_nobody_elses() -> None:
    answers = cache()
    mine, other = (KEY, KEY._replace(length=5)), KEY._replace(user_id="u2")
    for key in (*mine, other):
        answers.put(key, LIST, begun=1.0, now=2.0)

    answers.forget("u1", 3.0)

    assert [answers.get(key, 3.0) for key in mine] == [None, None]
    assert answers.get(other, 3.0) is LIST


def test_what_was_begun_before_a_user_did_something_is_not_kept_after_it() -> None:
    answers = cache()
    answers.forget("u1", 1.5)

    answers.put(KEY, LIST, begun=1.0, now=2.0)
    answers.put(KEY._replace(user_id="u2"), LIST, begun=1.0, now=2.0)

    assert answers.get(KEY, 2.0) is None
    assert answers.get(KEY._replace(user_id="u2"), 2.0) is LIST


def test_what_was_begun_after_it_is() -> None:
    answers = cache()
    answers.forget("u1", 1.5)

    answers.put(KEY, LIST, begun=1.6, now=2.0)

    assert answers.get(KEY, 2.0) is LIST


def test_what_is_degraded_is_not_kept() -> None:
    answers = cache()
    degraded = LIST._replace(degradations=(Degradation("trees", "none", "TIMED_OUT"),))

    answers.put(KEY, degraded, begun=1.0, now=2.0)

    assert answers.get(KEY, 2.0) is None


def test_an_answer_is_over_after_its_time_whatever_else_its_user_has_asked() -> None:
    answers, later = cache(ttl_s=10), KEY._replace(length=5)
    answers.put(KEY, LIST, begun=0.0, now=0.0)
    answers.put(later, LIST, begun=9.0, now=9.0)

    assert answers.get(KEY, 9.9) is LIST
    assert answers.get(KEY, 10.0) is None
    assert answers.get(later, 10.0) is LIST
    before = answers.bytes
    answers.put(KEY._replace(length=11), LIST, begun=10.0, now=10.0)
    assert answers.bytes == before  # what was over has left


def test_without_time_nothing_is_kept() -> None:
    answers = cache(ttl_s=0)

    answers.put(KEY, LIST, begun=0.0, now=0.0)

    assert answers.get(KEY, 0.0) is None


def test_of_many_requests_of_one_user_the_oldest_leaves() -> None:
    answers = cache(max_per_user=2)
    keys = [KEY._replace(length=length) for length in (1, 2, 3)]
    for key in keys:
        answers.put(key, LIST, begun=1.0, now=2.0)

    assert [answers.get(key, 2.0) is not None for key in keys] == [False, True, True]


def test_all_answers_together_stay_within_their_bytes() -> None:
    answers = cache(max_bytes=10_000)

    for number in range(50):
        key = KEY._replace(user_id=f"u{number}")
        answers.put(key, LIST, begun=1.0, now=2.0)
        assert answers.bytes <= 10_000

    assert answers.bytes > 5_000


def test_what_is_looked_at_in_a_session_counts_for_the_bytes_too() -> None:
    answers = cache()

    answers.put(KEY._replace(context=("x" * 5000,)), LIST, begun=1.0, now=2.0)

    assert answers.bytes > 5000
