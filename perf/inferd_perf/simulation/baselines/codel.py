"""CoDel and adaptive LIFO: when a queue stands, the newest go first and the old are dropped.

Maurer, "Fail at Scale", ACM Queue 13(8), 2015, and folly's executors/Codel.cpp: when the least
delay of an interval was above a target, the server is overloaded; who has then waited for twice
the target is let go. While it is overloaded, the newest go first, because their callers are the
likeliest still to be there.

Difference: the delay that is looked at is that of the oldest who waits, once a batch. folly's is
that of each task as it leaves, which in last-in, first-out order is next to nothing however long
the queue: the overload would end with the next interval.
"""

from inferd.inference.scheduling import Ticket
from inferd_perf.simulation.baselines.queues import Baseline, Line, by_arrival
from inferd_perf.simulation.setting import Setting

#: The delay that a queue may have for an interval, and the interval. folly: 5 and 100 ms.
TARGET_S = 0.007
INTERVAL_S = 0.02
#: Who has waited for so many targets is let go, under overload.
SLOUGH = 2.0


class Codel:
    """Tells a queue that stands from one that only a burst has filled."""

    def __init__(self, target_s: float, interval_s: float) -> None:
        self._target_s = target_s
        self._interval_s = interval_s
        self._ends_at = 0.0
        self._least_s: float | None = None
        self.overloaded = False

    def note(self, now: float, delay_s: float) -> None:
        """Learn of a delay."""
        if self._least_s is not None and now > self._ends_at:
            self._ends_at = now + self._interval_s
            self.overloaded = self._least_s > self._target_s
            self._least_s = None
        self._least_s = delay_s if self._least_s is None else min(self._least_s, delay_s)

    def too_long_ago(self, now: float) -> float:
        """Return the moment such that who came before it is let go under overload."""
        return now - SLOUGH * self._target_s


class CodelLifo(Baseline):
    """Greedy batches, from the front of the queue or, under overload, from its end."""

    def __init__(
        self, setting: Setting, *, target_s: float = TARGET_S, interval_s: float = INTERVAL_S
    ) -> None:
        super().__init__(setting, by_arrival)
        self._codel = Codel(target_s, interval_s)

    def _leave(self, now: float, line: Line) -> list[Ticket]:
        codel = self._codel
        codel.note(now, now - line.first.arrived)
        if not codel.overloaded:
            return self._cut(line, 0, line.fitting(self._most))
        self._drop(line, 0, line.before(codel.too_long_ago(now)))
        return self._cut(line, len(line) - self._newest(line), len(line))

    def _newest(self, line: Line) -> int:
        """Return how many of the last fit into a batch."""
        if line.rows == len(line):
            return min(self._most, len(line))
        count = rows = 0
        for _, _, ticket in reversed(line.entries):
            rows += ticket.rows
            if rows > self._most:
                break
            count += 1
        return count
