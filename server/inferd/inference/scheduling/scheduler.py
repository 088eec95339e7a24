"""Earliest deadline first, in batches, and never a run for a caller who is already lost.

An idle instance takes what is there at once. When the tightest deadline cannot afford the
largest batch, the size that loses the fewest callers wins; between equals, the one that
serves most rows per second. Requests that a batch would make late stay in the queue, until
they can no longer be answered in time even alone: then they are dropped, before their
deadline, so that their callers learn it while it still helps.

Those who are here are not all who come. When more arrives than can be served, a second has
a price: the callers that a more efficient batch would have served in it. Without that
price small batches save the few who are nearly late, over and over, at the cost of the many
who are still to come; head-limited batches (Clipper, NSDI 2017) shrink to one that way and
goodput collapses. With it, overload has the batch sizes of Nexus' window drop (SOSP 2019).
"""

import math
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from inferd.inference.scheduling.latency import LatencyModel
from inferd.inference.scheduling.policy import Policy
from inferd.inference.scheduling.ticket import Ticket

#: How long predictions are believed that nothing confirms.
RELAX_AFTER_S = 1.0
#: How many batches ahead the comparison of sizes looks.
HORIZON = 8
#: How long the arrival rate remembers.
MEMORY_S = 0.05
#: The share of the capacity from which on time is dear, and at which it is at its dearest.
CALM, PRESSED = 0.9, 1.0

Entry = tuple[int, float, int, Ticket]
"""A queue entry in its order: priority level, deadline (or arrival), sequence, ticket."""


class Reason(StrEnum):
    """Why a request will not be run."""

    QUEUE_FULL = "QUEUE_FULL"
    INFEASIBLE = "INFEASIBLE"
    LATE_DROP = "LATE_DROP"


@dataclass(frozen=True, slots=True)
class Drop:
    """A request that is given up, and why."""

    ticket: Ticket
    reason: Reason
    #: Seconds until a retry may be admitted; negative: a retry is pointless.
    retry_after_s: float = -1.0


