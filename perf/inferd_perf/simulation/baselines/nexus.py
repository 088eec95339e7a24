"""Nexus: a window slides over the queue until all in it can be in time.

Shen et al., "Nexus: A GPU Cluster Engine for Accelerating DNN-Based Video Analysis", SOSP 2019,
section 6.3 ("early drop"); `GetBatchTaskSlidingWindow` in backend/model_exec.cpp of
uwsampl/nexus. By deadline, each request is taken if a batch of the expected size is back in time
for it and dropped if not, although it might have been served in a smaller one. The expected
size is the session's: the largest that may take half of the deadline, because a request may have to
wait for a run before its own. When the queue cannot fill it, it shrinks.

Differences: one session for all deadlines (their median), as one model is one queue here; no
packing of several models onto an executor, so no duty cycle; the run times are learnt, where
Nexus multiplies a profile's mean plus deviation by 1.15.
"""

from inferd.inference.scheduling import Drop, Reason, Ticket
from inferd_perf.simulation.baselines.queues import Baseline, Line, by_deadline
from inferd_perf.simulation.setting import Setting

#: The share of the deadline that a run may take. Nexus: half.
SHARE = 0.5


class Nexus(Baseline):
    """Requests are dropped only when a batch is made up, as there."""

    def __init__(self, setting: Setting, *, share: float = SHARE) -> None:
        super().__init__(setting, by_deadline)
        budget_s = share * (setting.median_s - self._home.seconds)
        affordable = (
            size for size in range(1, self._most + 1) if self._latency.predict(size) <= budget_s
        )
        #: The rows of a batch, where there are enough.
        self.target = max(affordable, default=1)

    def _leave(self, now: float, line: Line) -> list[Ticket]:
        expected = min(max(self.target, line.first.rows), line.rows)
        back = self._back(now, expected)
        taken: list[Ticket] = []
        seen, rows, left = 0, 0, line.rows
        for deadline, _, ticket in line.entries:
            if rows and rows + ticket.rows > expected:
                break
            seen += 1
            left -= ticket.rows
            if deadline < back:
                self._dropped.append(Drop(ticket, Reason.LATE_DROP))
            else:
                taken.append(ticket)
                rows += ticket.rows
            if 0 < rows + left < expected:
                expected = rows + left
                back = self._back(now, expected)
            if rows >= expected:
                break
        self._cut(line, 0, seen)
        return taken
