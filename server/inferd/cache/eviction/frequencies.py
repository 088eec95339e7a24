"""How often keys were used of late, of those that are not kept, too: a count-min sketch.

A key has four counters, each of which it shares with others by chance; the lowest of the four is
the closest to the truth, and never below it. Only the lowest are raised (conservative update).
Counters end at 15; and after ten uses per entry all are halved, so that what was long ago weighs
less (Einziger, Friedman, Manes: TinyLFU, A Highly Efficient Cache Admission Policy, 2017).
"""

from collections.abc import Hashable

import numpy as np

MOST = 15
"""What four bits can count. A counter has a byte here: to unpack it would take longer."""
PER_ENTRY = 8
"""Counters for each entry that the cache may keep, at least."""
SAMPLE = 10
"""Uses per entry between two halvings."""
SPREAD = 0x9E3779B97F4A7C15
"""Odd, 2^64 over the golden ratio: spreads integers, whose hashes are themselves (Knuth)."""


class Frequencies:
    """Counts the uses of keys, about."""

    def __init__(self, entries: int) -> None:
        """Be about as exact as a cache of so many entries needs."""
        width = 1 << max(6, (PER_ENTRY * entries - 1).bit_length())
        self._mask = width - 1
        self._counters = bytearray(width)
        self._sample = SAMPLE * entries
        self._counted = 0

    def count(self, key: Hashable) -> None:
        """Count a use of a key."""
        counters = self._counters
        a, b, c, d = self._cells(key)
        least = min(counters[a], counters[b], counters[c], counters[d])
        if least == MOST:
            return
        for cell in (a, b, c, d):
            if counters[cell] == least:
                counters[cell] = least + 1
        self._counted += 1
        if self._counted == self._sample:
            self._halve()

    def of(self, key: Hashable) -> int:
        """Return how often a key was used: `MOST` or less."""
        counters = self._counters
        a, b, c, d = self._cells(key)
        return min(counters[a], counters[b], counters[c], counters[d])

    def _cells(self, key: Hashable) -> tuple[int, int, int, int]:
        """Return where the four counters of a key are. (An odd step leads to four places.)"""
        mask = self._mask
        spread = hash(key) * SPREAD
        step = (spread >> 12 & mask) | 1
        a = spread >> 40 & mask
        b = a + step & mask
        c = b + step & mask
        return a, b, c, c + step & mask

    def _halve(self) -> None:
        counters = np.frombuffer(self._counters, np.uint8)
        counters >>= 1
        self._counted //= 2
