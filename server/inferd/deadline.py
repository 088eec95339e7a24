"""Deadlines: points on the monotonic clock, not durations.

A duration goes stale the moment it is handed on; a point in time does not. So a deadline
is fixed once, at the edge, and every layer below asks how much is left.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

Clock = Callable[[], float]
"""Seconds on a monotonic clock, as `time.monotonic` tells them."""


class Deadline(NamedTuple):
    """The point in time, in monotonic seconds, after which an answer is worthless."""

    at: float

    @classmethod
    def after(cls, seconds: float, *, now: float) -> "Deadline":
        """Return the deadline that is `seconds` away."""
        return cls(now + seconds)

    def remaining(self, now: float) -> float:
        """Return the seconds left, negative when it has passed, infinite when unlimited."""
        return self.at - now

    def tightened(self, seconds: float, *, now: float) -> "Deadline":
        """Return the earlier of this deadline and the one `seconds` away."""
        at = now + seconds
        return self if self.at <= at else Deadline(at)

    @property
    def unlimited(self) -> bool:
        """Whether the caller named no deadline at all."""
        return self.at == math.inf


NEVER = Deadline(math.inf)
"""What a call has when its caller named no deadline."""
