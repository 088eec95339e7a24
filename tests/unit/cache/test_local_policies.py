"""Who leaves a cache that is full: what the policies differ in."""

from collections.abc import Hashable, Iterable

from inferd.cache.eviction.endings import Endings
from inferd.cache.eviction.entry import Entry
from inferd.cache.eviction.frequencies import MOST, Frequencies
from inferd.cache.local import Local, Policy


def full_of(keys: Iterable[Hashable], policy: Policy, *, size: int = 1) -> Local[Hashable]:
    keys = list(keys)
    local = Local[Hashable](max_entries=len(keys), max_bytes=len(keys) * size, policy=policy)
    put(local, keys, size=size)
    return local


def put(local: Local[Hashable], keys: Iterable[Hashable], *, size: int = 1) -> None:
    for key in keys:
        local.put(key, key, now=0.0, ttl_s=60.0, size=size)


def read(local: Local[Hashable], keys: Iterable[Hashable]) -> None:
    for key in keys:
        local.get(key, 0.0)


def kept(local: Local[Hashable], keys: Iterable[Hashable]) -> list[Hashable]:
    return [key for key in keys if local.get(key, 0.0) is not None]


def requested(local: Local[Hashable], keys: Iterable[Hashable]) -> None:
    for key in keys:
        if local.get(key, 0.0) is None:
            local.put(key, key, now=0.0, ttl_s=60.0, size=1)


def test_fifo_lets_go_who_was_put_first_read_or_not() -> None:
    local = full_of("abc", "fifo")

    read(local, "aaa")
    put(local, "d")

    assert kept(local, "abcd") == ["b", "c", "d"]


def test_lru_lets_go_who_was_read_longest_ago() -> None:
    local = full_of("abc", "lru")

    read(local, "a")
    put(local, "d")

    assert kept(local, "abcd") == ["a", "c", "d"]


def test_lfu_lets_go_who_was_read_least() -> None:
    local = full_of("abc", "lfu")

    read(local, "aabcc")
    put(local, "d")

    assert kept(local, "abcd") == ["a", "c", "d"]


def test_lfu_lets_go_of_equals_who_was_read_longest_ago() -> None:
    local = full_of("abc", "lfu")

    read(local, "cab")
    put(local, "d")

    assert kept(local, "abcd") == ["a", "b", "d"]


def test_lfu_does_not_forget_what_is_put_again() -> None:
    local = full_of("abc", "lfu")

    read(local, "aaabc")
    put(local, "a")
    put(local, "d")

    assert "a" in kept(local, "abcd")


def test_lfu_lets_go_in_the_end_who_was_wanted_long_ago() -> None:
    local = full_of(range(10), "lfu")
    read(local, [0] * 10_000)

    for _ in range(500):
        requested(local, range(100, 120))

    assert kept(local, [0]) == []


def test_w_tinylfu_lets_a_scan_pass_by_what_is_read_often() -> None:
    often = range(500)
    local = full_of(range(1000), "w_tinylfu")
    for _ in range(3):
        requested(local, often)

    requested(local, range(10_000, 15_000))

    assert len(kept(local, often)) > 490


def test_lru_loses_everything_to_a_scan() -> None:
    often = range(500)
    local = full_of(range(1000), "lru")
    for _ in range(3):
        requested(local, often)

    requested(local, range(10_000, 15_000))

    assert kept(local, often) == []


def test_w_tinylfu_admits_who_is_new_and_wanted_more_often() -> None:
    local = full_of(range(100), "w_tinylfu")

    for _ in range(5):
        requested(local, ["new"])
        requested(local, range(1000, 1010))

    assert kept(local, ["new"]) == ["new"]


def test_w_tinylfu_protects_who_was_read_from_many_who_are_wanted_more_often() -> None:
    local = full_of(range(100), "w_tinylfu")
    read(local, range(100))
    for key in range(100):
        local.discard(key)

    put(local, range(200, 300))
    read(local, range(200, 210))
    for key in range(1000, 1120):
        requested(local, [key] * 5)

    assert kept(local, range(200, 300)) == [*range(200, 210)]


def test_w_tinylfu_follows_when_other_keys_are_wanted() -> None:
    local = full_of(range(100), "w_tinylfu")
    for _ in range(50):
        requested(local, range(100))

    for _ in range(50):
        requested(local, range(1000, 1080))

    assert len(kept(local, range(1000, 1080))) > 70


def test_w_tinylfu_protects_by_bytes_too() -> None:
    often = range(500)
    local = Local[Hashable](max_entries=10**6, max_bytes=100_000)
    put(local, range(1000), size=100)
    for _ in range(3):
        read(local, often)

    put(local, range(10_000, 15_000), size=100)

    assert local.bytes == 100_000
    assert len(kept(local, often)) > 490


def test_w_tinylfu_protects_values_that_are_larger_than_its_window() -> None:
    local = Local[Hashable](max_entries=10**6, max_bytes=1000)
    put(local, range(10), size=100)
    for _ in range(3):
        read(local, range(9))

    put(local, range(100, 150), size=100)

    assert kept(local, range(9)) == [*range(9)]


def test_a_cache_of_one_keeps_the_last() -> None:
    for policy in ("fifo", "lru", "lfu", "w_tinylfu"):
        local = Local[Hashable](max_entries=1, policy=policy)
        put(local, "abc")
        assert kept(local, "abc") == ["c"]


def test_frequencies_count_up_to_fifteen() -> None:
    frequencies = Frequencies(100)

    for _ in range(7):
        frequencies.count("some")
    for _ in range(100):
        frequencies.count("often")

    assert frequencies.of("some") == 7
    assert frequencies.of("often") == MOST
    assert frequencies.of("never") == 0


def test_frequencies_are_halved_after_ten_uses_per_entry() -> None:
    frequencies = Frequencies(100)
    for _ in range(8):
        frequencies.count("k")

    for n in range(1000 - 8):
        frequencies.count(n)

    assert frequencies.of("k") == 4


def test_frequencies_tell_apart_integers_that_differ_in_high_bits_only() -> None:
    frequencies = Frequencies(1000)

    for n in range(1000):
        frequencies.count(n << 40)

    assert sum(frequencies.of(n << 40) > 1 for n in range(1000)) < 50
    assert sum(frequencies.of(n << 40) > 0 for n in range(1000, 2000)) < 50


def ending(until: float) -> Entry[None]:
    entry = Entry("k", None)
    entry.until = until
    return entry


def test_an_end_is_found_within_a_hundredth_of_the_life() -> None:
    for ttl_s in (0.5, 1.0, 7.3, 300.0, 86400.0):
        endings, entry = Endings(), ending(1000.0 + ttl_s)
        endings.add(entry, ttl_s)

        assert endings.pop(entry.until * (1 - 1e-9)) is None
        assert endings.pop(entry.until + ttl_s / 100) is entry
        assert endings.pop(1e9) is None


def test_ends_are_kept_in_few_boxes_however_many_entries_come_and_go() -> None:
    endings = Endings()

    for n in range(20_000):
        entry = ending(n / 10 + 300.0)
        endings.add(entry, 300.0)
        endings.remove(entry)
        endings.pop(n / 10)

    assert len(endings._boxes) < 300
