"""Earliest deadline first, in batches, and never a run for a caller who is already lost.

Who arrives is told at once when the answer would come too late: when not even an idle
instance could make it, or when those who go first leave too little time (`forecast`).

An idle instance takes what is there at once. When the tightest deadline cannot afford the
largest batch, the size that loses the fewest callers wins (`sizes`). Requests that a batch
would make late stay in the queue, until they can no longer be answered in time even alone:
then they are dropped, before their deadline, so that their callers learn it while it still
helps.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Sequence
from operator import attrgetter, itemgetter

from inferd.inference.scheduling.arrivals import Arrivals
from inferd.inference.scheduling.bound import Bound
from inferd.inference.scheduling.caution import Caution
from inferd.inference.scheduling.choice import Choice
from inferd.inference.scheduling.discipline import Drop, Reason, Run
from inferd.inference.scheduling.eviction import Eviction
from inferd.inference.scheduling.forecast import Forecast
from inferd.inference.scheduling.latency import LatencyModel
from inferd.inference.scheduling.policy import Mode, Policy
from inferd.inference.scheduling.queue import Queue
from inferd.inference.scheduling.ticket import Ticket
from inferd.inference.scheduling.turns import Turns
from inferd.inference.scheduling.way_home import WayHome

#: How long predictions are believed that nothing confirms.
RELAX_AFTER_S = 1.0
#: Who is told to come back later is told up to so much more, or all would come at once.
SPREAD = 0.25
#: Its multiples are spread evenly, modulo 1, however many there are.
GOLDEN = (math.sqrt(5) - 1) / 2

#: What a request is worth whose caller has asked for it before, as a share of a new one.
RETRIED = 0.5

_DEADLINE_OF_ENTRY = itemgetter(1)
_DEADLINE = attrgetter("deadline")


class Scheduler:
    """Decides for one model version. Not thread-safe; it lives on the event loop."""

    def __init__(self, policy: Policy, latency: LatencyModel, turns: Turns | None = None) -> None:
        """Start empty. `turns` says how long batches wait for a core; None: they need not."""
        self._policy = policy
        self._latency = latency
        self._slots = policy.slots_of(policy.instances)
        self._arrivals = Arrivals()
        self._home = WayHome(policy.guard_s)
        self._queue = Queue(by_arrival=policy.preserve_ordering)
        self._turns = turns or Turns()
        self._bound = Bound(policy.max_batch, latency)
        self._forecast = Forecast(
            policy,
            latency,
            self._arrivals,
            self._home,
            turns=self._turns,
            bound=self._bound,
            slots=self._slots,
        )
        self._choice = Choice(
            policy,
            self._queue,
            latency,
            arrivals=self._arrivals,
            forecast=self._forecast,
            home=self._home,
            turns=self._turns,
            bound=self._bound,
            slots=self._slots,
        )
        self._eviction = Eviction(self._queue, policy.shares)
        self._evicted: list[Drop] = []
        #: When the runs under way were expected to end, in order.
        self._ends: list[float] = []
        #: When a run last taught the latency model something.
        self._learnt_at = -math.inf
        levels = (policy.default_limits, *policy.limits.values())
        #: Whether any priority level has a limit of its own, or puts back who waits too long.
        self._limited = any(each.max_queue for each in levels)
        self._puts_back = any(each.delays for each in levels)
        self._ordered_by_deadline = policy.by_deadline
        self._caution = Caution()
        #: Whether nobody may be let in at the expense of those who have been.
        self._protects = policy.mode is Mode.FAIL_FAST
        #: Moves around between 0 and 1 with everyone who is sent away.
        self._spread = 0.0

    def __len__(self) -> int:
        return len(self._queue.entries) + len(self._evicted)

    @property
    def running(self) -> int:
        """Batches handed out and not finished."""
        return len(self._ends)

    def resize(self, instances: int) -> None:
        """Count on so many instances from now on; on one, when there is none."""
        self._slots = self._policy.slots_of(instances)
        self._forecast.resize(self._slots)
        self._choice.resize(self._slots)

    def waiting(self) -> list[Ticket]:
        """Return those who wait, in the order in which they go."""
        return [*self._queue]

    def admit(self, now: float, tickets: Iterable[Ticket]) -> list[Drop]:
        """Take in what has arrived since the last look; return what is refused."""
        return [drop for ticket in tickets if (drop := self.enter(now, ticket))]

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        """Admit one ticket, or say why not."""
        if self._is_infeasible(now, ticket):
            return Drop(ticket, Reason.INFEASIBLE)
        self._arrivals.note(now, ticket.rows, ticket.within_s, ticket.weight)
        if ticket.retried:
            ticket.weight *= RETRIED
        at = self._queue.place(ticket)
        if not self._leaves_at_once(now, ticket):
            refusal = self._refusal(now, ticket, at)
            if refusal is not None:
                if not self._evict_for(now, ticket, self._may_go(refusal, ticket.level, at)):
                    return refusal
                at = self._queue.place(ticket)
        self._queue.insert(at, ticket)
        return None

    def run_at_once(self, now: float, ticket: Ticket) -> Run | Drop | None:
        """Return a run of `ticket` alone: `admit` and `pick` in one, where no queue is needed.

        Or why it is refused; or None where that is not so simple: others wait, no instance is
        idle, or it should wait for company.
        """
        if self._queue.entries or len(self._ends) >= self._slots or self._policy.max_delay_s:
            return None
        if self._is_infeasible(now, ticket):
            return Drop(ticket, Reason.INFEASIBLE)
        self._arrivals.note(now, ticket.rows, ticket.within_s, ticket.weight)
        return self._run(now, (ticket,), ticket.rows, "idle")

    def _is_infeasible(self, now: float, ticket: Ticket) -> bool:
        if self._last_start(ticket) >= now:
            return False
        self._doubt(now)
        return self._last_start(ticket) < now

    def _leaves_at_once(self, now: float, ticket: Ticket) -> bool:
        """Whether an idle instance can take it, and in time, with all who wait.

        The quick answer, and while there is no overload nearly always the right one. Whoever
        is alone with an idle instance has been found feasible.
        """
        if len(self._ends) >= self._slots:
            return False
        rows = self._queue.rows + ticket.rows
        if rows == ticket.rows:
            return True
        due = min(ticket.deadline, self._queue[0].deadline) if self._protects else ticket.deadline
        return (
            rows <= self._bound.rows
            and len(self._queue.entries) < self._policy.max_queue
            and not self._limited
            and now + self._latency.predict(rows) + self._home.seconds <= due
        )

    def _refusal(self, now: float, ticket: Ticket, at: int) -> Drop | None:
        """Say why a ticket cannot wait at this place of the queue, if it cannot."""
        policy, waiting = self._policy, len(self._queue)
        if waiting >= policy.max_queue or (self._limited and self._level_is_full(ticket.level)):
            return self._turn_away(now, ticket, Reason.QUEUE_FULL, self._drain_s())
        ahead = self._ahead(now, at)
        finish = self._forecast.finish(now, ticket.rows, ahead, self._ends, ticket.key)
        late_s = finish + self._home.seconds - ticket.deadline
        if self._forecast.strict:
            late_s += self._caution.share * self._forecast.full_s
        if late_s <= 0 and self._protects and waiting:
            tickets = tuple(self._queue)
            if self._forecast.makes_late(now, ticket, at, tickets, self._ends):
                late_s = self._forecast.full_s
        return self._turn_away(now, ticket, Reason.SHED, late_s) if late_s > 0 else None

    def _may_go(self, refusal: Drop, level: int, at: int) -> Sequence[int]:
        """Return the places of those instead of whom a ticket could stay that is refused."""
        if refusal.reason is not Reason.QUEUE_FULL:
            return range(at)
        if self._limited and self._level_is_full(level):
            return [each for each, other in enumerate(self._queue) if other.level == level]
        return range(len(self._queue))

    def _evict_for(self, now: float, ticket: Ticket, among: Sequence[int]) -> bool:
        """Take out who is worth less than a ticket that cannot stay otherwise."""
        places = self._eviction.in_favour_of(ticket, among)
        for place in places:
            drop = self._turn_away(now, self._queue[place], Reason.SHED, self._drain_s())
            self._evicted.append(drop)
        self._queue.remove(places)
        return bool(places)

    def _ahead(self, now: float, at: int) -> float:
        """Return the rows that go before a place in the queue.

        Where who is let in is to be served, those do not count whom a delay has made too late
        for a full batch: smaller ones for their sake would make everyone else late.
        """
        if at and self._ordered_by_deadline:
            back = self._forecast.next_full(now, self._ends) + self._home.seconds
            entries = self._queue.entries
            if entries[0][1] < back and self._forecast.strict:
                at = max(0, at - bisect_left(entries, back, key=_DEADLINE_OF_ENTRY))
        rows, waiting = self._queue.rows, len(self._queue)
        return at if rows == waiting else at * rows / waiting

    def _turn_away(self, now: float, ticket: Ticket, reason: Reason, wait_s: float) -> Drop:
        """Refuse a ticket that could be admitted in `wait_s`, if it has so much time."""
        self._spread = (self._spread + GOLDEN) % 1.0
        wait_s *= 1.0 + SPREAD * self._spread
        return Drop(ticket, reason, wait_s if now + wait_s <= self._last_start(ticket) else -1.0)

    def _level_is_full(self, level: int) -> bool:
        limit = self._policy.limits_of(level).max_queue
        return 0 < limit <= self._queue.by_level.get(level, 0)

    def _doubt(self, now: float) -> None:
        """Distrust old predictions that keep everybody out: without runs they never change."""
        if len(self._ends) or self._queue or now - self._learnt_at < RELAX_AFTER_S:
            return
        self._learnt_at = now
        self._latency.relax()
        self._home.relax()

    def cancel(self, ticket: Ticket) -> bool:
        """Forget a waiting ticket whose caller has gone; False if it does not wait here."""
        at = self._queue.find(ticket)
        if at < 0:
            return False
        self._queue.remove((at,))
        return True

    def given_up(self, now: float) -> list[Drop]:
        """Take out what can no longer be answered in time, even by a run of its own.

        And tell of those who had to make room. Before that, put back who has waited too long.
        """
        if self._puts_back:
            self._put_back(now)
        drops, self._evicted = self._evicted, []
        queue = self._queue
        late = [at for at in self._late_candidates(now) if self._last_start(queue[at]) <= now]
        if late:
            if self._forecast.strict:
                self._caution.lost(len(late))
            drops += [Drop(queue[at], Reason.LATE_DROP) for at in late]
            queue.remove(late)
        return drops

    def pick(self, now: float) -> Run | None:
        """Return the batch that should start now, or None. Call until it returns None."""
        if not self._queue or len(self._ends) >= self._slots:
            return None
        head = self._queue[0]
        rows = min(self._rows_like(head.key), self._bound.rows)
        closed = self._closed_because(now, head, rows)
        if not closed:
            return None
        chosen = self._choice.of(now, head.key, self._ends)
        tickets = tuple([self._queue[at] for at in chosen])
        self._queue.remove(chosen)
        return self._run(now, tickets, sum([ticket.rows for ticket in tickets]), closed)

    def _run(self, now: float, tickets: tuple[Ticket, ...], rows: int, closed: str) -> Run:
        shape = tickets[0].key
        seconds = self._latency.predict(rows, shape)
        # With half the margin: forecasts add their own, and two errors partly cancel out.
        ends_at = now + seconds / math.sqrt(self._latency.margin)
        insort(self._ends, ends_at)
        return Run(tickets, rows, now, seconds, closed, ends_at)

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        """Take a run back. `learn` is False when its time says nothing (failed, stopped)."""
        self._ends.remove(run.ends_at)
        late = sum([ticket.deadline < now for ticket in run.tickets])
        self._caution.served(len(run.tickets) - late)
        if late and self._forecast.strict:
            self._caution.lost(late)
        if len(run.tickets) > 1:
            self._bound.note(run.rows, failed=run.failed)
        if learn:
            self._learnt_at = now
            self._latency.observe(run.rows, now - run.picked_at, run.tickets[0].key)

    def answered(self, seconds: float) -> None:
        """Learn how long after its run the last member of a batch had its answer sent."""
        self._home.note(seconds)

    def wake_at(self, now: float) -> float:
        """Return when to look again though nothing happens; infinity: no need."""
        if self._evicted:
            return now
        if not self._queue:
            return math.inf
        wake = self._first_to_be_late()
        if self._policy.max_delay_s and len(self._ends) < self._slots:
            wake = min(wake, self._queue[0].arrived + self._policy.max_delay_s)
        if self._puts_back:
            wake = min(wake, self._next_to_yield())
        return max(wake, now)

    # -- the queue ---------------------------------------------------------------

    def _put_back(self, now: float) -> None:
        waiting = [ticket for ticket in self._queue if ticket.yields_at <= now]
        for ticket in waiting:
            if not ticket.put_back:
                self._queue.put_back(self._queue.find(ticket))

    def _next_to_yield(self) -> float:
        waiting = (ticket.yields_at for ticket in self._queue if not ticket.put_back)
        return min(waiting, default=math.inf)

    def _late_candidates(self, now: float) -> Iterator[int]:
        """Positions that may be late: a prefix when the queue is ordered by deadline alone."""
        longest = self._latency.longest_s
        for at, ticket in enumerate(self._queue):
            if ticket.deadline - longest - self._home.seconds <= now:
                yield at
            elif self._ordered_by_deadline:
                return

    def _last_start(self, ticket: Ticket) -> float:
        """When a run of its own must have begun for the answer to be in time."""
        return ticket.deadline - self._latency.predict(ticket.rows, ticket.key) - self._home.seconds

    def _first_to_be_late(self) -> float:
        """When the first of those who wait can no longer be answered in time."""
        if not self._ordered_by_deadline:
            return min(self._last_start(ticket) for ticket in self._queue)
        first = self._last_start(self._queue[0])
        if self._queue.rows == len(self._queue) and self._queue[0].key is None:
            return first  # a row each: who is due first is late first
        longest = self._latency.longest_s + self._home.seconds
        for ticket in self._queue:
            if ticket.deadline - longest >= first:
                break
            first = min(first, self._last_start(ticket))
        return first

    def _rows_like(self, key: Hashable) -> int:
        if key is None:  # rows of such a model are all alike
            return self._queue.rows
        return sum(ticket.rows for ticket in self._queue if ticket.key == key)

    def _drain_s(self) -> float:
        """Seconds until the queue, as it stands, has been served."""
        batches = math.ceil(self._queue.rows / self._bound.rows)
        return batches * self._latency.predict(self._bound.rows) / self._slots

    def _closed_because(self, now: float, head: Ticket, rows: int) -> str:
        """Say why a batch should leave now; empty when waiting for company is allowed."""
        if rows >= self._bound.rows:
            return "full"
        if not self._policy.max_delay_s:
            return "idle"
        if rows >= self._policy.enough:
            return "preferred"
        if now >= head.arrived + self._policy.max_delay_s:
            return "delay"
        last_start = head.deadline - self._latency.predict(rows, head.key) - self._home.seconds
        return "deadline" if now >= last_start else ""
