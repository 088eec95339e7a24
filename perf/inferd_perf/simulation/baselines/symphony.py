"""Symphony: wait as long as one more could still come along, and let a window decide who goes.

Chen et al., "Symphony: Optimized DNN Model Serving using Deferred Batch Scheduling", 2023
(arXiv 2308.07470); dispatcher/batch_policy.cpp and rankmt/model_thread.cpp of abcdabcd987/nexuslb.
The requests that could all be run at once in time are the window. A batch takes the target
size of them, with those before the window that are in time for that, too; who is before them is
dropped. It grows for free as long as its first member permits, and leaves at the last moment at
which it could leave with one more ("frontrun").

The target is the largest size that takes, with the time until so many have come, no longer than
the deadline: that is what the code's rule for many executors comes down to.

Differences: one session for all deadlines (their median); the rate is that of the workload, where
the code has a meter; there is one model, so that the ranking of models has nothing to rank, and
the window is looked at when an executor is free. Who cannot be in time even alone is dropped
as soon as that is so, which is no later than the code's timer.
"""

from inferd.inference.scheduling import Ticket
from inferd_perf.simulation.baselines.queues import Baseline, Line, by_deadline
from inferd_perf.simulation.setting import Setting

#: How much sooner than at the last moment a batch leaves. The code: its control
#: latency, 0.1 ms.
AHEAD_S = 0.01
#: The share of the deadline that waiting for a batch and running it may take. The code: all.
SHARE = 0.9


class Symphony(Baseline):
    """Frontrun and window drop, the code's defaults."""

    def __init__(
        self,
        setting: Setting,
        *,
        ahead_s: float = AHEAD_S,
        share: float = SHARE,
        defers: bool = True,
    ) -> None:
        super().__init__(setting, by_deadline)
        self._ahead_s = ahead_s
        self._defers = defers
        budget_s = share * (setting.median_s - self._home.seconds)
        affordable = (
            size
            for size in range(1, self._most + 1)
            if self._latency.predict(size) + size / setting.rate_per_s <= budget_s
        )
        #: The rows of a batch, where there are enough and the first cannot afford more.
        self.target = max(affordable, default=1)

    def _leave(self, now: float, line: Line) -> list[Ticket]:
        start = self._window(now, line)
        if start == len(line):
            self._drop(line, 0, start)
            return []
        count = line.fitting(self.target, start)
        rows = line.rows_from(start) - line.rows_from(start + count)
        self._drop(line, 0, min(start, line.before(self._back(now, rows))))
        count = line.fitting(rows)
        rows = line.rows - line.rows_from(count)
        count, rows = self._with_more(now, line, count, rows)
        if self._defers and rows < self._most:
            line.held_until = line.first.deadline - (self._back(0.0, rows + 1) + self._ahead_s)
            if now < line.held_until:
                return []
        return self._cut(line, 0, count)

    def _window(self, now: float, line: Line) -> int:
        """Return from which place on all could be run at once, as far as a batch goes, in time."""
        at = min(line.before(self._back(now, self._most)), max(0, len(line) - self._most))
        rows = line.rows_from(at)
        for deadline, _, ticket in line.entries[at:]:
            if deadline >= self._back(now, rows):
                break
            rows -= ticket.rows
            at += 1
        return at

    def _with_more(self, now: float, line: Line, count: int, rows: int) -> tuple[int, int]:
        """Return how many go, and their rows, if it costs the first of them nothing."""
        for _, _, ticket in line.entries[count : count + self._most]:
            more = rows + ticket.rows
            if more > self._most or line.first.deadline < self._back(now, more):
                break
            count, rows = count + 1, more
        return count, rows

    def _gives_up_at(self, line: Line) -> float:
        return line.first.deadline - self._back(0.0, line.first.rows)
