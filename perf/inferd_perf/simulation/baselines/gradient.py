"""Gradient2: as many calls at once as do not make the average call slower.

`Gradient2Limit` in `WindowedLimit` of Netflix/concurrency-limits, in front of a greedy queue in
order of arrival. Once a window, the average time of the calls that ended in it is compared with
a long average. When it has grown by more than the tolerance the limit shrinks in proportion, and
otherwise it grows by a little. Whoever comes when so many are in the server is refused.

Differences: the window is the shortest that the library permits, 100 ms and not 1 s, or it would
hardly move in a simulation. Who is past his deadline when a batch is made up is left out, and does
not count as a sample.
"""

import math
import sys
from dataclasses import replace

from inferd.inference.scheduling import Drop, Fifo, Reason, Run, Ticket
from inferd_perf.simulation.setting import Setting

#: How much longer than in the long run calls may take before the limit shrinks.
TOLERANCE = 1.5
#: How often the limit moves, at most. The library: 1 s, and no less than 0.1.
WINDOW_S = 0.1
#: The limit at first and at least, and at most. The library: 20 and 200.
LEAST, MOST = 20.0, 400.0
#: What the limit grows by before smoothing. The library: 4.
QUEUE = 32.0
#: How far it goes towards its new value at a time.
SMOOTHING = 0.2
#: Samples that a window must have; that the long average begins with; that it then goes back.
ENOUGH, WARM_UP, LONG = 10, 10, 600
#: A short time under this share of the long one makes the long one decay so fast.
RECOVERED, DECAY = 0.5, 0.95


class GradientLimit:
    """The limit alone: times and numbers in, a number out. Seconds."""

    def __init__(self, *, tolerance: float, window_s: float, queue: float, most: float) -> None:
        self._tolerance = tolerance
        self._window_s = window_s
        self._queue = queue
        self._most = most
        self.value = LEAST
        self._long_s = 0.0
        self._windows = 0
        self._next_at = -math.inf
        #: Of this window: the sum of the times, their number, the most calls at once.
        self._sum_s, self._count, self._peak = 0.0, 0, 0

    def entered(self, in_flight: int) -> None:
        """Note that a call came in, and is one of so many."""
        self._peak = max(self._peak, in_flight)

    def sample(self, now: float, seconds: float) -> None:
        """Learn how long a call took that ends now."""
        self._sum_s += seconds
        self._count += 1
        if now <= self._next_at:
            return
        self._next_at = now + self._window_s
        if self._count >= ENOUGH:
            self._update(self._sum_s / self._count)
        self._sum_s, self._count, self._peak = 0.0, 0, 0

    def _update(self, short_s: float) -> None:
        long_s = self._remember(short_s)
        if long_s * RECOVERED > short_s:
            self._long_s *= DECAY
        if self._peak < self.value / 2:
            return  # not what holds anybody up
        gradient = max(0.5, min(1.0, self._tolerance * long_s / short_s))
        wanted = self.value * gradient + self._queue
        smoothed = self.value * (1 - SMOOTHING) + wanted * SMOOTHING
        self.value = max(LEAST, min(self._most, smoothed))

    def _remember(self, short_s: float) -> float:
        self._windows += 1
        weight = 1 / self._windows if self._windows <= WARM_UP else 2 / (LONG + 1)
        self._long_s += weight * (short_s - self._long_s)
        return self._long_s


class Gradient2:
    """A `Discipline`: the limit, and behind it first come, first served."""

    def __init__(
        self,
        setting: Setting,
        *,
        tolerance: float = TOLERANCE,
        window_s: float = WINDOW_S,
        queue: float = QUEUE,
        most: float = MOST,
    ) -> None:
        policy = replace(setting.policy, max_queue=sys.maxsize)
        self._fifo = Fifo(policy, setting.latency, drop_expired=True)
        self.limit = GradientLimit(tolerance=tolerance, window_s=window_s, queue=queue, most=most)
        self._in_flight = 0

    def __len__(self) -> int:
        return len(self._fifo)

    @property
    def running(self) -> int:
        """Batches handed out and not finished."""
        return self._fifo.running

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        """Take in who has arrived, if the limit permits."""
        if self._in_flight >= int(self.limit.value):
            return Drop(ticket, Reason.SHED)
        self._in_flight += 1
        self.limit.entered(self._in_flight)
        return self._fifo.enter(now, ticket)

    def run_at_once(self, now: float, ticket: Ticket) -> Run | Drop | None:
        """Return None: there is no short way past the limit."""
        return None

    def cancel(self, ticket: Ticket) -> bool:
        """Forget a waiting ticket whose caller has gone; False if it does not wait here."""
        waited = self._fifo.cancel(ticket)
        self._in_flight -= waited
        return waited

    def given_up(self, now: float) -> list[Drop]:
        """Take out those who were past their deadlines when a batch was made up."""
        drops = self._fifo.given_up(now)
        self._in_flight -= len(drops)
        return drops

    def pick(self, now: float) -> Run | None:
        """Return the batch that should start now, or None. Call until it returns None."""
        return self._fifo.pick(now)

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        """Take a run back. `learn` is False when its time says nothing (failed, stopped)."""
        self._fifo.finished(now, run, learn=learn)
        self._in_flight -= len(run.tickets)
        if learn:
            for ticket in run.tickets:
                self.limit.sample(now, now - ticket.arrived)

    def answered(self, seconds: float) -> None:
        """Learn nothing: what is measured ends with the run."""

    def wake_at(self, now: float) -> float:
        """Return when to look again though nothing happens; infinity: no need."""
        return self._fifo.wake_at(now)
