"""What the calls of late came to: how many, how many of them failed, and how many were slow.

Of late is either a time or a number of calls. A time is cut into buckets, and the oldest is
forgotten as a whole, so that the window is up to one bucket shorter than it says. Pure: `now`
comes in, in monotonic seconds. One call costs the same whatever the window's size, and leaves
nothing behind but counts.
"""

import math
from collections import deque
from typing import NamedTuple

BUCKETS = 10
_FAILED, _SLOW = 1, 2


class Counts(NamedTuple):
    """Calls, and of them the failed and the slow. A call may be both."""

    calls: int = 0
    failures: int = 0
    slow: int = 0


_NOTHING = Counts()


class TimeWindow:
    """The calls of the last so many seconds."""

    __slots__ = ("_before", "_ends", "_full", "_index", "_width_s", "calls", "failures", "slow")

    def __init__(self, seconds: float) -> None:
        self._width_s = seconds / BUCKETS
        #: All of the window, as of the last call.
        self.calls = self.failures = self.slow = 0
        #: The same when the bucket began that is being filled; what came since is in it.
        self._before = _NOTHING
        self._full: deque[Counts] = deque(maxlen=BUCKETS - 1)
        #: Which bucket is being filled, counted from the clock's zero, and until when.
        self._index = 0
        self._ends = -math.inf

    def record(self, failed: bool, slow: bool, now: float) -> None:
        """Count a call that ends now."""
        if now >= self._ends:
            self._turn(now)
        self.calls += 1
        if failed:
            self.failures += 1
        if slow:
            self.slow += 1

    def counts(self, now: float) -> Counts:
        """Return what is in the window now."""
        if now >= self._ends:
            self._turn(now)
        return Counts(self.calls, self.failures, self.slow)

    def clear(self) -> None:
        """Forget all calls."""
        self._full.clear()
        self._before = _NOTHING
        self.calls = self.failures = self.slow = 0

    def _turn(self, now: float) -> None:
        """Begin the bucket that `now` is in, and forget those that are too old by then."""
        index = int(now // self._width_s)
        passed = index - self._index
        if passed > 0:
            calls, failures, slow = self._before
            self._full.append(
                Counts(self.calls - calls, self.failures - failures, self.slow - slow)
            )
            self._full.extend([_NOTHING] * (min(passed, BUCKETS) - 1))
            self._before = Counts(*map(sum, zip(*self._full, strict=True)))
            self.calls, self.failures, self.slow = self._before
        self._index = index
        self._ends = (index + 1) * self._width_s


class CountWindow:
    """The last so many calls."""

    __slots__ = ("_next", "_ring", "calls", "failures", "slow")

    def __init__(self, size: int) -> None:
        #: One byte per call.
        self._ring = bytearray(size)
        self._next = 0
        self.calls = self.failures = self.slow = 0

    def record(self, failed: bool, slow: bool, now: float) -> None:
        """Count a call. When it was does not matter."""
        ring, place = self._ring, self._next
        if self.calls < len(ring):
            self.calls += 1
        elif oldest := ring[place]:
            self.failures -= oldest & _FAILED
            self.slow -= oldest >> 1
        ring[place] = failed * _FAILED | slow * _SLOW
        self.failures += failed
        self.slow += slow
        self._next = (place + 1) % len(ring)

    def counts(self, now: float) -> Counts:
        """Return what is in the window, whenever that was."""
        return Counts(self.calls, self.failures, self.slow)

    def clear(self) -> None:
        """Forget all calls."""
        self._next = 0
        self.calls = self.failures = self.slow = 0
