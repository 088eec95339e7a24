"""Values in this process, for a while: the first level of a cache.

Every entry has a time to live of its own, and what is over is not given any more. Entries and bytes
have a budget each, which is never exceeded: room is made before a value is kept, by what is over
first, and then by whom the policy chooses (`eviction`). All of it takes O(1).

Nothing here waits or loads. Values are given to many readers, and so must not be changed by any.
"""

import math
from collections.abc import Hashable
from typing import Generic, Literal, TypeAlias, TypeVar

from inferd.cache.eviction.endings import Endings
from inferd.cache.eviction.entry import Entry, Order
from inferd.cache.eviction.orders import Fifo, Lfu, Lru
from inferd.cache.eviction.tiny_lfu import TinyLfu

V = TypeVar("V")
Policy: TypeAlias = Literal["fifo", "lru", "lfu", "w_tinylfu"]
"""Who leaves when there is no more room."""
SWEPT = 2
"""Entries that are over and leave with every `put`: more than come."""


class Local(Generic[V]):
    """Keeps values by key. Lives on the event loop. `now` is in monotonic seconds."""

    def __init__(
        self, *, max_entries: int, max_bytes: int | None = None, policy: Policy = "w_tinylfu"
    ) -> None:
        """Keep at most so much. `max_bytes` counts what `put` is told; None: there is no limit."""
        if max_entries < 1:
            raise ValueError(f"max_entries is {max_entries}, and must be at least 1")
        self._max_entries = max_entries
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._entries: dict[Hashable, Entry[V]] = {}
        self._endings = Endings()
        self._order = _order(policy, max_entries, self._max_bytes)
        #: What is taken now, also by those that are over and still there.
        self.bytes = 0
        #: Of `get`.
        self.hits = self.misses = 0
        #: Entries that left, or were not let in, for want of room.
        self.evictions = 0
        #: Entries that left because they were over.
        self.expired = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, now: float) -> V | None:
        """Return a value; None: it is not there, or over."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        if entry.until <= now:
            self.misses += 1
            self.expired += 1
            self._remove(entry)
            return None
        self.hits += 1
        self._order.use(entry)
        return entry.value

    def peek(self, key: Hashable, now: float) -> V | None:
        """Return a value as `get` does, for somebody who does not use it: nothing is counted."""
        entry = self._entries.get(key)
        return None if entry is None or entry.until <= now else entry.value

    def put(self, key: Hashable, value: V, *, now: float, ttl_s: float, size: int = 0) -> None:
        """Keep a value for `ttl_s`, instead of what is there; what is too large is not kept.

        `size` is in bytes, and not negative. Who wants entries not to end together varies `ttl_s`.
        """
        entry = self._entries.get(key)
        if entry is None:
            entry = Entry(key, value)
        else:
            self._remove(entry)
            entry.value = value
        self._sweep(now)
        if not ttl_s > 0:
            return
        if size > self._max_bytes:
            self.evictions += 1
            return
        self._make_room(size, now)
        entry.until, entry.size = now + ttl_s, size
        self._entries[key] = entry
        self._endings.add(entry, ttl_s)
        self._order.add(entry)
        self.bytes += size

    def discard(self, key: Hashable) -> None:
        """Forget what is under a key, if anything is."""
        entry = self._entries.get(key)
        if entry is not None:
            self._remove(entry)

    def clear(self) -> None:
        """Forget everything, but not how often it was used."""
        self._entries.clear()
        self._endings.clear()
        self._order.clear()
        self.bytes = 0

    def _sweep(self, now: float) -> None:
        """Have some leave that are over and that nobody asks for."""
        for _ in range(SWEPT):
            entry = self._endings.pop(now)
            if entry is None:
                return
            self.expired += 1
            self._remove(entry)

    def _make_room(self, size: int, now: float) -> None:
        while len(self._entries) >= self._max_entries or self.bytes + size > self._max_bytes:
            entry = self._endings.pop(now) or self._order.victim(size)
            if entry.until <= now:
                self.expired += 1
            else:
                self.evictions += 1
            self._remove(entry)

    def _remove(self, entry: Entry[V]) -> None:
        del self._entries[entry.key]
        self._endings.remove(entry)
        self._order.remove(entry)
        self.bytes -= entry.size


def _order(policy: Policy, max_entries: int, max_bytes: float) -> Order:
    match policy:
        case "fifo":
            return Fifo()
        case "lru":
            return Lru()
        case "lfu":
            return Lfu()
        case "w_tinylfu":
            return TinyLfu(max_entries=max_entries, max_bytes=max_bytes)
