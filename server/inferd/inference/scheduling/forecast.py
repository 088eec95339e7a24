"""When an arriving request would be answered, given what goes first.

How sure that must be depends on who else is here. When all callers have about the same time
(strict), whoever is let in is to be served. So the forecast keeps the latency model's margin,
fills the request's batch with those who will have come until it leaves, and expects batches
of the size that serves most of such callers. When their times differ (optimistic), later
callers may go first and earlier ones may give up, so the forecast leaves out both: who is
refused would be late as things are, and the scheduler chooses among the others.
"""

import math
from bisect import bisect_left
from collections.abc import Hashable, Sequence
from itertools import accumulate

from inferd.inference.scheduling.arrivals import Arrivals
from inferd.inference.scheduling.bound import Bound
from inferd.inference.scheduling.latency import LatencyModel
from inferd.inference.scheduling.policy import Mode, Policy
from inferd.inference.scheduling.ticket import Ticket
from inferd.inference.scheduling.turns import Turns
from inferd.inference.scheduling.way_home import WayHome

#: How long the callers and the machine are believed to be as they were seen last.
REVIEW_S = 0.005
#: Where callers' times differ: the share of those to come who are due earlier, and go first.
EARLIER = 0.5
#: So many sizes are compared, about.
FINE = 8
#: Between sizes that serve about as many callers, the larger one.
ABOUT = 0.999


class Forecast:
    """Looks ahead for one model version. Pure: `now` comes in, a point in time comes out.

    `ends` are the times, in order, when the runs under way are expected to end.
    """

    def __init__(
        self,
        policy: Policy,
        latency: LatencyModel,
        arrivals: Arrivals,
        home: WayHome,
        *,
        turns: Turns,
        bound: Bound,
        slots: int,
    ) -> None:
        self._latency = latency
        self._arrivals = arrivals
        self._bound = bound
        #: Batch sizes that are compared.
        self._candidates = sorted(
            {*latency.buckets, *range(1, policy.max_batch + 1, max(1, policy.max_batch // FINE))}
        )
        self._fails_fast = policy.mode is Mode.FAIL_FAST
        self._home = home
        self._turns = turns
        #: How many batches can run at the same time.
        self._slots = slots
        #: Whether who is let in is to be served.
        self.strict = False
        #: Rows in the batches to come, and the seconds that each takes.
        self._full = policy.max_batch
        self.full_s = 0.0
        #: Rows that come for each instance in a second, and those of them who go first.
        self._rate = 0.0
        self._joining = 0.0
        self._review_at = -math.inf

    def resize(self, slots: int) -> None:
        """Count on so many batches at the same time from now on."""
        self._slots = slots
        self._review_at = -math.inf

    def finish(
        self, now: float, rows: int, ahead: float, ends: Sequence[float], shape: Hashable = None
    ) -> float:
        """Return when a request of `rows` rows of this shape would be answered.

        `ahead` are the rows in the queue that go first; they leave in full batches.
        """
        if now >= self._review_at:
            self._review(now)
        full = self._full
        batches, company = divmod(ahead, full)
        if company and company + rows > full:
            batches, company = batches + 1, 0
        starts = self._free_at(now, int(batches), ends) + self._turns.seconds
        company += rows
        if not self.strict:
            company = max(rows, min(self._bound.rows, math.ceil(company)))
            return starts + self._latency.predict(company, shape) / self._latency.margin
        company = min(company + self._joining * (starts - now), full)
        return starts + self._latency.predict(max(rows, math.ceil(company)), shape)

    def makes_late(
        self,
        now: float,
        newcomer: Ticket,
        at: int,
        tickets: Sequence[Ticket],
        ends: Sequence[float],
    ) -> bool:
        """Return whether a newcomer at place `at` makes somebody late who has been let in.

        Those can be who move to a later batch then, each the last of its batch. And the first of
        the batch that it joins, because that takes longer: unless it can wait for the next.
        """
        full, rows = self._full, newcomer.rows
        before = [0, *accumulate([ticket.rows for ticket in tickets])]
        start = before[at] // full * full
        first = bisect_left(before, start)
        if first < at and self._is_late(now, tickets[first], rows, before[at], ends):
            alone_s = self._latency.predict(before[at] - start, tickets[first].key)
            free = self._free_at(now, start // full, ends) + alone_s
            own_s = self._latency.predict(rows, newcomer.key)
            if free + own_s + self._home.seconds > newcomer.deadline:
                return True
        moved = start + full
        for place in range(at, len(tickets)):
            if before[place + 1] + rows > moved:
                moved += full
                ticket = tickets[place]
                if self._is_late(now, ticket, ticket.rows, before[place] + rows, ends):
                    return True
        return False

    def _is_late(
        self, now: float, ticket: Ticket, rows: int, ahead: int, ends: Sequence[float]
    ) -> bool:
        """Return whether a ticket is late in the batch of `rows` that have `ahead` before them."""
        finish = self.finish(now, rows, ahead, ends, ticket.key)
        return finish + self._home.seconds > ticket.deadline

    def next_full(self, now: float, ends: Sequence[float]) -> float:
        """Return when a full batch would be answered that leaves as soon as one can."""
        if now >= self._review_at:
            self._review(now)
        return self._free_at(now, 0, ends) + self.full_s

    def rows_per_s(self) -> float:
        """Return what one instance can serve of those who come now."""
        if not (self.strict or self._turns.seconds):
            return self._latency.rows_per_s()
        return self._full / self.full_s if self.full_s else 0.0

    def _free_at(self, now: float, batches: int, ends: Sequence[float]) -> float:
        """Return when an instance is free for the batch that has so many before it."""
        rounds, turn = divmod(batches, self._slots)
        busy = turn - self._slots + len(ends)
        free = now if busy < 0 else max(now, ends[busy])
        return free + rounds * self.full_s

    def _review(self, now: float) -> None:
        """See who comes of late, and what that means for the batches to come."""
        self._review_at = now + REVIEW_S
        self._rate = self._arrivals.rows_per_s(now) / self._slots
        alike = self._arrivals.alike
        self.strict = alike or self._fails_fast
        if self.strict:
            self._full = self._best_size() if alike else self._bound.rows
            self._joining = self._rate if alike else self._rate * EARLIER
            self.full_s = self._latency.predict(self._full) + self._turns.seconds
        else:
            self._full = self._bound.rows
            self.full_s = self._latency.expect(self._full) + self._turns.seconds

    def _best_size(self) -> int:
        """Return the size for which callers come in time, and most of them in a second.

        Who comes too early for a batch, so early that it would be back too late, does not
        fill it; while it runs, the next one fills.
        """
        within_s = self._arrivals.within_s.least - self._home.seconds
        best, most_per_s = self._latency.buckets[0], 0.0
        for size in self._candidates:
            seconds = self._latency.predict(size) + self._turns.seconds
            if not seconds < within_s or size > self._bound.rows:
                break
            filled = min(size, self._rate * min(within_s - seconds, seconds))
            if filled >= ABOUT * most_per_s * seconds:
                best, most_per_s = size, filled / seconds if seconds else math.inf
        return best
