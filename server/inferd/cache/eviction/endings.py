"""Whose time is over, in O(1): entries lie in boxes by when they end.

A box is for all that end within the same short span, a hundredth of their time to live at most,
and opens when that span is over. So an entry is found up to a hundredth of its life late; and there
are so few boxes, about two hundred for each doubling of the time to live, that a heap of them costs
next to nothing. A box that was emptied early stays until its time.
"""

import heapq
import math
from typing import Any

from inferd.cache.eviction.entry import Entry

PARTS = 8
"""A life is divided into 2^7 to 2^8 spans."""
FINEST = -10
"""No span is shorter than 2^-10 s."""


class Endings:
    """Entries by when they end. `now` and `until` are in monotonic seconds."""

    def __init__(self) -> None:
        self._boxes: dict[float, set[Entry[Any]]] = {}
        self._heap: list[float] = []

    def add(self, entry: Entry[Any], ttl_s: float) -> None:
        """Take in an entry that lives for so long."""
        entry.ending = ending = _box(entry.until, ttl_s)
        box = self._boxes.get(ending)
        if box is None:
            box = self._boxes[ending] = set()
            heapq.heappush(self._heap, ending)
        box.add(entry)

    def remove(self, entry: Entry[Any]) -> None:
        """Forget an entry, unless `pop` did."""
        box = self._boxes.get(entry.ending)
        if box is not None:
            box.discard(entry)

    def pop(self, now: float) -> Entry[Any] | None:
        """Return an entry that is over, and forget it; None: there is none, as far as it knows."""
        while self._heap and self._heap[0] <= now:
            box = self._boxes[self._heap[0]]
            if box:
                return box.pop()
            del self._boxes[heapq.heappop(self._heap)]
        return None

    def clear(self) -> None:
        """Forget all."""
        self._boxes.clear()
        self._heap.clear()


def _box(until: float, ttl_s: float) -> float:
    """Return the end of the span that `until` lies in."""
    if math.isinf(until):
        return until
    _, exponent = math.frexp(ttl_s)
    span = math.ldexp(1.0, max(exponent - PARTS, FINEST))
    return -(-until // span) * span
