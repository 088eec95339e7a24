"""What the first level of a cache costs and finds, beside cachetools and theine.

    .venv/bin/python perf/cache_cost.py [--entries 10000] [--rounds 7]

First the cost: reads of keys that are there and that are not, and writes of new keys to a cache
that is full. The caches take turns, and what is printed is the median of the rounds. Then what they
find, when keys are wanted as Zipf's law has it, undisturbed, and with a scan in between: half as
many keys again, each wanted once. Every key that is not found is put.

None of the others does all that ours does. cachetools' TLRUCache gives each entry a time to live,
and has one budget, of entries or of bytes; who is not over leaves as in an LRU. Its TTLCache has
one time to live for all entries, and its LRUCache none. theine gives each entry a time to live, and
counts entries only; its policy is in Rust, and it has a thread and a clock of its own, which cannot
be told what time it is.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Protocol, get_args

import cachetools
import numpy as np
import theine

from inferd.cache.local import Local, Policy

CALLS = 5_000
TTL_S = 300.0
KEYS = 100_000
WANTED = 100_000
"""Requests, by Zipf's law with exponent 1, without those of the scan."""
SCANNED = 500, 1_000
"""Keys of the scan, after so many requests of others."""


class Cache(Protocol):
    """What is compared. A read says what it found, or None."""

    def read(self, key: str) -> object:
        """Look for a key."""

    def write(self, key: str) -> None:
        """Put something under a key."""


class Ours:
    """inferd's. It is told the time, which the others look up themselves."""

    def __init__(self, entries: int, policy: Policy) -> None:
        self._local = Local[str](max_entries=entries, max_bytes=1 << 40, policy=policy)

    def read(self, key: str) -> object:
        """Look for a key."""
        return self._local.get(key, time.monotonic())

    def write(self, key: str) -> None:
        """Put something under a key."""
        self._local.put(key, key, now=time.monotonic(), ttl_s=TTL_S, size=100)


class Cachetools:
    """One of cachetools'."""

    def __init__(self, cache: cachetools.Cache[str, str]) -> None:
        self._cache = cache

    def read(self, key: str) -> object:
        """Look for a key."""
        return self._cache.get(key)

    def write(self, key: str) -> None:
        """Put something under a key."""
        self._cache[key] = key


class Theine:
    """theine's, for one thread, as ours is."""

    def __init__(self, entries: int) -> None:
        self._cache = theine.Cache[str, str](entries, nolock=True)
        self._ttl = timedelta(seconds=TTL_S)

    def read(self, key: str) -> object:
        """Look for a key."""
        value, found = self._cache.get(key)
        return value if found else None

    def write(self, key: str) -> None:
        """Put something under a key."""
        self._cache.set(key, key, self._ttl)


def caches(entries: int) -> dict[str, Callable[[], Cache]]:
    """Return how to make what is compared, by what it is called in the tables."""
    return {
        **{policy: partial(Ours, entries, policy) for policy in get_args(Policy)},
        "cachetools LRUCache": lambda: Cachetools(cachetools.LRUCache(entries)),
        "cachetools TTLCache": lambda: Cachetools(cachetools.TTLCache(entries, TTL_S)),
        "cachetools TLRUCache": lambda: Cachetools(
            cachetools.TLRUCache(entries, lambda key, value, now: now + TTL_S)
        ),
        "theine": partial(Theine, entries),
    }


def ns_per_call(act: Callable[[str], object], keys: Sequence[str]) -> float:
    """Return how long a call takes."""
    began = time.thread_time_ns()
    for key in keys:
        act(key)
    return (time.thread_time_ns() - began) / len(keys)


def costs(cache: Cache, there: Sequence[str], new: Sequence[str]) -> tuple[float, float, float]:
    """Return what a hit, a miss and a put take, in nanoseconds."""
    hit = ns_per_call(cache.read, [key for key in there if cache.read(key) is not None])
    miss = ns_per_call(cache.read, new)
    return hit, miss, ns_per_call(cache.write, new)


def compare_costs(entries: int, rounds: int) -> None:
    """Print the medians."""
    took: dict[str, list[tuple[float, float, float]]] = {}
    filled = {name: make() for name, make in caches(entries).items()}
    for cache in filled.values():
        for n in range(entries):
            cache.write(f"key:{n}")
    there = [f"key:{n}" for n in range(0, entries, max(1, entries // CALLS))]
    for turn in range(rounds):
        new = [f"new:{turn}:{n}" for n in range(CALLS)]
        for name, cache in filled.items():
            for key in there:  # what the last turn drove out
                if cache.read(key) is None:
                    cache.write(key)
            took.setdefault(name, []).append(costs(cache, there, new))
    print(f"{'ns, ' + format(entries, ',') + ' entries':24} {'hit':>7} {'miss':>7} {'put':>7}")
    for name, each in took.items():
        hit, miss, put = map(statistics.median, zip(*each, strict=True))
        print(f"{name:24} {hit:7.0f} {miss:7.0f} {put:7.0f}")


def wanted(*, scanned: bool) -> Iterator[str]:
    """Return the keys that are asked for, the same ones every time."""
    weights = 1 / np.arange(1, KEYS + 1)
    chosen = np.random.default_rng(7).choice(KEYS, WANTED, p=weights / weights.sum())
    keys, after = SCANNED
    for n, key in enumerate(chosen.tolist()):
        yield f"key:{key}"
        if scanned and n % after == 0:
            yield from (f"scan:{n + each}" for each in range(keys))


def hit_ratio(cache: Cache, keys: Sequence[str]) -> float:
    """Ask for keys, put what is not there, and return the share of what was."""
    hits = 0
    for key in keys:
        if cache.read(key) is None:
            cache.write(key)
        else:
            hits += 1
    return hits / len(keys)


def compare_hit_ratios() -> None:
    """Print what share of the requests was found, in caches of 1 % and of 5 % of the keys."""
    traces = {each: [*wanted(scanned=each)] for each in (False, True)}
    sizes = KEYS // 100, KEYS // 20
    head = (f"{'scan' if each else 'zipf'} {size:,}" for each in traces for size in sizes)
    print(f"\n{'hit ratio':24}", *(f"{each:>10}" for each in head))
    for name in caches(1):
        ratios = (hit_ratio(caches(n)[name](), keys) for keys in traces.values() for n in sizes)
        print(f"{name:24}", *(f"{ratio:10.3f}" for ratio in ratios))


def main() -> None:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000, help="of a cache that is timed")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    compare_costs(given.entries, given.rounds)
    compare_hit_ratios()


if __name__ == "__main__":
    main()
