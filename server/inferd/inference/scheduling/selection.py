"""Who goes when there is not room for all: the heaviest set that can still be in time.

Between equals, callers take turns: the first request of each goes before the second of any.

Equal jobs with deadlines and weights form a matroid: to take the heaviest first, and each
only if all that have been taken can still be in time, is not just greedy but best
(Lawler, Combinatorial Optimization, 1976). The places are those of the batches to come; jobs of
several rows make it an approximation.
"""

from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence

from inferd.inference.scheduling.ticket import Ticket


def heaviest(
    tickets: Sequence[Ticket],
    ends: Sequence[float],
    rows: Sequence[int],
    shares: Mapping[Hashable, float],
) -> list[bool]:
    """Return who may go.

    `tickets` are in the order in which equals go. `ends` says, in order, when the answers of
    the batches to come are back, and `rows` how many there are places for, in all, until
    the end of each. A caller with a share of 2 has two turns for one of the others.
    """
    chosen = [False] * len(tickets)
    taken = [0] * len(ends)
    for at in _in_turn(tickets, shares):
        ticket = tickets[at]
        in_time = bisect_right(ends, ticket.deadline)  # it has to be in one of so many
        if not in_time:
            continue
        after = range(in_time - 1, len(ends))
        if all(taken[each] + ticket.rows <= rows[each] for each in after):
            chosen[at] = True
            for each in after:
                taken[each] += ticket.rows
    return chosen


def _in_turn(tickets: Sequence[Ticket], shares: Mapping[Hashable, float]) -> list[int]:
    """Return the places of the tickets: the heaviest first, and callers in turn."""
    turns: dict[Hashable, float] = {}
    order = []
    for at, ticket in enumerate(tickets):
        caller = ticket.caller
        turn = turns[caller] = turns.get(caller, 0.0) + ticket.rows / shares.get(caller, 1.0)
        order.append((-ticket.weight, turn, at))
    order.sort()
    return [at for _, _, at in order]
