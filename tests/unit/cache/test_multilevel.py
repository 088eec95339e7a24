"""Where values are found, what is asked for them, and for how long each level keeps them."""

import asyncio
import math

import pytest

from inferd.cache.blobs import stamp_of
from inferd.errors import DependencyFailed
from support.caches import Loader, Store, Value, ValueCodec, a_cache, a_level, get, put, settled
from support.guards import now


async def test_a_value_is_computed_once_and_then_found_in_memory_and_after_that_in_l2() -> None:
    cache, load = a_cache(a_level("l2", Store())), Loader()

    assert await get(cache, load, "a") == [("a!", "computed")]
    assert await get(cache, load, "a") == [("a!", "l1_cache")]
    await settled()
    cache.invalidate(["a"])
    assert await get(cache, load, "a") == [("a!", "l2_cache")]
    assert load.loads == 1


async def test_each_level_is_asked_at_once_for_what_the_nearer_ones_lack_and_for_nothing_else() -> (
    None
):
    l2, l3 = Store(), Store()
    cache, load = a_cache(a_level("l2", l2), a_level("l3", l3)), Loader()
    await put(a_cache(a_level("l2", l2)), two=Value("2"))
    await put(a_cache(a_level("l3", l3)), three=Value("3"))
    await put(a_cache(), one=Value("1"))
    await get(cache, Loader(), "one")
    for store in (l2, l3):
        store.asked.clear()

    answers = await get(cache, load, "four", "three", "one", "two", "three")

    assert answers == [
        ("four!", "computed"),
        ("3", "l3_cache"),
        ("one!", "l1_cache"),
        ("2", "l2_cache"),
        ("3", "l3_cache"),
    ]
    assert l2.asked == [["four", "three", "two"]]
    assert l3.asked == [["four", "three"]]
    assert load.asked == [["four"]]


async def test_what_only_l3_has_is_put_into_l2_with_its_time_to_live_and_into_memory() -> None:
    l2, l3 = Store(), Store()
    cache, load = a_cache(a_level("l2", l2, ttl_s=60), a_level("l3", l3)), Loader()
    await put(a_cache(a_level("l3", l3)), a=Value("here"))

    assert await get(cache, load, "a") == [("here", "l3_cache")]
    assert await get(cache, load, "a") == [("here", "l1_cache")]
    await settled()

    assert [(entry.key, entry.keep_s) for entry in l2.entries] == [("a", 60.0)]
    assert load.loads == 0


async def test_an_entry_is_fresh_for_l1s_time_to_live_even_when_l2_keeps_it_longer() -> None:
    """Defect 10 of the design documents: times to live that nobody honours."""
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2, ttl_s=300), l1_ttl_s=10), Loader()
    await get(cache, load, "a")

    await asyncio.sleep(9.9)
    assert await get(cache, load, "a") == [("a!", "l1_cache")]
    await asyncio.sleep(0.2)
    assert await get(cache, load, "a") == [("a!", "l2_cache")]
    assert load.loads == 1


async def test_no_level_keeps_a_value_for_longer_than_it_has_left_to_live() -> None:
    l2 = Store()
    cache = a_cache(a_level("l2", l2, ttl_s=300), l1_ttl_s=60, left_s=lambda value: 20 - now())
    load = Loader()
    await get(cache, load, "a")
    await settled()
    assert l2.entries[0].keep_s == pytest.approx(20)

    await asyncio.sleep(15)
    cache.invalidate(["a"])
    assert await get(cache, load, "a") == [("a!", "l2_cache")]
    assert cache.expires_at("a") == pytest.approx(20)


async def test_an_expired_value_is_never_promoted() -> None:
    """Defect 25 of the design documents: a level that forgets too late."""
    l2, l3 = Store(), Store()
    lives_s = {"old": 5.0, "a!": 100.0}
    left_s = lambda value: lives_s[value.text] - now()  # noqa: E731
    cache = a_cache(a_level("l2", l2), a_level("l3", l3), left_s=left_s)
    await put(a_cache(a_level("l3", l3)), a=Value("old"))
    await asyncio.sleep(6)

    assert await get(cache, Loader(), "a") == [("a!", "computed")]
    await settled()

    assert [ValueCodec().decode(entry.blob) for entry in l2.entries] == [Value("a!", 1)]
    assert cache.statistics.levels["l3"].misses == 1