@dataclass(slots=True, eq=False)
class Run:
    """A batch that has left the queue. `finished` takes it back."""

    tickets: tuple[Ticket, ...]
    rows: int
    picked_at: float
    predicted_s: float
    #: Why the batch was closed: full, idle, delay, deadline.
    closed: str


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Requests that could share a batch and cannot all be in time."""

    #: Ascending.
    deadlines: Sequence[float]
    #: On average.
    rows_each: float
    #: How many of them an instance can serve in a second.
    capacity: float
    #: How dear time is, from 0 to 1.
    pressure: float
    #: How likely it is that somebody who is lost would have been served otherwise.
    chance: float


class Scheduler:
    """Decides for one model version. Not thread-safe; it lives on the event loop."""

    def __init__(self, policy: Policy, latency: LatencyModel) -> None:
        self._policy = policy
        self._latency = latency
        self._queue: list[Entry] = []
        self._rows = 0
        self._sequence = 0
        self._running = 0
        #: When a run last taught the latency model something.
        self._learnt_at = -math.inf
        #: Requests waiting in each priority level.
        self._waiting = [0] * (policy.levels + 1)
        self._offered = 0
        self._offered_since = 0.0
        self._rows_per_s = 0.0
        self._slots = 1 if policy.preserve_ordering else policy.instances

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def running(self) -> int:
        """Batches handed out and not finished."""
        return self._running

    def admit(self, now: float, tickets: Iterable[Ticket]) -> list[Drop]:
        """Take in what has arrived since the last look; return what is refused."""
        return [drop for ticket in tickets if (drop := self._refusal(now, ticket))]

    def run_at_once(self, now: float, ticket: Ticket) -> Run | Drop | None:
        """Return a run of `ticket` alone: `admit` and `pick` in one, where no queue is needed.

        Or why it is refused; or None where that is not so simple: others wait, no instance is
        idle, or it should wait for company.
        """
        if self._queue or self._running >= self._slots or self._policy.max_delay_s:
            return None
        if self._is_infeasible(now, ticket):
            return Drop(ticket, Reason.INFEASIBLE)
        self._offered += ticket.rows
        self._running += 1
        return Run((ticket,), ticket.rows, now, self._latency.predict(ticket.rows), "idle")

    def _is_infeasible(self, now: float, ticket: Ticket) -> bool:
        if self._last_start(ticket) >= now:
            return False
        self._doubt(now)
        return self._last_start(ticket) < now

    def _refusal(self, now: float, ticket: Ticket) -> Drop | None:
        """Queue a ticket, or say why not."""
        if self._is_infeasible(now, ticket):
            return Drop(ticket, Reason.INFEASIBLE)
        self._offered += ticket.rows
        if len(self._queue) >= self._policy.max_queue or self._level_is_full(ticket.level):
            drain_s = self._drain_s()
            return Drop(
                ticket, Reason.QUEUE_FULL, -1 if now + drain_s > ticket.deadline else drain_s
            )
        self._sequence += 1
        ticket.sequence = self._sequence
        insort(self._queue, self._entry(ticket))
        self._rows += ticket.rows
        self._waiting[ticket.level] += 1
        return None

    def _level_is_full(self, level: int) -> bool:
        limit = self._policy.limits_of(level).max_queue
        return 0 < limit <= self._waiting[level]

    def _doubt(self, now: float) -> None:
        """Distrust old predictions that keep everybody out: without runs they never change."""
        if self._running or self._queue or now - self._learnt_at < RELAX_AFTER_S:
            return
        self._learnt_at = now
        self._latency.relax()

    def cancel(self, ticket: Ticket) -> bool:
        """Forget a waiting ticket whose caller has gone; False if it does not wait here."""
        entry = self._entry(ticket)
        at = bisect_left(self._queue, entry)
        if at == len(self._queue) or self._queue[at][3] is not ticket:
            return False
        self._remove([at])
        return True

    def drop_late(self, now: float) -> list[Drop]:
        """Take out what can no longer be answered in time, even by a run of its own."""
        late = [
            at for at in self._late_candidates(now) if self._last_start(self._queue[at][3]) <= now
        ]
        drops = [Drop(self._queue[at][3], Reason.LATE_DROP) for at in late]
        self._remove(late)
        return drops

    def pick(self, now: float) -> Run | None:
        """Return the batch that should start now, or None. Call until it returns None."""
        if not self._queue or self._running >= self._slots:
            return None
        head = self._queue[0][3]
        rows = min(self._rows_like(head.key), self._policy.max_batch)
        closed = self._closed_because(now, head, rows)
        if not closed:
            return None
        chosen = [0] if len(self._queue) == 1 else self._chosen(now, head.key)
        tickets = tuple(self._queue[at][3] for at in chosen)
        self._remove(chosen)
        self._running += 1
        rows = sum(ticket.rows for ticket in tickets)
        return Run(tickets, rows, now, self._latency.predict(rows), closed)

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        """Take a run back. `learn` is False when its time says nothing (failed, stopped)."""
        self._running -= 1
        if learn:
            self._learnt_at = now
            self._latency.observe(run.rows, now - run.picked_at)

    def wake_at(self, now: float) -> float:
        """Return when to look again though nothing happens; infinity: no need."""
        if not self._queue:
            return math.inf
        wake = self._first_to_be_late()
        if self._policy.max_delay_s and self._running < self._slots:
            wake = min(wake, self._queue[0][3].arrived + self._policy.max_delay_s)
        return max(wake, now)

    # -- the queue ---------------------------------------------------------------

    @property
    def _ordered_by_deadline(self) -> bool:
        return not self._policy.levels and not self._policy.preserve_ordering

    def _entry(self, ticket: Ticket) -> Entry:
        order = ticket.arrived if self._policy.preserve_ordering else ticket.deadline
        return (ticket.level, order, ticket.sequence, ticket)

    def _remove(self, positions: Sequence[int]) -> None:
        """Delete entries at ascending positions."""
        for at in positions:
            ticket = self._queue[at][3]
            self._rows -= ticket.rows
            self._waiting[ticket.level] -= 1
        if positions and positions[-1] == len(positions) - 1:
            del self._queue[: len(positions)]
            return
        for at in reversed(positions):
            del self._queue[at]

    def _late_candidates(self, now: float) -> Iterator[int]:
        """Positions that may be late: a prefix when the queue is ordered by deadline alone."""
        longest = self._latency.predict(self._policy.max_batch)
        for at, (_, _, _, ticket) in enumerate(self._queue):
            if ticket.deadline - longest - self._policy.guard_s <= now:
                yield at
            elif self._ordered_by_deadline:
                return

    def _last_start(self, ticket: Ticket) -> float:
        """When a run of its own must have begun for the answer to be in time."""
        return ticket.deadline - self._latency.predict(ticket.rows) - self._policy.guard_s

    def _first_to_be_late(self) -> float:
        """When the first of those who wait can no longer be answered in time."""
        if not self._ordered_by_deadline:
            return min(self._last_start(entry[3]) for entry in self._queue)
        first = self._last_start(self._queue[0][3])
        if self._rows == len(self._queue):
            return first  # a row each: who is due first is late first
        longest = self._latency.predict(self._policy.max_batch) + self._policy.guard_s
        for _, deadline, _, ticket in self._queue:
            if deadline - longest >= first:
                break
            first = min(first, self._last_start(ticket))
        return first

    def _rows_like(self, key: Hashable) -> int:
        if key is None:  # rows of such a model are all alike
            return self._rows
        return sum(entry[3].rows for entry in self._queue if entry[3].key == key)

    def _drain_s(self) -> float:
        """Seconds until the queue, as it stands, has been served."""
        batches = math.ceil(self._rows / self._policy.max_batch)
        return batches * self._latency.predict(self._policy.max_batch) / self._slots

    # -- the size of a batch -----------------------------------------------------

    def _chosen(self, now: float, key: Hashable) -> list[int]:
        """Return the positions of those who leave now, at least one."""
        limit, too_tight = self._size(now, key)
        return list(self._fitting(key, limit, too_tight)) or [0]

    def _closed_because(self, now: float, head: Ticket, rows: int) -> str:
        """Say why a batch should leave now; empty when waiting for company is allowed."""
        if rows >= self._policy.max_batch:
            return "full"
        if not self._policy.max_delay_s:
            return "idle"
        if rows >= self._policy.enough:
            return "preferred"
        if now >= head.arrived + self._policy.max_delay_s:
            return "delay"
        last_start = head.deadline - self._latency.predict(rows) - self._policy.guard_s
        return "deadline" if now >= last_start else ""

    def _size(self, now: float, key: Hashable) -> tuple[int, float]:
        """Return the rows to take at most, and the deadline that is too tight to come along."""
        top = min(self._rows, self._policy.max_batch)
        finish = now + self._latency.predict(top) + self._policy.guard_s
        if self._queue[0][3].deadline >= finish and self._ordered_by_deadline:
            return top, -math.inf  # everyone can afford the largest batch there is
        deadlines = sorted(e[3].deadline for e in self._queue if e[3].key == key)
        rows_each = self._rows_like(key) / len(deadlines)
        rows_per_s = self._capacity()
        load = self._load(now, rows_per_s * self._slots)
        crowd = _Crowd(
            deadlines,
            rows_each,
            capacity=rows_per_s / rows_each,
            pressure=min(max(0.0, (load - CALM) / (PRESSED - CALM)), 1.0),
            chance=1 / max(load, 1.0),
        )
        best = min(self._sizes(crowd), key=lambda size: self._cost(size, crowd, now))
        return best, now + self._latency.predict(best) + self._policy.guard_s

    def _sizes(self, crowd: "_Crowd") -> Iterator[int]:
        for bucket in self._latency.buckets:
            if bucket >= crowd.rows_each:
                yield bucket
            if bucket >= crowd.rows_each * len(crowd.deadlines):
                return

    def _cost(self, size: int, crowd: "_Crowd", now: float) -> tuple[float, float]:
        """Return what a batch of `size` costs if it leaves now, in requests; seconds for each.

        It costs those who are lost now and in the batches that follow and, as far as time
        is dear, those whom an efficient batch would have served in the same time, less those
        whom this one serves.
        """
        predict, deadlines, each = self._latency.predict, crowd.deadlines, crowd.rows_each
        most, waiting = self._policy.max_batch, len(deadlines)
        seconds = predict(size)
        finish = now + seconds + self._policy.guard_s
        lost = bisect_left(deadlines, finish)
        taken = min(int(size / each), waiting - lost)
        at = lost + taken
        for _ in range(HORIZON):
            if at >= waiting:
                break
            finish += predict(min(most, math.ceil((waiting - at) * each)))
            first = bisect_left(deadlines, finish, lo=at)
            lost += first - at
            at = first + int(most / each)
        missed = crowd.pressure * (crowd.capacity * seconds - taken)
        return crowd.chance * lost + missed, seconds / max(taken, 1)

    def _capacity(self) -> float:
        """Return the rows that an instance can serve in a second."""
        predict = self._latency.predict
        return max(bucket / (predict(bucket) or math.inf) for bucket in self._latency.buckets)

    def _load(self, now: float, capacity: float) -> float:
        """Return what has been asked for of late, as a share of the capacity."""
        elapsed = now - self._offered_since
        if elapsed > 0:
            rate = self._offered / elapsed
            self._rows_per_s -= (rate - self._rows_per_s) * math.expm1(-elapsed / MEMORY_S)
            self._offered, self._offered_since = 0, now
        return self._rows_per_s / capacity if capacity else 0.0

    def _fitting(self, key: Hashable, limit: int, too_tight: float) -> Iterator[int]:
        """Positions of the tickets that fit into a batch of `limit` rows, in order."""
        rows = 0
        for at, (_, _, _, ticket) in enumerate(self._queue):
            if ticket.key != key or ticket.deadline < too_tight:
                continue
            if rows + ticket.rows > limit:
                if rows:
                    return
                continue
            rows += ticket.rows
            yield at
            if rows == limit:
                return
