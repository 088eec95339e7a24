"""Who has to go so that a newcomer can stay, when not all can be served.

Whoever is worth less than the newcomer. And among equals, whoever has the most waiting: a caller
loses a request to another only while it has more of them here than the other would then have
(longest queue drop, Suter et al. 1998). So each gets its share, none is owed anything for
what it did not ask for, and all that is remembered of callers is who waits.
"""

from collections.abc import Hashable, Iterable, Mapping

from inferd.inference.scheduling.queue import Queue
from inferd.inference.scheduling.ticket import Ticket


class Eviction:
    """Chooses who goes; takes nobody out."""

    def __init__(self, queue: Queue, shares: Mapping[Hashable, float]) -> None:
        self._queue = queue
        self._shares = shares

    def in_favour_of(self, ticket: Ticket, among: Iterable[int]) -> list[int]:
        """Return the places to empty, ascending: at least `ticket.rows` rows of these.

        Empty when those who would have to go are worth as much.
        """
        if not self._is_plausible(ticket):
            return []
        mine, left = self._after(ticket), dict(self._queue.by_caller)
        chosen, rows = [], 0
        for weight, _, place in sorted(self._candidates(ticket, among)):
            other = self._queue[-place]
            if (
                weight == ticket.weight
                and self._in_shares(left[other.caller], other.caller) <= mine
            ):
                continue  # its caller has lost enough of them by now
            left[other.caller] -= other.rows
            chosen.append(-place)
            rows += other.rows
            if rows >= ticket.rows:
                return sorted(chosen)
        return []

    def _is_plausible(self, ticket: Ticket) -> bool:
        """Whether there may be anybody: the quick answer, and nearly always no."""
        lightest = min(self._queue.by_weight, default=ticket.weight)
        return lightest < ticket.weight or self._longest() > self._after(ticket)

    def _candidates(self, ticket: Ticket, among: Iterable[int]) -> list[tuple[float, float, int]]:
        """Return (weight, minus the caller's rows, minus the place): the first goes first."""
        mine, found = self._after(ticket), []
        for at in among:
            other = self._queue[at]
            waiting = self._waiting(other.caller)
            if other.weight < ticket.weight or (other.weight == ticket.weight and waiting > mine):
                found.append((other.weight, -waiting, -at))
        return found

    def _longest(self) -> float:
        by_caller = self._queue.by_caller
        if not self._shares:
            return max(by_caller.values(), default=0)
        return max(map(self._waiting, by_caller), default=0.0)

    def _waiting(self, caller: Hashable) -> float:
        """Return the rows that wait for a caller, in shares."""
        return self._in_shares(self._queue.by_caller[caller], caller)

    def _after(self, ticket: Ticket) -> float:
        """Return what the newcomer's caller would have waiting."""
        rows = self._queue.by_caller.get(ticket.caller, 0) + ticket.rows
        return self._in_shares(rows, ticket.caller)

    def _in_shares(self, rows: int, caller: Hashable) -> float:
        return rows / self._shares.get(caller, 1.0)
