"""Many reads, one command, in virtual time."""

import asyncio
from collections.abc import Sequence

import pytest

from inferd.cache.coalesced import Coalesced
from inferd.errors import DependencyFailed
from support.feature_stores import a_histogram


class Slow:
    """Answers each key with its name, after a second, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.cancelled = 0
        self.error: Exception | None = None

    async def __call__(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        self.asked.append([*keys])
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return [None if key == "nobody" else key.encode() for key in keys]


def coalesced(fetch: Slow, most: int = 100) -> Coalesced[str, bytes]:
    return Coalesced(fetch, most=most, sizes=a_histogram())


async def left(task: "asyncio.Task[object]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_is_asked_in_one_turn_is_asked_once() -> None:
    fetch = Slow()
    reads = coalesced(fetch)

    answers = await asyncio.gather(
        reads.get(["a", "b"]), reads.get(["b", "nobody"]), reads.get(["a"]), reads.get([])
    )

    assert [*answers] == [[b"a", b"b"], [b"b", None], [b"a"], []]
    assert fetch.asked == [["a", "b", "nobody"]]


async def test_who_comes_later_does_not_wait_for_those_before() -> None:
    fetch = Slow()
    reads = coalesced(fetch)

    first = asyncio.ensure_future(reads.get(["a"]))
    await asyncio.sleep(0.5)
    await asyncio.gather(first, reads.get(["b"]))

    assert fetch.asked == [["a"], ["b"]]
    assert asyncio.get_running_loop().time() == pytest.approx(1.5)


async def test_more_than_a_command_may_have_are_asked_by_several_at_once() -> None:
    fetch = Slow()

    answer = await coalesced(fetch, most=2).get([*"abcde"])

    assert answer == [*map(str.encode, "abcde")]
    assert fetch.asked == [["a", "b"], ["c", "d"], ["e"]]
    assert asyncio.get_running_loop().time() == pytest.approx(1)


async def test_what_fails_fails_for_all_who_asked_and_nobody_else() -> None:
    fetch = Slow()
    fetch.error = DependencyFailed("down")
    reads = coalesced(fetch)

    errors = await asyncio.gather(reads.get(["a"]), reads.get(["b"]), return_exceptions=True)
    fetch.error = None

    assert [str(each) for each in errors] == ["down", "down"]
    assert errors[0] is not errors[1]
    assert await reads.get(["a"]) == [b"a"]


async def test_who_leaves_takes_nothing_from_the_others() -> None:
    fetch = Slow()
    reads = coalesced(fetch)
    leaves = asyncio.create_task(reads.get(["a"]))
    stays = asyncio.create_task(reads.get(["b"]))
    await asyncio.sleep(0.5)

    await left(leaves)

    assert await stays == [b"b"]


async def test_a_command_that_nobody_waits_for_is_given_up() -> None:
    fetch = Slow()
    reads = coalesced(fetch)
    tasks = [asyncio.create_task(reads.get([key])) for key in "ab"]
    await asyncio.sleep(0.5)

    for each in tasks:
        await left(each)
    await asyncio.sleep(0)

    assert fetch.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_command_that_nobody_waits_for_any_more_is_not_begun() -> None:
    fetch = Slow()
    task = asyncio.create_task(coalesced(fetch).get(["a"]))
    await asyncio.sleep(0)

    await left(task)
    await asyncio.sleep(2)

    assert fetch.asked == []


async def test_closing_gives_up_what_is_under_way() -> None:
    fetch = Slow()
    reads = coalesced(fetch)
    task = asyncio.create_task(reads.get(["a"]))
    await asyncio.sleep(0.5)

    await reads.close()

    assert fetch.cancelled == 1
    with pytest.raises(asyncio.CancelledError):
        await task
