"""Lists that are given again."""

import asyncio
from dataclasses import dataclass, field

import pytest

from inferd.config.recommendation.cache import AnswerCache as Settings
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed
from inferd.resilience.degradation import Degradation
from inferd.services.recommendation.answer_cache import (
    Answer,
    AnswerCache,
    Kept,
    Key,
    Listed,
    Stamp,
)

FAR = Deadline(1e9)
KEY = Key("u1", 1, ("home",), (), 10, (), ("trees/1",), 7)


def listed(name: str = "i1") -> Kept:
    return Kept((Listed(name, 0.5, "for_you"),), 1)


def now() -> float:
    return asyncio.get_running_loop().time()


def cache(**settings: float) -> AnswerCache:
    return AnswerCache(Settings.model_validate(settings), clock=now)


@dataclass
class Maker:
    """Makes a list, and counts how often."""

    takes_s: float = 1.0
    kept: Kept = field(default_factory=listed)
    error: Exception | None = None
    made: int = 0

    async def __call__(self, deadline: Deadline) -> Kept:
        self.made += 1
        await asyncio.sleep(self.takes_s)
        if self.error is not None:
            raise self.error
        return self.kept


async def test_the_second_of_two_equal_requests_is_answered_with_what_was_kept() -> None:
    answers, make = cache(), Maker()

    first = await answers.answer(KEY, FAR, make)
    second = await answers.answer(KEY, FAR, make)

    assert (first, second, make.made) == ((listed(), False), (listed(), True), 1)


async def test_defect_15_a_hit_has_the_request_id_the_latency_and_the_arms_of_its_own_call() -> (
    None
):
    answers, make = cache(), Maker()

    async def call(request_id: str, arms: dict[str, str]) -> Answer:
        begun = now()
        kept, is_cached = await answers.answer(KEY, FAR, make)
        stamp = Stamp(request_id, 1e3 * (now() - begun), int(1e6 * now()), arms)
        return Answer(kept, stamp, is_cached)

    first = await call("first", {"colours": "a"})
    await asyncio.sleep(5)
    second = await call("second", {"colours": "b"})

    assert second.is_cached
    assert second.kept is first.kept
    assert first.stamp == ("first", 1000.0, 1_000_000, {"colours": "a"})
    assert second.stamp == ("second", 0.0, 6_000_000, {"colours": "b"})
    # Nor could it be otherwise: what is kept has no place for them.
    assert not {*Kept._fields} & {*Stamp._fields}


@pytest.mark.parametrize(
    "other",
    [
        KEY._replace(user_id="u2"),
        KEY._replace(stamp=2),
        KEY._replace(context=("cart",)),
        KEY._replace(wanted=("cheap",)),
        KEY._replace(length=11),
        KEY._replace(parameters=(("diversity", 0.5),)),
        KEY._replace(models=("trees/2",)),
        KEY._replace(epoch=8),
    ],
)
async def test_whatever_makes_a_difference_to_a_list_makes_another_request(other: Key) -> None:
    answers, make = cache(), Maker()
    await answers.answer(KEY, FAR, make)

    _, is_cached = await answers.answer(other, FAR, make)

    assert not is_cached
    assert make.made == 2


async def test_what_a_user_does_takes_their_answers_away_and_nobody_elses() -> None:
    answers, make = cache(), Maker()
    other = KEY._replace(user_id="u2")
    for key in (KEY, KEY._replace(length=5), other):
        await answers.answer(key, FAR, make)

    answers.forget("u1")

    assert answers.get(KEY, now()) is answers.get(KEY._replace(length=5), now()) is None
    assert answers.get(other, now()) == listed()


async def test_what_was_begun_before_a_user_did_something_is_not_kept_after_it() -> None:
    answers, make = cache(), Maker()
    under_way = asyncio.create_task(answers.answer(KEY, FAR, make))
    await asyncio.sleep(0.5)

    answers.forget("u1")

    assert await under_way == (listed(), False)
    assert answers.get(KEY, now()) is None


async def test_who_asks_after_doing_something_does_not_wait_for_a_list_of_before() -> None:
    answers, before, after = cache(), Maker(), Maker(kept=listed("other"))
    under_way = asyncio.create_task(answers.answer(KEY, FAR, before))
    await asyncio.sleep(0.5)
    answers.forget("u1")
    await asyncio.sleep(0.1)

    assert await answers.answer(KEY, FAR, after) == (listed("other"), False)
    assert answers.get(KEY, now()) == listed("other")
    await under_way


async def test_those_who_ask_at_the_same_time_wait_for_one_list() -> None:
    answers, make = cache(), Maker()

    given = await asyncio.gather(*(answers.answer(KEY, FAR, make) for _ in range(5)))

    assert given == [(listed(), False)] * 5
    assert make.made == 1


async def test_the_first_may_leave_and_the_others_get_their_list() -> None:
    answers, make = cache(), Maker()
    first, second = (asyncio.create_task(answers.answer(KEY, FAR, make)) for _ in range(2))
    await asyncio.sleep(0.5)

    first.cancel()

    assert await second == (listed(), False)
    assert make.made == 1


async def test_what_fails_is_not_kept() -> None:
    answers, make = cache(), Maker(error=DependencyFailed("no"))

    with pytest.raises(DependencyFailed):
        await answers.answer(KEY, FAR, make)

    make.error = None
    assert await answers.answer(KEY, FAR, make) == (listed(), False)


async def test_what_is_degraded_is_not_kept() -> None:
    degraded = listed()._replace(degradations=(Degradation("trees", "none", "TIMED_OUT"),))
    answers, make = cache(), Maker(kept=degraded)
    await answers.answer(KEY, FAR, make)

    assert await answers.answer(KEY, FAR, make) == (degraded, False)


async def test_an_answer_is_over_after_its_time_whatever_else_its_user_has_asked() -> None:
    answers, make = cache(ttl_s=10), Maker()
    await answers.answer(KEY, FAR, make)
    await asyncio.sleep(9)
    await answers.answer(KEY._replace(length=5), FAR, make)
    await asyncio.sleep(1)

    assert answers.get(KEY, now()) is None
    assert answers.get(KEY._replace(length=5), now()) == listed()


async def test_of_many_requests_of_one_user_the_oldest_leaves() -> None:
    answers, make = cache(max_per_user=2), Maker()
    keys = [KEY._replace(length=length) for length in (1, 2, 3)]
    for key in keys:
        await answers.answer(key, FAR, make)

    assert [answers.get(key, now()) is not None for key in keys] == [False, True, True]


async def test_all_answers_together_stay_within_their_bytes() -> None:
    answers, make = cache(max_bytes=10_000), Maker()

    for number in range(50):
        await answers.answer(KEY._replace(user_id=f"u{number}"), FAR, make)
        assert answers.bytes <= 10_000

    assert answers.bytes > 5_000


async def test_what_is_looked_at_in_a_session_counts_for_the_bytes_too() -> None:
    answers, make = cache(), Maker()
    await answers.answer(KEY._replace(context=("x" * 5000,)), FAR, make)

    assert answers.bytes > 5000
