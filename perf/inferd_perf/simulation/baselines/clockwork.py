"""Clockwork: never run what will be late; the largest batch that is exactly full.

Gujarati et al., "Serving DNNs like Clockwork", OSDI 2020; controller/infer5 of the code. A model
has a queue for every batch size, each with all of its requests in order of arrival. The head of a
queue that would be late in a batch of that size is dropped from that queue alone. The largest
size that enough are left for is run, without padding, and all queues go on behind it. Who has
left every queue, or is still there at his deadline less a buffer, is told. How long a size takes
is the 99th percentile of its last ten runs, which is the longest of them.

Differences: there is one model, so that the order of strategies by latest start comes down to
the largest size that is full; a batch is sent when an executor is free, not 10 ms ahead, so
that no worker has to refuse it; who is passed over by the batch that leaves hears so at once.
"""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

from inferd.inference.scheduling import Drop, LatencyModel, Run, Ticket
from inferd_perf.simulation.baselines.queues import Baseline, Line, by_arrival
from inferd_perf.simulation.setting import Setting

#: Kept back from every deadline, besides the way home. Clockwork: 5 ms, of 100.
BUFFER_S = 0.002
#: Runs remembered of each size.
WINDOW = 10


class Clockwork(Baseline):
    """The queues for all sizes are one line, and for each size a place from which on it looks."""

    def __init__(
        self, setting: Setting, *, buffer_s: float = BUFFER_S, window: int = WINDOW
    ) -> None:
        super().__init__(setting, by_arrival)
        self._buffer_s = buffer_s
        self._estimates = _Estimates(setting.latency, window)
        self._timeouts: list[tuple[float, int, Ticket]] = []

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        """Take in who has arrived, and note when to give up."""
        refused = super().enter(now, ticket)
        timeout = (ticket.deadline - self._buffer_s, ticket.sequence, ticket)
        heappush(self._timeouts, timeout)
        return refused

    def given_up(self, now: float) -> list[Drop]:
        """Take out whose deadline, less the buffer, has come."""
        while self._timeouts and self._timeouts[0][0] <= now:
            ticket = heappop(self._timeouts)[2]
            line = self._lines.get(ticket.key)
            at = line.find(ticket) if line else -1
            if line and at >= 0:
                self._drop(line, at, at + 1)
                self._tidy(ticket.key, line)
        return super().given_up(now)

    def wake_at(self, now: float) -> float:
        """Return when the next deadline, less the buffer, comes."""
        timeouts = self._timeouts
        while timeouts and not self._waits(timeouts[0][2]):
            heappop(timeouts)
        timeout = timeouts[0][0] if timeouts else math.inf
        return max(now, min(super().wake_at(now), timeout))

    def _waits(self, ticket: Ticket) -> bool:
        line = self._lines.get(ticket.key)
        return line is not None and line.find(ticket) >= 0

    def _leave(self, now: float, line: Line) -> list[Ticket]:
        entries = line.entries
        for size in reversed(self._estimates.sizes):
            if line.rows < size:
                continue
            start = self._first_in_time(line, self._back_of(now, size))
            if start < len(line) and entries[start][2].rows <= size <= line.rows_from(start):
                self._drop(line, 0, start)
                return self._cut(line, 0, line.fitting(size))
        # Nobody at all is in time alone, or tickets of several rows fill no size exactly.
        while line and line.first.deadline < self._back_of(now, line.first.rows):
            self._drop(line, 0, 1)
        return self._cut(line, 0, 1)

    def _back_of(self, now: float, rows: int) -> float:
        return now + self._estimates.of(rows) + self._buffer_s + self._home.seconds

    @staticmethod
    def _first_in_time(line: Line, back: float) -> int:
        start = 0
        for _, _, ticket in line.entries:
            if ticket.deadline >= back:
                break
            start += 1
        return start

    def _learn(self, run: Run, seconds: float, now: float) -> None:
        super()._learn(run, seconds, now)
        self._estimates.note(run.rows, seconds)


class _Estimates:
    """How long each batch size takes, at most, of late."""

    def __init__(self, latency: LatencyModel, window: int) -> None:
        self.sizes: Sequence[int] = latency.buckets
        self._runs = [deque([latency.expect(size)], maxlen=window) for size in self.sizes]
        self._longest = [runs[0] for runs in self._runs]

    def of(self, rows: int) -> float:
        return self._longest[bisect_left(self.sizes, rows)]

    def note(self, rows: int, seconds: float) -> None:
        at = bisect_left(self.sizes, rows)
        self._runs[at].append(seconds)
        self._longest[at] = max(self._runs[at])
