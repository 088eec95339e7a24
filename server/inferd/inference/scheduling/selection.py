"""Who goes when there is not room for all: the heaviest set that can still be in time.

Equal jobs with deadlines and weights form a matroid: to take the heaviest first, and each
only if all that have been taken can still be in time, is not just greedy but best
(Lawler, Combinatorial Optimization, 1976). The places are those of the batches to come; jobs of
several rows make it an approximation.
"""

from bisect import bisect_right
from collections.abc import Sequence

from inferd.inference.scheduling.ticket import Ticket


def heaviest(tickets: Sequence[Ticket], ends: Sequence[float], rows: Sequence[int]) -> list[bool]:
    """Return who may go.

    `tickets` are in the order in which equals go. `ends` says, in order, when the answers of
    the batches to come are back, and `rows` how many there are places for, in all, until
    the end of each.
    """
    chosen = [False] * len(tickets)
    taken = [0] * len(ends)
    for at in sorted(range(len(tickets)), key=lambda at: -tickets[at].weight):
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
