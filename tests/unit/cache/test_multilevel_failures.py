"""Levels that are slow, broken or full: skipped, counted, and never the reason for an error."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from inferd.cache import levels
from inferd.cache.multilevel import MultiLevel
from inferd.errors import DependencyFailed
from inferd.telemetry.caches import CacheMetrics
from support.caches import Loader, Store, Value, a_cache, a_level, get, put, settled
from support.guards import now

AGES_S = 1e6


@pytest.mark.parametrize("error", [DependencyFailed("down"), ValueError("a bug")])
async def test_a_level_that_fails_is_skipped_and_counted(error: Exception) -> None:
    l2, l3 = Store(), Store()
    cache, load = a_cache(a_level("l2", l2), a_level("l3", l3)), Loader()
    await put(a_cache(a_level("l3", l3)), a=Value("3"))
    l2.error = error

    assert await get(cache, load, "a") == [("3", "l3_cache")]
    await settled()

    counts = cache.statistics.levels["l2"]
    assert (counts.errors, counts.hits, counts.misses) == (1, 0, 0)


async def test_a_level_that_is_slow_costs_its_timeout_and_no_more() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2, timeout_ms=5)), Loader()
    l2.seconds = 60

    assert await get(cache, load, "a") == [("a!", "computed")]

    assert now() == pytest.approx(0.005, abs=0.0011)
    assert cache.statistics.levels["l2"].errors == 1


async def test_a_level_that_goes_on_failing_is_left_alone_by_its_breaker_and_taken_back() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2)), Loader()
    l2.error = DependencyFailed("down")
    for number in range(100):
        await get(cache, load, f"k{number}")
    assert len(l2.asked) < 30
    assert cache.statistics.levels["l2"].errors == 100

    l2.error = None
    await asyncio.sleep(1)
    for number in range(5):
        await get(cache, load, f"later{number}")
        await settled()

    assert await get(cache, load, "later4") == [("later4!", "l1_cache")]
    assert "later4" in {entry.key for entry in l2.entries}


async def test_what_is_put_while_a_level_fails_is_in_the_others() -> None:
    l2, l3 = Store(), Store()
    cache = a_cache(a_level("l2", l2), a_level("l3", l3))
    l2.error = DependencyFailed("down")

    await put(cache, a=Value("1"))

    assert [entry.key for entry in l3.entries] == ["a"]
    assert cache.statistics.levels["l2"].errors == 1
    assert await get(cache, Loader(), "a") == [("1", "l1_cache")]


async def test_filling_a_slow_level_makes_nobody_wait_and_what_is_too_much_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(levels, "MOST_WAITING", 150)
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2, timeout_ms=1000)), Loader()
    await get(cache, load, "warm")
    await settled()
    keys = [f"k{number}" for number in range(400)]
    await get(cache, load, *keys)
    assert now() < 0.01
    await settled()

    assert len(l2.entries) == 151
    assert cache.statistics.levels["l2"].dropped == 250


class Reckoning:
    """What each level has after a script of accesses, and what they therefore count."""

    def __init__(self) -> None:
        self.has: dict[str, set[str]] = {"l1": set(), "l2": set(), "l3": set()}
        self.counts: Counter[str] = Counter()

    def got(self, keys: Sequence[str], *, l2_fails: bool) -> None:
        missing, passed = {*keys}, list[str]()
        for level, has in self.has.items():
            if not missing:
                return
            if level == "l2" and l2_fails:
                self.counts["l2 errors"] += 1
                continue
            found = missing & has
            missing -= found
            self.counts["hits"] += len(found)
            self.counts[f"{level} hits"] += len(found)
            self.counts[f"{level} misses"] += len(missing)
            for nearer in passed:
                self.has[nearer] |= found
            passed.append(level)
        self.counts["loaded"] += len(missing)
        for level in passed:
            self.has[level] |= missing

    def put(self, keys: Sequence[str]) -> None:
        for has in self.has.values():
            has.update(keys)

    def invalidated(self, keys: Sequence[str]) -> None:
        self.has["l1"] -= {*keys}
        self.counts["invalidated"] += len(keys)


def counted(cache: MultiLevel[Value]) -> Counter[str]:
    it = cache.statistics
    counts = Counter({"hits": it.hits, "loaded": it.loaded, "invalidated": it.invalidated})
    for name, level in it.levels.items():
        counts[f"{name} hits"], counts[f"{name} misses"] = level.hits, level.misses
    counts["l2 errors"] = it.levels["l2"].errors
    return counts


@pytest.mark.parametrize("seed", range(5))
async def test_every_number_is_what_a_script_of_accesses_says(seed: int) -> None:
    l2, l3 = Store(), Store()
    behind = [a_level("l2", l2, ttl_s=AGES_S), a_level("l3", l3, ttl_s=AGES_S)]
    cache, load, reckoning = a_cache(*behind, l1_ttl_s=AGES_S), Loader(), Reckoning()
    chance = random.Random(seed)
    for number in range(300):
        keys = chance.sample("abcdefghijkl", chance.randint(1, 4))
        match chance.choice(["get", "get", "get without l2", "put", "invalidate", "l2 forgets"]):
            case "put":
                await put(cache, **{key: Value(key, 1000 + number) for key in keys})
                reckoning.put(keys)
            case "invalidate":
                cache.invalidate(keys)
                reckoning.invalidated(keys)
            case "l2 forgets":
                await l2.close()
                reckoning.has["l2"].clear()
            case get_or_without:
                fails = get_or_without == "get without l2"
                l2.error = DependencyFailed("down") if fails else None
                await get(cache, load, *keys)
                await settled()
                reckoning.got(keys, l2_fails=fails)
                l2.error = None
        await asyncio.sleep(20)  # so that its breaker never opens

    assert counted(cache) == +reckoning.counts
    assert min(reckoning.counts.values()) > 0


async def test_all_of_it_is_exported() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2)), Loader()
    registry = CollectorRegistry()
    registry.register(CacheMetrics([cache]))
    await get(cache, load, "a", "b")
    await get(cache, load, "a", "b")
    l2.error = DependencyFailed("down")
    await get(cache, load, "c", "a")

    samples = {
        (sample.name, sample.labels.get("level")): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if "le" not in sample.labels
    }

    assert samples["inferd_cache_hits_total", "l1"] == 3
    assert samples["inferd_cache_misses_total", "l1"] == 3
    assert samples["inferd_cache_misses_total", "l2"] == 2
    assert samples["inferd_cache_errors_total", "l2"] == 1
    assert samples["inferd_cache_seconds_count", "l1"] == 3
    assert samples["inferd_cache_seconds_count", "l2"] == 1
    assert samples["inferd_cache_hit_ratio", None] == 0.5
    assert samples["inferd_cache_level_hit_ratio", "l1"] == 0.5
    assert samples["inferd_cache_loaded_total", None] == 3
    assert samples["inferd_cache_load_seconds_count", None] == 2
    assert samples["inferd_cache_entries", None] == 3
