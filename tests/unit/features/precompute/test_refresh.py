"""Refresh-ahead in virtual time: who is refreshed and when, what it may take, and when it rests."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inferd.config.precompute import Precompute
from inferd.features.precompute.refresh import RefreshAhead
from inferd.telemetry.metrics import Metrics
from inferd.telemetry.precompute import PrecomputeMetrics
from inferd.telemetry.statistics import LoadStatistics

TTL_S = 100.0


def now() -> float:
    return asyncio.get_running_loop().time()


class Machine:
    """How busy the thread is, and how long it has worked."""

    def __init__(self) -> None:
        self.busy = 0.0
        self.worked_s = 0.0


class Cache:
    """Remembers when entries end, and what it was told to load again."""

    def __init__(self, machine: Machine, *, cost_s: float = 0.0, ttl_s: float = TTL_S) -> None:
        self.machine = machine
        self.cost_s = cost_s
        self.ttl_s = ttl_s
        self.ends: dict[str, float] = {}
        self.loads: list[tuple[float, list[str]]] = []
        self.broken: set[str] = set()
        #: Keys whose loads lack something, and are not kept.
        self.late: set[str] = set()
        self.cancelled = 0
        #: How long loading takes, which is not work.
        self.away_s = 0.0

    def expires_at(self, key: str) -> float | None:
        ends = self.ends.get(key)
        return ends if ends is not None and ends > now() else None

    async def refresh(self, keys: Sequence[str], load: str) -> None:
        assert load == "the load"
        self.loads.append((now(), [*keys]))
        self.machine.worked_s += self.cost_s * len(keys)
        try:
            await asyncio.sleep(self.away_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.broken & {*keys}:
            raise RuntimeError("broken")
        self.fill(keys)

    def fill(self, keys: Iterable[str]) -> None:
        self.ends.update((key, now() + self.ttl_s) for key in keys if key not in self.late)

    @property
    def loaded(self) -> list[str]:
        return [key for _, keys in self.loads for key in keys]


class World:
    """A cache, who reads from it, and what refreshes it."""

    def __init__(self, *, cost_s: float = 0.0, ttl_s: float = TTL_S, **settings: Any) -> None:
        self.machine = Machine()
        self.cache = Cache(self.machine, cost_s=cost_s, ttl_s=ttl_s)
        self.ahead = RefreshAhead(
            Precompute(**{"top": 10, "tracked": 100, "lead_s": 10.0, **settings}),
            busy=lambda: self.machine.busy,
            clock=asyncio.get_running_loop().time,
            thread_clock=lambda: self.machine.worked_s,
        )
        self.accessed = self.ahead.watch(self.cache, "the load", ttl_s=ttl_s)

    def read(self, keys: Iterable[str], times: int = 1) -> None:
        for key in keys:
            for _ in range(times):
                self.accessed(key)
            if self.cache.expires_at(key) is None:
                self.cache.fill([key])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.ahead.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_hot_entry_is_refreshed_shortly_before_its_end() -> None:
    world = World()
    world.read("a", times=5)

    async with world.running():
        await asyncio.sleep(TTL_S - 10.5)
        assert world.cache.loads == []
        await asyncio.sleep(10.4)

    ((at, keys),) = world.cache.loads
    assert keys == ["a"]
    assert 90 <= at < 92
    assert world.ahead.statistics.refreshed == 1


async def test_it_never_ends_as_long_as_it_is_read() -> None:
    world = World()
    world.read("a")

    async with world.running():
        for _ in range(1000):
            await asyncio.sleep(1)
            assert world.cache.expires_at("a") is not None
            world.read("a")

    assert 10 <= len(world.cache.loads) <= 12


async def test_what_is_read_no_more_is_refreshed_no_more_in_the_end() -> None:
    world = World(half_life_s=100.0)
    world.read("a", times=8)

    async with world.running():
        await asyncio.sleep(2000)

    assert len(world.cache.loads) == 4
    assert world.cache.expires_at("a") is None


async def test_only_the_hottest_are_refreshed_and_the_hottest_first() -> None:
    world = World(top=2, cost_s=0.002)
    world.read("c", times=3)
    world.read("a", times=1)
    world.read("b", times=2)

    async with world.running():
        await asyncio.sleep(TTL_S)

    assert world.cache.loaded == ["c", "b"]


async def test_the_hottest_of_all_caches_are_refreshed() -> None:
    world = World(top=2)
    other = Cache(world.machine)
    accessed = world.ahead.watch(other, "the load", ttl_s=TTL_S)
    world.read("ab")
    for key in "xxyyz":
        accessed(key)
    other.fill("xyz")

    async with world.running():
        await asyncio.sleep(TTL_S - 1)

    assert world.cache.loads == []
    assert sorted(other.loaded) == ["x", "y"]
    assert world.ahead.tracked == 5


async def test_entries_that_live_shortly_are_refreshed_in_the_last_fifth_of_it() -> None:
    world = World(ttl_s=1.0)
    world.read("a")

    async with world.running():
        await asyncio.sleep(0.79)
        assert world.cache.loads == []
        await asyncio.sleep(0.2)

    assert world.cache.loaded == ["a"]


async def test_what_others_have_loaded_meanwhile_is_left_alone() -> None:
    world = World(cost_s=0.5, max_cpu_share=0.1)
    world.read("ab")

    async with world.running():
        await asyncio.sleep(TTL_S - 9)
        assert len(world.cache.loaded) == 1
        world.cache.fill("ab")
        await asyncio.sleep(20)

    assert len(world.cache.loaded) == 1
    assert world.ahead.statistics.skipped.total() == 0


async def test_what_is_cheap_is_refreshed_together_and_what_is_costly_alone() -> None:
    world = World(cost_s=0.0001)
    world.read("abcdefgh")

    async with world.running():
        await asyncio.sleep(2 * TTL_S)
        # At first it is not known what it costs.
        assert max(len(keys) for at, keys in world.cache.loads if at < TTL_S) == 1
        assert max(len(keys) for at, keys in world.cache.loads if at > TTL_S) == 8
        world.cache.cost_s = 0.01
        await asyncio.sleep(4 * TTL_S)

    assert max(len(keys) for at, keys in world.cache.loads if at > 5 * TTL_S) == 1


async def test_it_takes_no_more_than_its_share() -> None:
    world = World(top=100, cost_s=0.02, max_cpu_share=0.01)
    world.read(map(str, range(100)))

    async with world.running():
        for _ in range(50):
            await asyncio.sleep(TTL_S / 10)
            world.read(map(str, range(100)))

    # It would take 2 % to refresh them all.
    assert world.machine.worked_s <= 0.01 * 5 * TTL_S + 0.004 + 0.02
    assert world.ahead.statistics.cpu_s == pytest.approx(world.machine.worked_s)
    assert world.ahead.statistics.skipped["share"] > 0
    assert world.ahead.statistics.skipped["busy"] == 0


async def test_an_entry_is_counted_as_skipped_once() -> None:
    world = World(cost_s=60.0)
    world.read("a", times=2)
    world.read("bcd")

    async with world.running():
        await asyncio.sleep(1.5 * TTL_S)

    assert world.cache.loaded == ["a"]
    assert world.ahead.statistics.skipped == {"share": 3, "busy": 0}


async def test_nothing_is_refreshed_while_the_server_is_busy() -> None:
    world = World()
    world.read("ab")
    world.machine.busy = 0.9

    async with world.running():
        await asyncio.sleep(TTL_S - 5)
        assert world.cache.loads == []
        world.machine.busy = 0.1
        await asyncio.sleep(2)
        assert sorted(world.cache.loaded) == ["a", "b"]
        world.machine.busy = 0.9
        await asyncio.sleep(TTL_S + 5)

    assert world.ahead.statistics.skipped == {"share": 0, "busy": 2}


async def test_what_fails_is_counted_and_tried_again_alone() -> None:
    world = World(cost_s=0.0001)
    world.read("abcd")
    async with world.running():
        await asyncio.sleep(TTL_S)  # by now it is known that they are cheap
        world.cache.broken = {"c"}
        await asyncio.sleep(TTL_S)
    later = [keys for at, keys in world.cache.loads if at > TTL_S]

    assert sorted(later[0]) == ["a", "b", "c", "d"]
    assert sorted(map(tuple, later[1:5])) == [("a",), ("b",), ("c",), ("d",)]
    assert {*map(tuple, later[5:])} == {("c",)}
    assert world.ahead.statistics.failed == 4 + later.count(["c"])
    assert [world.cache.expires_at(key) is None for key in "abcd"] == [False, False, True, False]


async def test_what_is_loaded_and_not_kept_has_failed() -> None:
    world = World()
    world.read("ab")
    world.cache.late = {"b"}

    async with world.running():
        await asyncio.sleep(TTL_S - 5)

    statistics = world.ahead.statistics
    assert (statistics.refreshed, statistics.failed) == (1, world.cache.loaded.count("b"))
    assert statistics.failed > 1


async def test_a_refresh_that_hangs_does_not_keep_others_from_theirs() -> None:
    world = World()
    world.read("a")
    world.cache.away_s = 10_000.0

    async with world.running():
        await asyncio.sleep(TTL_S + 5)
        world.cache.away_s = 0.0
        world.read("b")
        await asyncio.sleep(TTL_S)

    assert world.ahead.statistics.failed == 1
    assert world.cache.loaded == ["a", "b"]


async def test_what_others_do_meanwhile_is_not_held_against_it() -> None:
    world = World(cost_s=0.001)
    world.cache.away_s = 0.1

    async def others() -> None:
        while True:
            await asyncio.sleep(0.01)
            world.machine.worked_s += 0.005

    world.read("abcdefgh")
    async with world.running():
        task = asyncio.create_task(others())
        await asyncio.sleep(TTL_S)
        task.cancel()

    # Meanwhile they worked 0.4 s, five times its share of that time.
    assert len(world.cache.loaded) == 8
    assert world.ahead.statistics.cpu_s < 8 * 0.005


async def test_it_stops_at_once_and_takes_what_it_was_doing_with_it() -> None:
    world = World()
    world.read("a")
    world.cache.away_s = 5.0

    async with world.running():
        await asyncio.sleep(TTL_S - 8)
        assert world.cache.loaded == ["a"]
        stopped = now()

    assert now() == stopped
    assert world.cache.cancelled == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_all_of_it_can_be_scraped() -> None:
    world = World()
    world.read("ab")
    async with world.running():
        await asyncio.sleep(TTL_S)
    metrics = Metrics(list, loads=LoadStatistics(), process=False)
    metrics.registry.register(PrecomputeMetrics(world.ahead))

    text, _ = metrics.exposition()

    lines = text.decode().splitlines()
    assert [line for line in lines if line.startswith("inferd_precompute")] == [
        "inferd_precompute_refreshed_total 2",
        "inferd_precompute_failed_total 0",
        'inferd_precompute_skipped_total{reason="share"} 0',
        'inferd_precompute_skipped_total{reason="busy"} 0',
        "inferd_precompute_cpu_seconds_total 0",
        "inferd_precompute_tracked_keys 2",
    ]


def test_more_cannot_be_refreshed_than_are_counted() -> None:
    with pytest.raises(ValueError, match="tracked must be at least top"):
        Precompute(top=100, tracked=99)


async def test_where_nothing_is_cached_nobody_looks_what_is_due() -> None:
    ahead = RefreshAhead(Precompute(), busy=lambda: 0.0, clock=now)

    async with asyncio.timeout(0):
        await ahead.run()
