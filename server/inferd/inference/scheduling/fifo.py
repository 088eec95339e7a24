"""First come, first served, in batches: what other servers do, to compare with.

The rules are those of Triton's dynamic batcher. A batch leaves when it is full, when it has a
preferred size, or when its oldest member has waited `max_delay_s`; priority levels go one after
the other; a level's timeout is the age at which a request leaves the queue, or goes behind the
others of its level. Nothing is predicted, and deadlines decide nothing, except that on request
a batch leaves out who is past his already.
As everywhere in inferd a batch takes requests of like shapes from anywhere in the queue, where
Triton's ends at the first that differs.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Hashable, Iterator
from operator import itemgetter

from inferd.inference.scheduling.discipline import Drop, Reason, Run
from inferd.inference.scheduling.latency import LatencyModel
from inferd.inference.scheduling.policy import Policy
from inferd.inference.scheduling.ticket import Ticket

Entry = tuple[int, int, Ticket]
"""Rank (priority level, then those who are put back), sequence, ticket: in this order."""

_RANK = itemgetter(0)
_RANK_AND_SEQUENCE = itemgetter(0, 1)


class Fifo:
    """A `Discipline`. Not thread-safe; times are monotonic seconds."""

    def __init__(
        self, policy: Policy, latency: LatencyModel, *, drop_expired: bool = False
    ) -> None:
        self._policy = policy
        #: Says how long a full queue takes, and learns; it decides nothing.
        self._latency = latency
        self._drop_expired = drop_expired
        self._slots = policy.slots_of(policy.instances)
        self._preferred = frozenset(policy.preferred or (policy.max_batch,))
        self._lines: dict[Hashable, _Line] = {}
        #: Requests waiting in each priority level.
        self._waiting = [0] * (policy.levels + 1)
        #: Found to be past their deadlines when a batch was made up, and not yet told.
        self._expired: list[Drop] = []
        self._sequence = 0
        self._running = 0
        levels = (policy.default_limits, *policy.limits.values())
        self._times_out = any(level.timeout_s or level.delays for level in levels)

    def __len__(self) -> int:
        return sum(self._waiting) + len(self._expired)

    @property
    def running(self) -> int:
        """Batches handed out and not finished."""
        return self._running

    def resize(self, instances: int) -> None:
        """Count on so many instances from now on; on one, when there is none."""
        self._slots = self._policy.slots_of(instances)

    def waiting(self) -> list[Ticket]:
        """Return those who wait, line by line."""
        return [entry[2] for line in self._lines.values() for entry in line.entries]

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        """Take in who has arrived, unless the queue, or that of his level, is full."""
        level = self._policy.limits_of(ticket.level)
        if len(self) >= self._policy.max_queue or (
            0 < level.max_queue <= self._waiting[ticket.level]
        ):
            return Drop(ticket, Reason.QUEUE_FULL, self._drain_s())
        self._add(ticket)
        return None

    def run_at_once(self, now: float, ticket: Ticket) -> Run | Drop | None:
        """Return a run of `ticket` alone, where it would neither wait nor have company."""
        if len(self) or self._running >= self._slots or self._policy.max_delay_s:
            return None
        if self._drop_expired and ticket.deadline <= now:
            return Drop(ticket, Reason.LATE_DROP)
        return self._run(now, [ticket], "idle")

    def cancel(self, ticket: Ticket) -> bool:
        """Forget a waiting ticket whose caller has gone; False if it does not wait here."""
        line = self._lines.get(ticket.key)
        at = line.place(ticket) if line else -1
        if line and at >= 0:
            self._cut(ticket.key, line, at, at + 1)
        return at >= 0

    def given_up(self, now: float) -> list[Drop]:
        """Take out those who are older than their level allows, or put them back."""
        drops, self._expired = self._expired, []
        if self._times_out:
            for ticket in self._too_old(now):
                if self._policy.limits_of(ticket.level).delays:
                    ticket.put_back = True
                    self._add(ticket)
                else:
                    drops.append(Drop(ticket, Reason.LATE_DROP))
        return drops

    def pick(self, now: float) -> Run | None:
        """Return the batch that should start now, or None. Call until it returns None."""
        if self._running >= self._slots:
            return None
        for key, line in self._in_turn():
            if self._drop_expired:
                self._leave_out_expired(now, key, line)
            count, closed = self._batch(now, line) if line.entries else (0, "")
            if count:
                return self._run(now, self._cut(key, line, 0, count), closed)
        return None

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        """Take a run back. `learn` is False when its time says nothing (failed, stopped)."""
        self._running -= 1
        if learn:
            self._latency.observe(run.rows, now - run.picked_at)

    def answered(self, seconds: float) -> None:
        """Nothing is predicted, so nothing depends on the way home."""

    def wake_at(self, now: float) -> float:
        """Return when somebody will have waited long enough; infinity: no need."""
        if self._expired:
            return now
        wake, delay_s = math.inf, self._policy.max_delay_s
        if delay_s and self._running < self._slots:
            wake = min([line.oldest() + delay_s for line in self._lines.values()], default=wake)
        if self._times_out:
            firsts = (first for line in self._lines.values() for _, first in line.firsts())
            wake = min(wake, min(map(self._ages_at, firsts), default=wake))
        return max(wake, now)

    def _in_turn(self) -> list[tuple[Hashable, "_Line"]]:
        """Return the lines, in the order in which their first tickets came."""
        if len(self._lines) < 2:
            return list(self._lines.items())
        return sorted(self._lines.items(), key=lambda item: item[1].entries[0][:2])

    def _batch(self, now: float, line: "_Line") -> tuple[int, str]:
        """Return how many of the first should leave now, and why; 0 while they may wait.

        After Triton's `GetDynamicBatch`: the largest preferred size that fits exactly, or all
        that fit into a batch when there is no hope for one, or no time.
        """
        policy = self._policy
        largest = max(self._preferred)
        count = rows = best = 0
        for _, _, ticket in line.entries:
            if rows + ticket.rows > policy.max_batch:
                break
            if rows + ticket.rows > largest and not best:
                best = count
            count += 1
            rows += ticket.rows
            if rows in self._preferred:
                best = count
        waited = bool(policy.max_delay_s) and now >= line.oldest() + policy.max_delay_s
        full = rows >= policy.max_batch or count < len(line.entries)
        if best and not waited:
            return best, "full" if full and best == count else "preferred"
        if full:
            return count, "full"
        if not policy.max_delay_s:
            return count, "idle"
        return (count, "delay") if waited else (0, "")

    def _run(self, now: float, tickets: list[Ticket], closed: str) -> Run:
        rows = sum([ticket.rows for ticket in tickets])
        self._running += 1
        seconds = self._latency.predict(rows)
        return Run(tuple(tickets), rows, now, seconds, closed, now + self._latency.expect(rows))

    def _add(self, ticket: Ticket) -> None:
        self._sequence += 1
        ticket.sequence = self._sequence
        line = self._lines.get(ticket.key)
        if line is None:
            line = self._lines[ticket.key] = _Line()
        line.add(ticket)
        self._waiting[ticket.level] += 1

    def _cut(self, key: Hashable, line: "_Line", first: int, last: int) -> list[Ticket]:
        tickets = line.cut(first, last)
        for ticket in tickets:
            self._waiting[ticket.level] -= 1
        if not line.entries:
            del self._lines[key]
        return tickets

    def _leave_out_expired(self, now: float, key: Hashable, line: "_Line") -> None:
        """Take those out of the next batch, and fill it up, who are past their deadlines."""
        at = rows = 0
        while at < len(line.entries) and rows < self._policy.max_batch:
            ticket = line.entries[at][2]
            if ticket.deadline > now:
                at, rows = at + 1, rows + ticket.rows
                continue
            self._expired.append(Drop(ticket, Reason.LATE_DROP))
            self._cut(key, line, at, at + 1)

    def _too_old(self, now: float) -> list[Ticket]:
        """Take out who has waited too long: of every line and level, the first ones."""
        gone: list[Ticket] = []
        for key, line in list(self._lines.items()):
            for first, head in reversed(list(line.firsts())):
                last = first
                while last < len(line.entries) and self._ages_at(line.entries[last][2]) <= now:
                    if line.entries[last][0] != _rank(head):
                        break
                    last += 1
                if last > first:
                    gone += self._cut(key, line, first, last)
        return gone

    def _ages_at(self, ticket: Ticket) -> float:
        """Return when a ticket will have waited for too long."""
        limits = self._policy.limits_of(ticket.level)
        if limits.delays:
            return math.inf if ticket.put_back else ticket.yields_at
        return ticket.arrived + limits.timeout_s if limits.timeout_s else math.inf

    def _drain_s(self) -> float:
        """Seconds until the queue, as it stands, has been served."""
        rows = sum([line.rows for line in self._lines.values()])
        batches = math.ceil(rows / self._policy.max_batch)
        return batches * self._latency.predict(self._policy.max_batch) / self._slots


class _Line:
    """The waiting requests whose rows have one shape, in order. Never empty for long."""

    __slots__ = ("entries", "rows")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.rows = 0

    def add(self, ticket: Ticket) -> None:
        entry = (_rank(ticket), ticket.sequence, ticket)
        if not self.entries or self.entries[-1] < entry:
            self.entries.append(entry)
        else:
            insort(self.entries, entry)
        self.rows += ticket.rows

    def place(self, ticket: Ticket) -> int:
        """Return where a ticket is, or -1."""
        key = (_rank(ticket), ticket.sequence)
        at = bisect_left(self.entries, key, key=_RANK_AND_SEQUENCE)
        return at if at < len(self.entries) and self.entries[at][2] is ticket else -1

    def cut(self, first: int, last: int) -> list[Ticket]:
        """Take out the tickets from one place up to another."""
        tickets = [entry[2] for entry in self.entries[first:last]]
        del self.entries[first:last]
        self.rows -= sum([ticket.rows for ticket in tickets])
        return tickets

    def firsts(self) -> Iterator[tuple[int, Ticket]]:
        """Each rank's first ticket, and its place."""
        at = 0
        while at < len(self.entries):
            rank, _, ticket = self.entries[at]
            yield at, ticket
            at = bisect_left(self.entries, rank + 1, lo=at, key=_RANK)

    def oldest(self) -> float:
        """Return when the oldest of all levels arrived."""
        return min([ticket.arrived for _, ticket in self.firsts()])


def _rank(ticket: Ticket) -> int:
    return 2 * ticket.level + ticket.put_back
