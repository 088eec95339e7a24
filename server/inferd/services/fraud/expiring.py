"""Things that are there until a time: a bounded number of them, none of which is dropped early.

Block lists and snoozes are somebody's decision, so where there is no room for one more it is
refused; what is there stays.
"""

import heapq
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FOREVER_US = 2**63 - 1


class NoRoom(Exception):
    """There is as much as there can be. The message says how much that is."""


class Expiring(Generic[K]):
    """Keys, each with the time from which it is not there any more. O(log n)."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._until_us: dict[K, int] = {}
        #: All keys by when they end, among others that ended, or end at another time by now.
        self._ends: list[tuple[int, int, K]] = []
        self._added = 0

    def __len__(self) -> int:
        """Return how many there are, those included that ended since something was added."""
        return len(self._until_us)

    def until_us(self, key: K, now_us: int) -> int | None:
        """Return until when a key is there; None: it is not."""
        until_us = self._until_us.get(key)
        return until_us if until_us is not None and until_us > now_us else None

    def add(self, key: K, until_us: int, now_us: int) -> bool:
        """Have a key there until then, whatever was said before. Return whether it is new.

        Raises `NoRoom`.
        """
        self._forget_ended(now_us)
        if until_us <= now_us:
            self._until_us.pop(key, None)
            return False
        new = key not in self._until_us
        if new and len(self._until_us) >= self.most:
            raise NoRoom(f"there are {self.most} already, and no more are kept")
        self._until_us[key] = until_us
        if until_us < FOREVER_US:
            self._note_end(key, until_us)
        return new

    def remove(self, key: K, now_us: int) -> bool:
        """Have a key there no more. Return whether it was."""
        until_us = self._until_us.pop(key, None)
        return until_us is not None and until_us > now_us

    def items(self, now_us: int) -> Iterator[tuple[K, int]]:
        """Yield what is there, and until when."""
        return ((key, until) for key, until in self._until_us.items() if until > now_us)

    def _note_end(self, key: K, until_us: int) -> None:
        self._added += 1  # tells equal times apart, as keys cannot be compared
        heapq.heappush(self._ends, (until_us, self._added, key))
        if len(self._ends) > 2 * len(self._until_us) + 64:
            ends = self._until_us.items()
            self._ends = [(end, at, key) for at, (key, end) in enumerate(ends) if end < FOREVER_US]
            heapq.heapify(self._ends)
            self._added = len(ends)

    def _forget_ended(self, now_us: int) -> None:
        while self._ends and self._ends[0][0] <= now_us:
            until_us, _, key = heapq.heappop(self._ends)
            if self._until_us.get(key) == until_us:
                del self._until_us[key]
