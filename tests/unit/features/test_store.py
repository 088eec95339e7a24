"""What services see of the store, in virtual time: budgets, defaults, and what is asked of it."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from inferd.cache.blobs import Entry, Written
from inferd.cache.memory_blobs import OVERHEAD_BYTES, MemoryBlobs
from inferd.call import Call
from inferd.config.faults import fault
from inferd.config.resilience import Hedge
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, TimedOut
from inferd.features.definitions import Key
from inferd.features.rows import Row
from inferd.features.store import READS, Read
from inferd.features.values import Status, Value
from support.feature_stores import Store, WallClock, a_store
from support.guards import used_to

NOW_S = 1_800_000_000.0
DOWN = DependencyFailed("down")


class Blobs(MemoryBlobs):
    """In memory, and slow or broken where it is told to be."""

    def __init__(self) -> None:
        super().__init__(max_bytes=1_000_000, clock=lambda: 0.0)
        self.acts: list[float | Exception] = []
        self.gets: list[list[str]] = []

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        self.gets.append([*keys])
        act = self.acts.pop(0) if self.acts else 0.0
        if isinstance(act, Exception):
            raise act
        if act:
            await asyncio.sleep(act)
        return await super().get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        if self.acts:
            act = self.acts.pop(0)
            assert isinstance(act, Exception)
            raise act
        return await super().put(entries)


def over(blobs: Blobs, *, through: Callable[[Read], Read] = lambda read: read) -> Store:
    unhedged = {"hedge": Hedge(enabled=False)}
    return a_store(blobs, wall_clock=WallClock(NOW_S), through=through, **unhedged)


async def test_a_slow_store_is_waited_for_no_longer_than_the_deadline_and_defaults_stand_in() -> (
    None
):
    blobs = Blobs()
    store = over(blobs)
    await store.set("profile", 1, age=7)
    blobs.acts = [5.0]

    (found,) = await store.get(store.lookup("profile", 1, "age", "country"), within_s=0.05)

    assert found.values == [
        Value(30, Status.TIMED_OUT, None, "default"),
        Value(None, Status.TIMED_OUT, None, ""),
    ]
    assert asyncio.get_running_loop().time() <= 0.05
    assert (await store.read("profile", 1))["age"].value == 7


async def test_a_store_that_is_down_costs_values_and_not_the_answer() -> None:
    blobs = Blobs()
    store = over(blobs)
    blobs.acts = [DOWN, DOWN]

    values = await store.read("profile", 1)

    assert {each.status for each in values.values()} == {Status.TIMED_OUT}


async def test_a_call_without_time_left_gets_defaults_and_the_store_is_not_asked() -> None:
    blobs = Blobs()
    store = over(blobs)

    (found,) = await store.get(store.lookup("profile", 1, "age"), within_s=0)

    assert found.values[0][:2] == (30, Status.TIMED_OUT)
    assert blobs.gets == []


async def test_a_required_feature_without_a_default_is_named_when_the_store_is_down() -> None:
    blobs = Blobs()
    store = over(blobs)
    blobs.acts = [DOWN, DOWN]

    with pytest.raises(DependencyFailed, match=r"required, .*: stock:price \(down\)"):
        await store.get(store.lookup("profile", 1), store.lookup("stock", "a"))


async def test_who_wants_to_know_what_happened_is_told() -> None:
    blobs = Blobs()
    store = over(blobs)
    blobs.acts = [5.0]

    with pytest.raises(TimedOut):
        await store.features.fetch(
            Call("/a.B/C", arrived=0.0), Deadline(0.05), [store.lookup("profile", 1)]
        )


async def test_a_slow_read_is_asked_for_again_and_the_faster_answer_is_taken() -> None:
    blobs = Blobs()
    store = a_store(blobs, wall_clock=WallClock(NOW_S))
    hedge_after_s = used_to(store.toolbox.dependencies[READS], 0.001)
    await store.set("profile", 1, age=7)
    blobs.acts = [5.0]

    values = await store.read("profile", 1, "age")

    assert values["age"].value == 7
    assert asyncio.get_running_loop().time() == pytest.approx(hedge_after_s, abs=0.002)
    assert len(blobs.gets) == 2


async def test_a_write_that_failed_is_the_callers_to_make_again() -> None:
    blobs = Blobs()
    store = over(blobs)
    blobs.acts = [DOWN]

    with pytest.raises(DependencyFailed):
        await store.set("profile", 1, age=7)

    assert await store.set("profile", 1, age=7) is Written.STORED


async def test_bytes_that_are_no_row_are_missing_and_counted_until_somebody_writes() -> None:
    blobs = Blobs()
    store = over(blobs)
    await store.set("profile", 1, age=7)
    (good,) = await blobs.get(["profile:1:1"])
    assert good is not None
    later = store.write("profile", 1, 0, age=8)
    await blobs.close()
    await blobs.put([Entry("profile:1:1", good[:-1], None)])

    assert (await store.read("profile", 1, "age"))["age"][:2] == (30, Status.MISSING)
    assert store.features.corrupt == {"profile": 1}
    assert await store.set_all(later) == [Written.STORED]
    assert (await store.read("profile", 1, "age"))["age"].value == 8


async def test_bytes_that_are_spoilt_on_purpose_are_missing_and_counted_too() -> None:
    store = over(Blobs())
    await store.set("profile", 1, age=7)
    store.faults.inject(READS, fault({"kind": "corrupt"}))

    assert (await store.read("profile", 1, "age"))["age"][:2] == (30, Status.MISSING)
    assert store.features.corrupt == {"profile": 1}


async def test_a_request_as_of_a_point_in_time_goes_past_what_knows_the_latest() -> None:
    """Defect 8 of the design documents: points in time that are answered with the latest."""
    blobs = Blobs()
    asked: list[Sequence[Key]] = []

    def a_level(read: Read) -> Read:
        async def know(call: Call, until: Deadline, keys: Sequence[Key]) -> Sequence[Row | None]:
            asked.append(keys)
            now_us = store.features.now_us()
            return [Row(now_us, (99, *[None] * 5), "level") for _ in keys]

        return know

    store = over(blobs, through=a_level)
    await store.set("profile", 1, ago_s=60, age=7)

    now, then = await store.get(
        store.lookup("profile", 1, "age"), store.lookup("profile", 1, "age", as_of_ago_s=30)
    )
    before = await store.read("profile", 1, "age", as_of_ago_s=90)

    assert now.values[0] == Value(99, Status.PRESENT, store.features.now_us(), "level")
    assert then.values[0] == Value(7, Status.PRESENT, store.us(60), "memory")
    assert before["age"][:2] == (30, Status.NEWER_ONLY)
    assert len(asked) == 1


async def test_a_value_is_as_old_as_its_event_and_not_as_its_answer() -> None:
    """Defect 9 of the design documents: the time of the answer, which hides how old it is."""
    store = over(Blobs())
    await store.set("profile", 1, ago_s=100, age=7)
    event_us = store.us(100)

    store.wall_clock.now_s += 1000

    assert (await store.read("profile", 1))["age"].event_us == event_us


async def test_one_row_that_is_broken_does_not_fail_the_others() -> None:
    """Defect 12 of the design documents: a vector that fails with one of its features."""
    blobs = Blobs()
    store = over(blobs)
    await store.set("profile", 1, country="x", age=None)
    await blobs.put([Entry("activity:1:1", b"\x92\xcfnonsense!", None)])

    profile, activity, nobody = await store.get(
        store.lookup("profile", 1), store.lookup("activity", 1), store.lookup("stock", "nobody")
    )

    assert [each.status for each in profile.values] == [
        Status.NULL,
        Status.PRESENT,
        *[Status.MISSING] * 4,
    ]
    assert activity.values == [Value(0, Status.MISSING, None, "default")]
    assert (profile.lacking, activity.lacking) == ([], [])
    assert nobody.lacking == ["stock:price"]


async def test_memory_makes_room_by_what_was_used_longest_ago() -> None:
    blob = b"\x92\xcf" + (2**40).to_bytes(8) + b"\x80"
    blobs = MemoryBlobs(max_bytes=3 * (OVERHEAD_BYTES + 1 + len(blob)), clock=lambda: 0.0)
    await blobs.put([Entry(key, blob, None) for key in "abc"])
    await blobs.get(["a"])

    await blobs.put([Entry("d", blob, None)])

    assert [each is not None for each in await blobs.get([*"abcd"])] == [True, False, True, True]
    assert (len(blobs), blobs.evicted) == (3, 1)
    await blobs.close()
    assert (len(blobs), blobs.bytes) == (0, 0)


async def test_memory_forgets_what_has_lived_its_time_and_takes_older_events_then() -> None:
    clock = WallClock(0.0)
    blobs = MemoryBlobs(max_bytes=10_000, clock=clock)
    newer, older = (b"\x92\xcf" + stamp.to_bytes(8) + b"\x80" for stamp in (2**40, 2**39))
    await blobs.put([Entry("a", newer, 10.0)])
    clock.now_s = 10.0

    assert await blobs.get(["a"]) == [None]
    assert await blobs.put([Entry("a", older, 10.0)]) == [Written.STORED]
