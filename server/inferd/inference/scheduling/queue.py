"""Who waits, in the order in which they go, and what they add up to."""

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from typing import TypeVar

from inferd.inference.scheduling.ticket import Ticket

K = TypeVar("K", bound=Hashable)

Entry = tuple[int, float, int, Ticket]
"""Rank (priority level, then those who are put back), deadline or arrival, sequence, ticket."""


class Queue:
    """Tickets sorted by priority level, then by deadline, or by arrival."""

    def __init__(self, *, by_arrival: bool) -> None:
        self._by_arrival = by_arrival
        self.entries: list[Entry] = []
        #: Rows that wait, in all and by caller; requests that wait, by level and by weight.
        self.rows = 0
        self.by_caller: dict[Hashable, int] = {}
        self.by_level: dict[int, int] = {}
        self.by_weight: dict[float, int] = {}
        self._sequence = 0
        #: The entry that a place was last found for.
        self._placed: Entry

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, at: int) -> Ticket:
        return self.entries[at][3]

    def __iter__(self) -> Iterator[Ticket]:
        return (entry[3] for entry in self.entries)

    def place(self, ticket: Ticket) -> int:
        """Return where a new ticket would stand: behind its equals."""
        entries, self._placed = self.entries, self._entry(ticket, self._sequence + 1)
        if not entries or entries[-1] < self._placed:
            return len(entries)
        return bisect_left(entries, self._placed)

    def insert(self, at: int, ticket: Ticket) -> None:
        """Add a ticket at its place: the last that was asked for."""
        ticket.sequence = self._sequence = self._sequence + 1
        self.entries.insert(at, self._placed)
        self.rows += ticket.rows
        by_caller, by_level, by_weight = self.by_caller, self.by_level, self.by_weight
        by_caller[ticket.caller] = by_caller.get(ticket.caller, 0) + ticket.rows
        by_level[ticket.level] = by_level.get(ticket.level, 0) + 1
        by_weight[ticket.weight] = by_weight.get(ticket.weight, 0) + 1

    def find(self, ticket: Ticket) -> int:
        """Return a ticket's place, or -1 if it does not wait here."""
        at = bisect_left(self.entries, self._entry(ticket, ticket.sequence))
        return at if at < len(self.entries) and self.entries[at][3] is ticket else -1

    def remove(self, positions: Sequence[int]) -> None:
        """Delete entries at ascending positions."""
        self._uncount([self.entries[at][3] for at in positions])
        if positions and positions[-1] == len(positions) - 1:
            del self.entries[: len(positions)]
        else:
            for at in reversed(positions):
                del self.entries[at]

    def put_back(self, at: int) -> None:
        """Move a ticket behind all others of its level."""
        ticket = self[at]
        self.remove((at,))
        ticket.put_back = True
        self.insert(self.place(ticket), ticket)

    def _entry(self, ticket: Ticket, sequence: int) -> Entry:
        order = ticket.arrived if self._by_arrival else ticket.deadline
        return (2 * ticket.level + ticket.put_back, order, sequence, ticket)

    def _uncount(self, tickets: Sequence[Ticket]) -> None:
        if not tickets:
            return
        rows = sum([ticket.rows for ticket in tickets])
        self.rows -= rows
        if len(self.by_caller) == len(self.by_level) == len(self.by_weight) == 1:  # all alike
            first = tickets[0]
            _take(self.by_caller, first.caller, rows)
            _take(self.by_level, first.level, len(tickets))
            _take(self.by_weight, first.weight, len(tickets))
            return
        for ticket in tickets:
            _take(self.by_caller, ticket.caller, ticket.rows)
            _take(self.by_level, ticket.level, 1)
            _take(self.by_weight, ticket.weight, 1)


def _take(counts: dict[K, int], key: K, by: int) -> None:
    """Count down, and forget who has come to nothing: a day may have a million callers."""
    count = counts[key] - by
    if count:
        counts[key] = count
    else:
        del counts[key]
