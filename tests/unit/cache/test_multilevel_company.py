"""Many who want the same at the same time: one load, and nobody harms anybody else."""

import asyncio
import contextlib
from collections.abc import Sequence
from copy import copy

import pytest

from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, TimedOut, Unavailable
from support.caches import CALL, Loader, Store, Value, a_cache, a_level, get, put, settled
from support.garbage import garbage_left_by
from support.guards import now


async def test_two_hundred_who_miss_at_once_are_one_load() -> None:
    """Defect 25 of the design documents: no protection against stampedes."""
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2)), Loader(0.01)

    answers = await asyncio.gather(*(get(cache, load, "a") for _ in range(200)))

    assert answers == [[("a!", "computed")]] * 200
    assert load.loads == 1
    assert len(l2.asked) == 1
    assert cache.flights.joined == 199


async def test_who_leaves_takes_nothing_from_the_others_not_even_whoever_began_it() -> None:
    cache, load = a_cache(), Loader(0.1)
    reads = [asyncio.ensure_future(get(cache, load, "a")) for _ in range(10)]
    await asyncio.sleep(0.05)
    for each in reads[:7]:
        each.cancel()

    answers = await asyncio.gather(*reads, return_exceptions=True)

    assert [isinstance(each, asyncio.CancelledError) for each in answers] == [True] * 7 + [
        False
    ] * 3
    assert answers[7:] == [[("a!", "computed")]] * 3
    assert (load.loads, load.cancelled) == (1, 0)


@pytest.mark.parametrize("after_s", [0.0, 0.05])
async def test_when_all_have_left_the_load_is_cancelled_and_the_next_begins_another(
    after_s: float,
) -> None:
    cache, load = a_cache(), Loader(0.1)
    reads = [asyncio.ensure_future(get(cache, load, "a")) for _ in range(3)]
    await asyncio.sleep(after_s)
    for each in reads:
        each.cancel()
    await asyncio.sleep(0)

    late = asyncio.ensure_future(get(cache, load, "a"))
    await asyncio.gather(*reads, return_exceptions=True)

    assert await late == [("a!", "computed")]
    assert cache.flights.cancellations == 1
    assert load.loads - load.cancelled == 1


async def test_a_load_that_fails_fails_for_all_who_wait_and_is_tried_again_by_the_next() -> None:
    cache, load = a_cache(), Loader(0.1, DependencyFailed("down"))

    errors = await asyncio.gather(
        *(get(cache, load, "a") for _ in range(5)), return_exceptions=True
    )
    load.error = None

    assert [str(each) for each in errors] == ["down"] * 5
    assert len({id(each) for each in errors}) == 5
    assert load.loads == 1
    assert cache.flights.failures == 1
    assert await get(cache, load, "a") == [("a!", "computed")]


async def test_who_waits_for_part_of_what_somebody_asks_goes_on_when_that_part_is_there() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2)), Loader(1.0)
    await put(a_cache(a_level("l2", l2)), near=Value("near"))
    l2.seconds = 0.002
    many = asyncio.ensure_future(get(cache, load, "near", "far"))
    await asyncio.sleep(0)
    began = now()

    assert await get(cache, load, "near") == [("near", "l2_cache")]

    assert now() - began == pytest.approx(0.002)
    assert await many == [("near", "l2_cache"), ("far!", "computed")]
    assert len(l2.asked) == 1


async def test_only_what_nobody_asks_for_yet_is_asked_for() -> None:
    cache, load = a_cache(), Loader(0.1)
    first = asyncio.ensure_future(get(cache, load, "a", "b"))
    await asyncio.sleep(0.05)

    assert await get(cache, load, "b", "c") == [("b!", "computed"), ("c!", "computed")]

    assert load.asked == [["a", "b"], ["c"]]
    assert await first == [("a!", "computed"), ("b!", "computed")]


