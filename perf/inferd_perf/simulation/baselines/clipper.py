"""Clipper: earliest deadline first, and a batch size found by trying.

Crankshaw et al., "Clipper: A Low-Latency Online Prediction Serving System", NSDI 2017, section
4.3: the batch size grows by a fixed amount while a batch takes less than the latency objective
and shrinks by a tenth when it takes longer (additive increase, multiplicative decrease). The
objective is that of a batch, not of a request: the wait in the queue does not count.

The code (ucbrise/clipper) has moved on, to the size that a regression of run times gives for
0.92 of the time that the most urgent request has left. `head_limited` adds that limit, with the
run times of the latency model. Both drop only what has already expired.

Not here: delayed batching (section 4.3.2), and artificial queries to explore larger sizes.
"""

from inferd.inference.scheduling import Run, Ticket
from inferd_perf.simulation.baselines.queues import Baseline, Line, by_deadline
from inferd_perf.simulation.setting import Setting

#: What the size grows by, in rows. The paper gives no number.
STEP = 8.0
#: What it is multiplied with after a run that took too long. The paper: 0.9.
BACK_OFF = 0.95
#: The latency objective of a batch, as a share of the median deadline. The paper: all of it.
OBJECTIVE = 0.7
#: The share of the most urgent request's time that a batch may take, where it matters.
BUDGET = 0.92


class Clipper(Baseline):
    """One batch size for all executors; a container of Clipper's has its own."""

    def __init__(
        self,
        setting: Setting,
        *,
        step: float = STEP,
        back_off: float = BACK_OFF,
        objective: float = OBJECTIVE,
        head_limited: bool = False,
    ) -> None:
        super().__init__(setting, by_deadline)
        self._step = step
        self._back_off = back_off
        self._objective_s = objective * setting.median_s
        self._head_limited = head_limited
        self._limit = 1.0

    @property
    def limit(self) -> int:
        """The rows in a batch at most."""
        return int(self._limit)

    def _leave(self, now: float, line: Line) -> list[Ticket]:
        self._drop(line, 0, line.before(now))
        if not line:
            return []
        rows = self.limit
        if self._head_limited:
            rows = min(rows, self._affordable(BUDGET * (line.first.deadline - now)))
        return self._cut(line, 0, line.fitting(rows))

    def _affordable(self, budget_s: float) -> int:
        for size in reversed(self._latency.sizes):
            if self._latency.predict(size) <= budget_s:
                return size
        return 1

    def _learn(self, run: Run, seconds: float, now: float) -> None:
        super()._learn(run, seconds, now)
        if seconds > self._objective_s:
            self._limit = max(1.0, self._limit * self._back_off)
        elif run.rows >= self.limit:
            self._limit = min(float(self._most), self._limit + self._step)
