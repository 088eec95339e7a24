"""How big a batch should be when its members cannot all be in time.

Those who are here are not all who come. When more arrives than can be served, a second has
a price: the callers that a more efficient batch would have served in it. Without that
price small batches save the few who are nearly late, over and over, at the cost of the many
who are still to come; head-limited batches (Clipper, NSDI 2017) shrink to one that way and
goodput collapses. With it, overload has the batch sizes of Nexus' window drop (SOSP 2019).
"""

import math
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from inferd.inference.scheduling.bound import Bound
from inferd.inference.scheduling.latency import LatencyModel
from inferd.inference.scheduling.way_home import WayHome

#: How many batches ahead the comparison of sizes looks.
HORIZON = 8
#: The share of the capacity from which on time is dear, and at which it is at its dearest.
CALM, PRESSED = 0.9, 1.0


@dataclass(slots=True)
class Crowd:
    """Requests that could share a batch and cannot all be in time."""

    #: Ascending.
    deadlines: Sequence[float]
    #: On average.
    rows_each: float
    #: What an instance can serve of such callers.
    rows_per_s: float
    #: What is asked for of late, as a share of what can be served.
    load: float
    #: What their rows have in common.
    shape: Hashable = None
    #: Whether all callers have about the same time, and the same worth.
    alike: bool = False
    #: What a batch costs besides: the wait for its turn.
    turn_s: float = 0.0
    #: What the first 0, 1, 2, … of them are worth together; None: one each.
    worth: Sequence[float] | None = None
    #: What those are worth for whom there is no place: the least.
    price: float = 1.0
    #: Who comes in a hurry: (seconds that callers have, how many a second, their worth a second).
    hurried: Sequence[tuple[float, float, float]] = ()
    #: When the other instances are expected to be free, in order.
    free: Sequence[float] = ()


class Sizes:
    """Compares the bucket sizes on paper. Pure: `now` comes in, a size comes out."""

    def __init__(self, bound: Bound, latency: LatencyModel, home: WayHome) -> None:
        self._latency = latency
        self._bound = bound
        self._home = home

    def best(self, now: float, crowd: Crowd) -> int:
        """Return the rows to take at most.

        Where callers are alike, those who are a little too tight are none the worse for being
        left out: others like them have come meanwhile.
        """
        if crowd.alike:
            return self._whole(now, crowd)
        best, least = 1, (math.inf, math.inf)
        for size in self._offered(now, crowd):
            cost = self._cost(size, crowd, now, least[0])
            if cost < least:
                best, least = size, cost
        return best

    def _offered(self, now: float, crowd: Crowd) -> Iterator[int]:
        """Give the sizes worth comparing, the likeliest first: large ones, as a rule."""
        most = min(crowd.rows_each * len(crowd.deadlines), self._bound.rows)
        sizes = self._latency.sizes
        above = min(bisect_left(sizes, most) + 1, len(sizes))
        yield self._whole(now, crowd)
        for size in reversed(sizes[:above]):
            if size >= crowd.rows_each:
                yield size

    def _whole(self, now: float, crowd: Crowd) -> int:
        """Return the size of the largest batch that is in time for all who would be in it.

        Those who are too tight for it are left out, as many as it takes: the more are, the
        fewer remain, and the sooner it is back (Symphony's window, arXiv 2308.07470).
        """
        deadlines, each = crowd.deadlines, crowd.rows_each

        def in_time(left_out: int) -> bool:
            rows = min(self._bound.rows, math.ceil((len(deadlines) - left_out) * each))
            return (
                now + self._latency.predict(rows, crowd.shape) + self._home.seconds
                <= deadlines[left_out]
            )

        left_out = bisect_left(range(len(deadlines) - 1), True, key=in_time)
        return min(self._bound.rows, math.ceil((len(deadlines) - left_out) * each))

    def _cost(self, size: int, crowd: Crowd, now: float, least: float) -> tuple[float, float]:
        """Return what a batch of `size` costs if it leaves now, in requests; seconds for each.

        Or something above `least`, if it is more.

        It costs those who are lost now and in the batches that follow and, as far as time
        is dear, those whom an efficient batch would have served in the same time, less those
        whom this one serves.
        """
        deadlines, each = crowd.deadlines, crowd.rows_each
        seconds = self._latency.predict(size, crowd.shape)
        first = bisect_left(deadlines, now + seconds + self._home.seconds)
        taken = min(int(size / each), len(deadlines) - first)
        pressure = min(max(0.0, (crowd.load - CALM) / (PRESSED - CALM)), 1.0)
        missed = pressure * (crowd.rows_per_s / each * (seconds + crowd.turn_s) - taken)
        # Some who are lost would not have been served anyhow.
        served = 1.0 / max(crowd.load, 1.0)
        cost = served * (crowd.worth[first] if crowd.worth else first) + missed * crowd.price
        if crowd.hurried:
            cost += self._blocked(seconds, crowd)
        if cost <= least:
            cost += served * self._lost_later(crowd, first + taken, now, seconds)
        return cost, seconds / max(taken, 1)

    def _lost_later(self, crowd: Crowd, at: int, now: float, seconds: float) -> float:
        """Return what those are worth who will be too late for the batches after this one.

        It takes `seconds`, and `at` is the first who is still there when it has left.
        """
        deadlines, each, most = crowd.deadlines, crowd.rows_each, self._bound.rows
        waiting, worth = len(deadlines), crowd.worth or range(len(deadlines) + 1)
        free = [*crowd.free]
        insort(free, now + seconds)
        lost = 0.0
        for _ in range(HORIZON):
            if at >= waiting:
                break
            rows = min(most, math.ceil((waiting - at) * each))
            end = free.pop(0) + crowd.turn_s + self._latency.predict(rows)
            insort(free, end)
            first = bisect_left(deadlines, end + self._home.seconds, lo=at)
            lost += worth[first] - worth[at]
            at = first + int(most / each)
        return lost

    def _blocked(self, seconds: float, crowd: Crowd) -> float:
        """Return how much more than others those are worth who will come too late to wait.

        They come during the run, and have no time to wait for its end.
        """
        needed_s = seconds + self._latency.predict(1) + self._home.seconds
        blocked = 0.0
        for within_s, rate, worth in crowd.hurried:
            if within_s >= needed_s:
                break
            blocked += (worth - crowd.price * rate) * min(seconds, needed_s - within_s)
        return blocked
