"""BentoML: a cork in the bottle, until waiting for one more costs more than it saves.

`CorkDispatcher` in _internal/marshal/dispatcher.py of bentoml/BentoML. The time of a batch is a
line through the last 50 batches, a * n + b. The oldest request is cancelled when it would come
back after `max_latency` if all who wait left now; a batch that is not full is held back, 1 ms at
a time, while n * (age of the newest + 1 ms + a) is at most 0.95 of how long the first of a batch
waited on average. Order of arrival; some releases take the newest first.

Differences: `max_latency` is a share of the median deadline, as there is one for all; the line
starts from one batch of each size in the model's profile, where BentoML trains on its first ten
calls; between polls, an arrival has the same effect as a poll.
"""

import math
from collections import deque

import numpy as np

from inferd.inference.scheduling import Run, Ticket
from inferd_perf.simulation.baselines.queues import Baseline, Line, by_arrival
from inferd_perf.simulation.setting import Setting

#: How long a request may take, as a share of the median deadline. Meant to be all of it.
SHARE = 1.1
#: How often the line is drawn anew, at most. BentoML: 5 s.
REFIT_S = 0.5
#: The share of the average wait that is worth waiting for company. BentoML: 0.95.
DECAY = 0.3
#: How often a held batch is looked at.
TICK_S = 0.001
#: Batches remembered.
KEPT = 50


class Bento(Baseline):
    """The cork, and the predictive drop of the oldest."""

    def __init__(
        self,
        setting: Setting,
        *,
        share: float = SHARE,
        decay: float = DECAY,
        refit_s: float = REFIT_S,
    ) -> None:
        super().__init__(setting, by_arrival)
        self._most_s = share * setting.median_s
        self._decay = decay
        self._refit_s = refit_s
        self._refit_at = math.inf
        profile = [(size, self._latency.expect(size), 0.0) for size in self._latency.buckets]
        #: Of the last batches: rows, seconds, and how long the oldest member had waited.
        self._batches = deque(profile, maxlen=KEPT)
        self._refit()

    def _leave(self, now: float, line: Line) -> list[Ticket]:
        newest_s = now - line.last.arrived
        company_s = line.rows * (newest_s + TICK_S + self._per_row_s)
        if line.rows < self._most and company_s <= self._decay * self._wait_s:
            line.held_until = now + TICK_S
            return []
        return self._cut(line, 0, line.fitting(self._most))

    def _gives_up_at(self, line: Line) -> float:
        """Return when the oldest would come back too late with all the others."""
        due = line.first.arrived + self._most_s
        if len(line) == 1:  # alone it is given up only when its time is over, and it cannot run
            return due if self._running >= self._slots else math.inf
        return due - (self._per_row_s * line.rows + self._per_batch_s)

    def _learn(self, run: Run, seconds: float, now: float) -> None:
        super()._learn(run, seconds, now)
        waited_s = run.picked_at - run.tickets[0].arrived
        self._batches.append((run.rows, seconds, waited_s))
        if self._refit_at == math.inf:
            self._refit_at = now + self._refit_s
        if now >= self._refit_at:
            self._refit_at = now + self._refit_s
            self._refit()

    def _refit(self) -> None:
        """Draw the line with least squares, neither slope nor offset below zero."""
        rows, seconds, waited = zip(*self._batches, strict=True)
        sizes = np.array([(each, 1.0) for each in rows])
        slope, offset = np.linalg.lstsq(sizes, np.array(seconds), rcond=None)[0]
        self._per_row_s, self._per_batch_s = max(1e-6, float(slope)), max(0.0, float(offset))
        #: How long the first of a batch waited, on average.
        self._wait_s = sum(waited) / len(waited)