async def test_a_value_with_no_life_left_is_given_to_those_who_wait_and_kept_by_nobody() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2), left_s=lambda value: 0.0), Loader(0.1)

    answers = await asyncio.gather(*(get(cache, load, "a") for _ in range(3)))
    await settled()

    assert answers == [[("a!", "computed")]] * 3
    assert cache.expires_at("a") is None
    assert not l2.entries


async def test_times_to_live_are_spread_so_that_keys_set_at_once_do_not_end_at_once() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2), jitter=0.1), Loader()
    keys = [f"k{n}" for n in range(10_000)]
    for at in range(0, 10_000, 1000):
        await get(cache, load, *keys[at : at + 1000])
        await settled()

    ends = [cache.expires_at(key) or 0.0 for key in keys]
    assert min(ends) >= 270
    assert max(ends) <= 330.1
    busiest = max(sum(second <= end < second + 1 for end in ends) for second in range(270, 331))
    assert busiest < 300
    kept = [entry.keep_s or 0.0 for entry in l2.entries]
    assert len({*kept}) > 9_000
    assert 270 <= min(kept) <= max(kept) <= 330


async def test_memory_holds_no_more_than_it_may_whatever_is_asked_at_the_same_time() -> None:
    """Defect 10 of the design documents: an unbounded map for an L1."""
    cache, load = a_cache(max_entries=50, max_bytes=20_000), Loader(seconds=0.001)

    async def ask(number: int) -> None:
        for at in range(100):
            await get(cache, load, f"{number}:{at}", "shared")
            assert len(cache.local) <= 50
            assert cache.local.bytes <= 20_000

    await asyncio.gather(*map(ask, range(8)))
    assert 0 < len(cache.local) <= 50


async def test_it_is_remembered_for_a_while_and_only_in_memory_that_there_is_nothing() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2), negative_ttl_s=5), Loader()
    load.nothing.add("a")

    assert await get(cache, load, "a") == [(None, "computed")]
    assert await get(cache, load, "a") == [(None, "l1_cache")]
    await asyncio.sleep(5.1)
    assert cache.statistics.negative == 1
    assert not l2.entries
    load.nothing.clear()
    assert await get(cache, load, "a") == [("a!", "computed")]


async def test_where_nothing_is_not_to_be_remembered_it_is_asked_for_each_time() -> None:
    cache, load = a_cache(negative_ttl_s=0), Loader()
    load.nothing.add("a")

    for _ in range(2):
        assert await get(cache, load, "a") == [(None, "computed")]


async def test_what_is_put_is_in_every_level_when_that_is_done() -> None:
    l2, l3 = Store(), Store()
    cache = a_cache(a_level("l2", l2, ttl_s=60), a_level("l3", l3, ttl_s=600))

    await put(cache, a=Value("1"), b=Value("2"))

    assert [(entry.key, entry.keep_s) for entry in l2.entries] == [("a", 60), ("b", 60)]
    assert [(entry.key, entry.keep_s) for entry in l3.entries] == [("a", 600), ("b", 600)]
    assert await get(cache, Loader(), "b", "a") == [("2", "l1_cache"), ("1", "l1_cache")]


async def test_of_two_values_that_are_put_the_newer_stays_in_every_level() -> None:
    l2 = Store()
    cache = a_cache(a_level("l2", l2))

    await put(cache, a=Value("new", 2))
    await put(cache, a=Value("old", 1))

    assert await get(cache, Loader(), "a") == [("new", "l1_cache")]
    cache.clear()
    assert await get(cache, Loader(), "a") == [("new", "l2_cache")]


async def test_who_puts_something_older_than_what_l2_has_does_not_keep_it_in_memory() -> None:
    l2 = Store()
    ours, theirs = a_cache(a_level("l2", l2)), a_cache(a_level("l2", l2))
    await put(theirs, a=Value("theirs", 2))

    await put(ours, a=Value("ours", 1))

    assert await get(ours, Loader(), "a") == [("theirs", "l2_cache")]


