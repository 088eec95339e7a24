"""Blobs in this process: for one server without Redis. They are gone when it ends.

What was used longest ago makes room when there is no more, and what has lived its time is not
given any more.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from inferd.cache.blobs import Entry, Written, stamp_of, verdict
from inferd.deadline import Clock

OVERHEAD_BYTES = 300
"""What an entry takes besides its key and its blob, about."""


class _Kept(NamedTuple):
    blob: bytes
    until: float
    size: int


class MemoryBlobs:
    """Keeps blobs up to so many bytes. Lives on the event loop."""

    name = "memory"

    def __init__(self, *, max_bytes: int, clock: Clock) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        #: What is taken now.
        self.bytes = 0
        #: How many had to make room.
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return the blobs of keys; None for what is not there."""
        now = self._clock()
        return [self._get(key, now) for key in keys]

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep blobs unless newer ones are there."""
        now = self._clock()
        return [self._put(entry, now) for entry in entries]

    async def close(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self.bytes = 0

    def _get(self, key: str, now: float) -> bytes | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.until <= now:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return kept.blob

    def _put(self, entry: Entry, now: float) -> Written:
        key, blob, keep_s = entry
        there = self._get(key, now)
        result = verdict(stamp_of(blob), None if there is None else stamp_of(there))
        if result is not Written.STORED:
            return result
        if there is not None:
            self._drop(key)
        until = math.inf if keep_s is None else now + keep_s
        kept = self._kept[key] = _Kept(blob, until, len(key) + len(blob) + OVERHEAD_BYTES)
        self.bytes += kept.size
        while self.bytes > self._max_bytes:
            self._drop(next(iter(self._kept)))
            self.evicted += 1
        return result

    def _drop(self, key: str) -> None:
        self.bytes -= self._kept.pop(key).size
