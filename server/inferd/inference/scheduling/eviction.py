"""Who has to go so that a newcomer can stay, when not all can be served.

Whoever is worth less than the newcomer. And among equals, whoever has the most waiting: a caller
loses a request to another only while it has more of them here than the other would then have
(longest queue drop, Suter et al. 1998). So each gets its share, none is owed anything for
what it did not ask for, and all that is remembered of callers is who waits.
"""

from collections.abc import Hashable, Mapping

from inferd.inference.scheduling.queue import Queue
from inferd.inference.scheduling.ticket import Ticket


class Eviction:
    """Chooses who goes; takes nobody out."""

    def __init__(self, queue: Queue, shares: Mapping[Hashable, float]) -> None:
        self._queue = queue
        self._shares = shares

    def in_favour_of(self, ticket: Ticket, before: int) -> list[int]:
        """Return the places to empty, ascending: at least `ticket.rows` rows ahead of `before`.

        Empty when those who would have to go are worth as much.
        """
        if not self._is_plausible(ticket):
            return []
        chosen, rows = [], 0
        for place in sorted(self._candidates(ticket, before)):
            at = -place[-1]
            chosen.append(at)
            rows += self._queue[at].rows
            if rows >= ticket.rows:
                return sorted(chosen)
        return []

    def _is_plausible(self, ticket: Ticket) -> bool:
        """Whether there may be anybody: the quick answer, and nearly always no."""
        queue = self._queue
        if len(queue.by_weight) > 1 or ticket.weight not in queue.by_weight:
            return min(queue.by_weight, default=ticket.weight) < ticket.weight or (
                self._longest() > self._after(ticket)
            )
        return self._longest() > self._after(ticket)

    def _candidates(self, ticket: Ticket, before: int) -> list[tuple[float, float, int]]:
        """Return (weight, minus the caller's rows, minus the place): the first goes first."""
        mine, found = self._after(ticket), []
        for at in range(before):
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
        return self._queue.by_caller[caller] / self._shares.get(caller, 1.0)

    def _after(self, ticket: Ticket) -> float:
        """Return what the newcomer's caller would have waiting."""
        rows = self._queue.by_caller.get(ticket.caller, 0) + ticket.rows
        return rows / self._shares.get(ticket.caller, 1.0)