async def test_a_blob_that_is_corrupt_is_missing_and_counted() -> None:
    l2 = Store()
    cache, load = a_cache(a_level("l2", l2)), Loader()
    await put(cache, a=Value("1"))
    entry = l2.entries[0]
    l2._kept["a"] = l2._kept["a"]._replace(blob=entry.blob[:10] + b"\xc1")
    cache.clear()

    assert await get(cache, load, "a") == [("a!", "computed")]
    assert cache.statistics.levels["l2"].corrupt == 1
    assert cache.statistics.levels["l2"].misses == 1


class TestStale:
    async def test_a_stale_value_is_given_at_once_and_loaded_again_behind_the_callers_back(
        self,
    ) -> None:
        cache, load = a_cache(l1_ttl_s=10, stale_s=5, refresh_timeout_ms=200), Loader(0.1)
        await get(cache, load, "a")
        await asyncio.sleep(11)
        began = now()

        answers = [await get(cache, load, "a") for _ in range(20)]

        assert now() == began
        assert answers == [[("a!", "l1_cache")]] * 20
        assert cache.statistics.stale == 20
        await asyncio.sleep(0.2)
        assert load.loads == 2
        assert load.until[1] == pytest.approx(began + 0.2)
        assert cache.expires_at("a") == pytest.approx(began + 0.1 + 10)

    async def test_after_that_it_is_gone(self) -> None:
        cache, load = a_cache(l1_ttl_s=10, stale_s=5), Loader(0.1)
        await get(cache, load, "a")
        await asyncio.sleep(15.2)

        assert await get(cache, load, "a") == [("a!", "computed")]

    async def test_a_reload_that_fails_leaves_it_as_it_is_and_only_a_bug_is_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        cache, load = a_cache(l1_ttl_s=10, stale_s=5), Loader()
        await get(cache, load, "a")
        await asyncio.sleep(11)

        for error in (DependencyFailed("down"), ValueError("a bug")):
            load.error = error
            assert await get(cache, load, "a") == [("a!", "l1_cache")]
            await settled()

        assert cache.flights.failures == 2
        assert [record.message for record in caplog.records] == [
            "shop: what nobody waits for failed"
        ]


class TestRefresh:
    async def test_a_key_is_loaded_ahead_of_its_end_into_every_level(self) -> None:
        l2 = Store()
        cache, load = a_cache(a_level("l2", l2), l1_ttl_s=10), Loader()
        await get(cache, load, "a")
        await asyncio.sleep(8)
        l2.asked.clear()

        await cache.refresh(["a"], load)
        await settled()

        assert cache.expires_at("a") == pytest.approx(18, abs=0.01)
        assert l2.asked == []
        assert [stamp_of(entry.blob) & 0xFF for entry in l2.entries] == [1, 2]
        assert cache.statistics.hit_ratio == 0.0

    async def test_it_does_not_load_what_is_being_loaded(self) -> None:
        cache, load = a_cache(), Loader(0.1)
        reading = asyncio.ensure_future(get(cache, load, "a"))
        await asyncio.sleep(0.05)

        await cache.refresh(["a", "b"], load)

        assert load.asked == [["a"], ["b"]]
        assert await reading == [("a!", "computed")]

    async def test_it_raises_what_the_load_raises(self) -> None:
        cache, load = a_cache(), Loader(error=DependencyFailed("down"))

        with pytest.raises(DependencyFailed):
            await cache.refresh(["a"], load)


async def test_whoever_counts_accesses_is_told_of_each_wherever_it_is_found() -> None:
    cache, load = a_cache(a_level("l2", Store())), Loader()
    told: list[str] = []
    cache.on_hit = told.append

    await get(cache, load, "a", "b")
    await get(cache, load, "a")

    assert told == ["a", "b", "a"]


async def test_whoever_asks_when_an_entry_ends_or_writes_another_does_not_use_it() -> None:
    cache, load = a_cache(policy="lru", max_entries=2), Loader()
    await get(cache, load, "a")
    await get(cache, load, "b")
    hits = cache.local.hits

    assert cache.expires_at("a") is not None
    await put(cache, a=Value("older", 0))
    await get(cache, load, "c")

    assert cache.local.hits == hits
    assert cache.expires_at("a") is None
    assert cache.expires_at("b") is not None


async def test_nothing_is_known_of_the_end_of_what_is_not_there() -> None:
    cache = a_cache()

    assert cache.expires_at("a") is None
    assert await get(cache, Loader()) == []
    assert ValueCodec().decode(b"") is None
    assert math.isinf(cache.nearest._left_s(Value("")))