class TestDeadlines:
    async def test_who_has_less_time_than_the_load_is_told_when_it_is_over(self) -> None:
        cache, load = a_cache(), Loader(1.0)
        patient = asyncio.ensure_future(get(cache, load, "a", within_s=10))
        await asyncio.sleep(0)

        with pytest.raises(TimedOut, match="shop took longer"):
            await get(cache, load, "a", within_s=0.05)

        assert now() == pytest.approx(0.05)
        assert await patient == [("a!", "computed")]

    async def test_who_has_more_time_than_whoever_began_it_asks_again(self) -> None:
        cache, load = a_cache(), Loader(0.05, TimedOut("no time"))
        hasty = asyncio.ensure_future(get(cache, load, "a", within_s=0.05))
        await asyncio.sleep(0)
        patient = [asyncio.ensure_future(get(cache, load, "a", within_s=1)) for _ in range(5)]
        await asyncio.sleep(0.049)
        assert not hasty.done()
        await asyncio.sleep(0.002)
        load.error = None

        assert await asyncio.gather(*patient) == [[("a!", "computed")]] * 5
        assert load.loads == 2
        with pytest.raises(TimedOut):
            await hasty

    async def test_who_waits_for_a_load_that_is_late_by_itself_does_not_ask_again(self) -> None:
        cache, load = a_cache(), Loader(0.05, TimedOut("the source is slow"))
        hasty = asyncio.ensure_future(get(cache, load, "a", within_s=5))
        await asyncio.sleep(0)

        with pytest.raises(TimedOut):
            await get(cache, load, "a", within_s=10)

        assert load.loads == 1
        with pytest.raises(TimedOut):
            await hasty


async def test_what_others_want_besides_cannot_make_ones_own_fail() -> None:
    cache = a_cache()

    class Poisoned(Loader):
        async def __call__(self, call, deadline, keys):  # type: ignore[no-untyped-def]
            values = await super().__call__(call, deadline, keys)
            if "poison" in keys:
                raise DependencyFailed("poison")
            return values

    load = Poisoned(0.1)
    theirs = asyncio.ensure_future(get(cache, load, "a", "poison"))
    await asyncio.sleep(0)

    assert await get(cache, load, "a") == [("a!", "computed")]

    with pytest.raises(DependencyFailed):
        await theirs


