"""When requests are meant to leave, decided before the server is asked anything.

An open-loop generator sends at these times whatever the server does, and counts latency
from them. A generator that waits for answers before it sends the next request would slow
down with the server, and leave out exactly the requests that would have been slow.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count


def fixed(rate: float) -> Iterator[float]:
    """Yield evenly spaced times in seconds from the start, `rate` per second, for ever."""
    return (i / rate for i in count())


def poisson(rate: float, seed: int) -> Iterator[float]:
    """Yield the times, in seconds, of independent callers: `rate` per second on average."""
    rng = random.Random(seed)
    at = 0.0
    while True:
        at += rng.expovariate(rate)
        yield at


@dataclass(frozen=True, slots=True)
class Window:
    """The warm-up, and the part of a run after it that is measured. Times from the start."""

    warmup_s: float
    duration_s: float
    #: The most requests that are measured; None: as many as the duration holds.
    count: int | None = None

    @property
    def end_s(self) -> float:
        """The moment after which nothing is sent."""
        return self.warmup_s + self.duration_s

    def measures(self, at_s: float) -> bool:
        """Return whether a request meant for `at_s` is measured."""
        return self.warmup_s <= at_s < self.end_s


class Quota:
    """How many more requests a window admits: the bound of a run in time and in number."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._left = math.inf if window.count is None else window.count

    def admits(self, at_s: float) -> bool:
        """Take a place for a request meant for `at_s`; False: the run is over."""
        if at_s >= self._window.end_s or self._left <= 0:
            return False
        if self._window.measures(at_s):
            self._left -= 1
        return True


def bounded(arrivals: Iterator[float], window: Window) -> Iterator[float]:
    """Yield the arrivals, warm-up included, that the window admits."""
    quota = Quota(window)
    for at in arrivals:
        if not quota.admits(at):
            return
        yield at
