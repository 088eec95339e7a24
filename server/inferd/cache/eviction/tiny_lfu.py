"""W-TinyLFU: whoever is new has to be wanted more often than the one that would leave for it.

New entries come into a small window. Who is pushed out of it while the cache is full competes with
whoever would leave the main part next: the one whose key was used more often of late stays. So a
scan, whose keys are used once each, passes through the window and harms nobody. The main part is a
segmented LRU: entries are on probation until they are read; then they are protected, as long as
there is room among the protected. Source: Einziger, Friedman, Manes, TinyLFU: A Highly Efficient
Cache Admission Policy, ACM Transactions on Storage 13 (4), 2017, section 4; as in Caffeine, large
entries compete with one other after the other until there is room.
"""

from collections import OrderedDict
from typing import Any

from inferd.cache.eviction.entry import Entry, Queue, first
from inferd.cache.eviction.frequencies import Frequencies

WINDOW = 0.01
"""The window's share of the cache."""
PROTECTED = 0.8
"""The share of the protected of what is not window."""


class Segment:
    """A queue with budgets of its own, and room for one entry at least."""

    def __init__(self, rank: int, *, max_entries: float, max_bytes: float) -> None:
        self.queue: Queue = OrderedDict()
        self._rank = rank
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._bytes = 0

    def add(self, entry: Entry[Any]) -> None:
        """Put an entry last."""
        entry.rank = self._rank
        self.queue[entry] = None
        self._bytes += entry.size

    def remove(self, entry: Entry[Any]) -> None:
        """Forget an entry."""
        del self.queue[entry]
        self._bytes -= entry.size

    def overflows(self, entries: int = 0, size: int = 0) -> bool:
        """Return whether its first would have to go if there were so much more in it."""
        entries += len(self.queue)
        return entries > 1 and (entries > self._max_entries or self._bytes + size > self._max_bytes)

    def clear(self) -> None:
        """Forget all."""
        self.queue.clear()
        self._bytes = 0


class TinyLfu:
    """W-TinyLFU, with a window of a fixed size. The rank of an entry is its segment."""

    def __init__(self, *, max_entries: int, max_bytes: float) -> None:
        """`max_entries` had better be about what there will be, if it is bytes that run out."""
        self._frequencies = Frequencies(max_entries)
        shares = WINDOW, 1 - WINDOW, (1 - WINDOW) * PROTECTED
        self._segments = [
            Segment(rank, max_entries=share * max_entries, max_bytes=share * max_bytes)
            for rank, share in enumerate(shares)
        ]
        self._window, self._probation, self._protected = self._segments

    def add(self, entry: Entry[Any]) -> None:
        """Take in an entry that was put. One that was in the main part does not leave it."""
        self._frequencies.count(entry.key)
        self._place(entry, self._protected if entry.rank else self._window)

    def use(self, entry: Entry[Any]) -> None:
        """Note that an entry was read."""
        self._frequencies.count(entry.key)
        segment = self._segments[entry.rank]
        if segment is self._probation:
            segment.remove(entry)
            self._place(entry, self._protected)
        else:
            segment.queue.move_to_end(entry)

    def remove(self, entry: Entry[Any]) -> None:
        """Forget an entry, but not how often its key was used."""
        self._segments[entry.rank].remove(entry)

    def victim(self, size: int) -> Entry[Any]:
        """Return who is to leave for a newcomer of `size` bytes."""
        main = self._probation.queue or self._protected.queue
        if not main:
            return first(self._window.queue)
        victim = first(main)
        if not self._window.overflows(1, size):
            return victim
        candidate = first(self._window.queue)
        if self._frequencies.of(candidate.key) <= self._frequencies.of(victim.key):
            return candidate
        self._window.remove(candidate)
        self._probation.add(candidate)
        return victim

    def clear(self) -> None:
        """Forget all entries."""
        for segment in self._segments:
            segment.clear()

    def _place(self, entry: Entry[Any], segment: Segment) -> None:
        """Have an entry be in a segment, and those on probation that have no room in it then."""
        segment.add(entry)
        while segment.overflows():
            other = first(segment.queue)
            segment.remove(other)
            self._probation.add(other)