class TestInvalidation:
    async def test_a_key_that_was_written_elsewhere_is_forgotten(self) -> None:
        cache, load = a_cache(), Loader()
        await get(cache, load, "a", "b")

        cache.invalidate(["a", "unknown"])

        assert await get(cache, load, "a", "b") == [("a!", "computed"), ("b!", "l1_cache")]
        assert cache.statistics.invalidated == 2

    async def test_what_was_on_its_way_when_it_was_written_is_not_kept(self) -> None:
        l2 = Store()
        cache, load = a_cache(a_level("l2", l2)), Loader(0.1)
        before = asyncio.ensure_future(get(cache, load, "a", "b"))
        await asyncio.sleep(0.05)

        cache.invalidate(["a"])
        after = asyncio.ensure_future(get(cache, load, "a"))
        await asyncio.sleep(0)

        assert await before == [("a!", "computed"), ("b!", "computed")]
        assert cache.expires_at("a") is None
        await after
        assert load.asked == [["a", "b"], ["a"]]
        await settled()
        assert sorted(entry.key for entry in l2.entries) == ["a", "b"]

    async def test_what_was_put_meanwhile_is_not_overwritten_by_what_was_on_its_way(self) -> None:
        cache, load = a_cache(), Loader(0.1)
        reading = asyncio.ensure_future(get(cache, load, "a"))
        await asyncio.sleep(0.05)

        await put(cache, a=Value("put", 9))
        await reading

        assert await get(cache, load, "a") == [("put", "l1_cache")]

    async def test_the_echo_of_ones_own_write_makes_nobody_forget_it(self) -> None:
        l2 = Store()
        cache, load = a_cache(a_level("l2", l2, tracked=True)), Loader()
        l2.changed = cache.invalidate
        await get(cache, load, "a")
        await settled()
        await put(cache, b=Value("b"))

        assert await get(cache, load, "a", "b") == [("a!", "l1_cache"), ("b", "l1_cache")]

    async def test_what_somebody_else_writes_after_the_echo_is_news(self) -> None:
        l2 = Store()
        cache, load = a_cache(a_level("l2", l2, tracked=True)), Loader()
        l2.changed = cache.invalidate
        await get(cache, load, "a")
        await settled()

        await put(a_cache(a_level("l2", l2)), a=Value("theirs", 7))

        assert await get(cache, load, "a") == [("theirs", "l2_cache")]

    async def test_news_that_come_long_after_a_write_are_no_echo(self) -> None:
        l2 = Store()
        cache, load = a_cache(a_level("l2", l2, tracked=True)), Loader()
        await get(cache, load, "a")
        await asyncio.sleep(1.1)

        cache.invalidate(["a"])

        assert cache.expires_at("a") is None

    async def test_if_a_write_fails_what_was_taken_for_its_echo_was_news(self) -> None:
        l2 = Store()
        cache = a_cache(a_level("l2", l2, tracked=True, timeout_ms=50))
        l2.seconds = 1.0
        writing = asyncio.ensure_future(put(cache, a=Value("ours")))
        await asyncio.sleep(0.01)

        cache.invalidate(["a"])
        assert cache.expires_at("a") is not None
        await writing

        assert cache.expires_at("a") is None

    async def test_who_leaves_while_it_writes_does_not_take_what_comes_later_for_its_echo(
        self,
    ) -> None:
        l2 = Store()
        cache = a_cache(a_level("l2", l2, tracked=True, timeout_ms=50))
        l2.seconds = 0.04
        writing = asyncio.ensure_future(put(cache, a=Value("ours")))
        await asyncio.sleep(0.01)

        writing.cancel()
        await asyncio.wait([writing])
        cache.invalidate(["a"])

        assert cache.expires_at("a") is None

    async def test_when_anything_may_have_been_written_all_is_forgotten(self) -> None:
        cache, load = a_cache(), Loader()
        await get(cache, load, "a", "b")

        cache.clear()

        assert len(cache.local) == 0

    async def test_while_nobody_tells_of_writes_nothing_is_kept_for_long(self) -> None:
        live = False
        cache, load = a_cache(live=lambda: live, untracked_ttl_s=1, stale_s=60), Loader()
        await get(cache, load, "a")
        await asyncio.sleep(0.9)
        assert await get(cache, load, "a") == [("a!", "l1_cache")]
        await asyncio.sleep(0.2)
        assert await get(cache, load, "a") == [("a!", "computed")]

        assert cache.expires_at("a") == pytest.approx(now() + 1)

        live = True
        await get(cache, load, "b")
        await asyncio.sleep(2)
        assert await get(cache, load, "b") == [("b!", "l1_cache")]


async def test_who_waits_when_it_is_closed_is_told_so_and_nothing_is_left_running() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2)), Loader(60)
    reading = asyncio.ensure_future(get(cache, load, "a"))
    await asyncio.sleep(0.01)
    l2.seconds = 60
    await asyncio.gather(put(cache, b=Value("b")))

    await cache.close()

    with pytest.raises(Unavailable, match="shop is being closed"):
        await reading
    assert {*asyncio.all_tasks()} == {asyncio.current_task()}


@pytest.mark.parametrize("seconds", [0.01, 0.2], ids=["in time", "late"])
@pytest.mark.parametrize("error", [None, DependencyFailed("down"), ValueError("a bug")], ids=str)
async def test_no_read_leaves_garbage(seconds: float, error: Exception | None) -> None:
    """What only the garbage collector can free is freed when it wants, and it stops the world."""
    cache = a_cache(a_level("l2", Store()))

    async def load(call: Call, deadline: Deadline, keys: Sequence[str]) -> Sequence[Value | None]:
        await asyncio.sleep(seconds)
        if error is not None:
            raise copy(error)
        return [Value("a")]

    async def ask(within_s: float) -> None:
        with contextlib.suppress(DependencyFailed, TimedOut, ValueError):
            await cache.get(CALL, Deadline(now() + within_s), ["a"], load)

    async def once() -> None:
        first = asyncio.ensure_future(ask(1.0))
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(ask(0.1)) for _ in range(3)]
        await asyncio.sleep(0.005)
        others[0].cancel()
        await asyncio.gather(first, *others, return_exceptions=True)
        await asyncio.sleep(0.1)
        cache.clear()

    assert await garbage_left_by(once) == 0
