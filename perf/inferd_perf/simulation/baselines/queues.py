"""What the policies of others have in common, so that each is little more than its own rule.

A `Baseline` keeps a line of tickets for each key and the runs under way, and is driven like
any `Discipline`. A policy says in what order its lines are, and which tickets leave one when an
executor is free; it drops tickets as it goes, and they are told at the next look.

What is the same for all of them, so that policies are compared and not their surroundings: run
times come from the latency model that the setting hands out, learning and with its margin, unless
the estimate is the policy's own; the way home is learnt and kept back where a policy plans for
deadlines; a decision takes effect at once, where most of the originals have a poll or a network
in between. None of them says when to come back: a refusal or drop has no pushback.
"""

import math
from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Callable, Hashable
from operator import itemgetter

from inferd.inference.scheduling import Drop, Reason, Run, Ticket
from inferd.inference.scheduling.way_home import WayHome
from inferd_perf.simulation.setting import Setting

#: How long predictions are believed that nothing confirms, as long as inferd believes them.
RELAX_AFTER_S = 1.0

Order = Callable[[Ticket], float]
Entry = tuple[float, int, Ticket]
"""Where a ticket stands, its sequence, the ticket."""

_ORDER = itemgetter(0)
_PLACE = itemgetter(0, 1)


def by_deadline(ticket: Ticket) -> float:
    """Earliest deadline first."""
    return ticket.deadline


def by_arrival(ticket: Ticket) -> float:
    """First come, first served."""
    return ticket.arrived


class Line:
    """The waiting tickets of one key, in order."""

    __slots__ = ("_order", "entries", "held_until", "rows")

    def __init__(self, order: Order) -> None:
        self._order = order
        self.entries: list[Entry] = []
        self.rows = 0
        #: When a batch leaves that could leave at once, and waits for company.
        self.held_until = math.inf

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def first(self) -> Ticket:
        """The ticket that is first in order."""
        return self.entries[0][2]

    @property
    def last(self) -> Ticket:
        """The ticket that is last in order."""
        return self.entries[-1][2]

    def add(self, ticket: Ticket) -> None:
        """Put a ticket in its place, behind its equals."""
        entry = (self._order(ticket), ticket.sequence, ticket)
        if not self.entries or self.entries[-1] < entry:
            self.entries.append(entry)
        else:
            insort(self.entries, entry)
        self.rows += ticket.rows

    def find(self, ticket: Ticket) -> int:
        """Return a ticket's place, or -1 if it does not wait here."""
        entries = self.entries
        at = bisect_left(entries, (self._order(ticket), ticket.sequence), key=_PLACE)
        return at if at < len(entries) and entries[at][2] is ticket else -1

    def before(self, point: float) -> int:
        """Return how many stand before a point of the order: deadline, or time of arrival."""
        return bisect_left(self.entries, point, key=_ORDER)

    def rows_from(self, start: int) -> int:
        """Return the rows of those from a place on."""
        if self.rows == len(self.entries):
            return self.rows - start
        return self.rows - sum([entry[2].rows for entry in self.entries[:start]])

    def fitting(self, rows: int, start: int = 0) -> int:
        """Return how many from a place on fit into so many rows: one at least."""
        if self.rows == len(self.entries):
            return min(max(rows, 1), len(self.entries) - start)
        count = taken = 0
        for _, _, ticket in self.entries[start : start + max(rows, 1)]:
            taken += ticket.rows
            if count and taken > rows:
                break
            count += 1
        return count

    def cut(self, start: int, stop: int) -> list[Ticket]:
        """Take out the tickets from one place up to another."""
        tickets = [entry[2] for entry in self.entries[start:stop]]
        del self.entries[start:stop]
        self.rows -= sum([ticket.rows for ticket in tickets])
        return tickets


class Baseline(ABC):
    """A discipline but for the choice. Times are monotonic seconds."""

    def __init__(self, setting: Setting, order: Order) -> None:
        policy = setting.policy
        self._most = policy.max_batch
        self._slots = 1 if policy.preserve_ordering else policy.instances
        self._latency = setting.latency
        self._home = WayHome(policy.guard_s)
        self._order = order
        self._lines: dict[Hashable, Line] = {}
        self._dropped: list[Drop] = []
        self._waiting = 0
        self._sequence = 0
        self._running = 0
        self._learnt_at = math.inf

    @abstractmethod
    def _leave(self, now: float, line: Line) -> list[Ticket]:
        """Take out who leaves now, in one batch, or nobody, and say until when they are held.

        An executor is free, and the line has somebody in it.
        """

    def _gives_up_at(self, line: Line) -> float:
        """Return when the first of a line is given up, whether or not an executor is free."""
        return math.inf

    def _learn(self, run: Run, seconds: float, now: float) -> None:
        """Learn from a run that is over."""
        self._learnt_at = now
        self._latency.observe(run.rows, seconds)

    def __len__(self) -> int:
        return self._waiting + len(self._dropped)

    @property
    def running(self) -> int:
        """Batches handed out and not finished."""
        return self._running

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        """Take in who has arrived: these queues have no bound."""
        if not self._waiting and not self._running:
            self._doubt(now)
        self._sequence += 1
        ticket.sequence = self._sequence
        line = self._lines.get(ticket.key)
        if line is None:
            line = self._lines[ticket.key] = Line(self._order)
        line.add(ticket)
        self._waiting += 1
        return None

    def run_at_once(self, now: float, ticket: Ticket) -> Run | Drop | None:
        """Return None: there is no short way past the queue."""
        return None

    def cancel(self, ticket: Ticket) -> bool:
        """Forget a waiting ticket whose caller has gone; False if it does not wait here."""
        line = self._lines.get(ticket.key)
        at = line.find(ticket) if line else -1
        if line is None or at < 0:
            return False
        self._cut(line, at, at + 1)
        self._tidy(ticket.key, line)
        return True

    def given_up(self, now: float) -> list[Drop]:
        """Take out those who were let in and will not be run after all."""
        for key, line in list(self._lines.items()):
            while line and self._gives_up_at(line) <= now:
                self._drop(line, 0, 1)
            self._tidy(key, line)
        dropped, self._dropped = self._dropped, []
        return dropped

    def pick(self, now: float) -> Run | None:
        """Return the batch that should start now, or None. Call until it returns None."""
        if self._running >= self._slots:
            return None
        for key, line in self._in_turn():
            tickets = self._leave(now, line)
            self._tidy(key, line)
            if tickets:
                return self._run(now, tickets)
        return None

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        """Take a run back. `learn` is False when its time says nothing (failed, stopped)."""
        self._running -= 1
        if learn:
            self._learn(run, now - run.picked_at, now)

    def answered(self, seconds: float) -> None:
        """Learn how long after its run the last member of a batch had its answer sent."""
        self._home.note(seconds)

    def wake_at(self, now: float) -> float:
        """Return when to look again though nothing happens; infinity: no need."""
        if self._dropped:
            return now
        wake, idle = math.inf, self._running < self._slots
        for line in self._lines.values():
            wake = min(wake, self._gives_up_at(line))
            if idle:
                wake = min(wake, line.held_until)
        return max(wake, now)

    def _doubt(self, now: float) -> None:
        """Expect the best again after a time without runs.

        A published profile does not change. One that is learnt could keep everybody out: where
        nobody is run because all would be late, nothing is learnt.
        """
        if now - self._learnt_at >= RELAX_AFTER_S:
            self._learnt_at = now
            self._latency.relax()
            self._home.relax()

    def _back(self, now: float, rows: int) -> float:
        """Return when the answers of a batch would be back that leaves now."""
        return now + self._latency.predict(min(rows, self._most)) + self._home.seconds

    def _drop(self, line: Line, start: int, stop: int) -> None:
        self._dropped += [Drop(each, Reason.LATE_DROP) for each in self._cut(line, start, stop)]

    def _cut(self, line: Line, start: int, stop: int) -> list[Ticket]:
        tickets = line.cut(start, stop)
        self._waiting -= len(tickets)
        return tickets

    def _in_turn(self) -> list[tuple[Hashable, Line]]:
        """Return the lines, in the order of those who are first in them."""
        if len(self._lines) < 2:
            return list(self._lines.items())
        return sorted(self._lines.items(), key=lambda item: item[1].entries[0][:2])

    def _tidy(self, key: Hashable, line: Line) -> None:
        if not line.entries:
            del self._lines[key]

    def _run(self, now: float, tickets: list[Ticket]) -> Run:
        rows = sum([ticket.rows for ticket in tickets])
        self._running += 1
        expected = now + self._latency.expect(rows)
        closed = "full" if rows == self._most else "idle"
        return Run(tuple(tickets), rows, now, self._latency.predict(rows), closed, expected)
