"""The most that anybody could serve in time who knew everything beforehand.

For calls of one row on one executor that runs a batch of b rows in exactly `seconds(b)`, one after
the other and each to its end, `bound` counts the calls that are answered by their deadlines,
where a batch may only hold calls that have arrived when it starts. No noise, no way home,
no cost of deciding; a policy is not told the future, so it need not come near.

When deadlines are agreeable (who arrives later is not due earlier, as when all wait equally long)
the bound is reached by some schedule: an exchange argument shows that there is a best one whose
batches hold neighbours, in order. For if of two batches the earlier holds a later call, the two
calls can change places: the one that came first had arrived by then, and the other is due last.
And for a call that is left out between two members of a batch, the first of them can be left out
instead. So `most_agreeable` goes through the calls in order and keeps, for every number of calls
served, the earliest time at which the executor can be free: with more calls, or with
an earlier end, nothing that follows gets harder.

When they are not, that argument fails, and `bound` is the least of some relaxations. In each of
them every schedule of the original is still a schedule, so that none can lie below the optimum:
every call arrives as early as the earliest of those that are not due before it; every call is due
as late as the latest of those that arrived before it; calls are poured instead of batched, at the
cost per row of the best batch size, and any part of one counts. And what can be served of the
patient alone and of the hurried alone adds up to no less than what can be served of both.
"""

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

#: Calls that can be asked about: the time it takes grows with their square.
MOST_CALLS = 500
#: Different times that calls may have, for each to be looked at apart from the others.
MOST_CLASSES = 6
#: So many seconds are no lateness, but rounding.
EPSILON_S = 1e-9

Seconds = Callable[[int], float]
"""How long a batch of so many rows takes, in seconds; more rows never take less."""


@dataclass(frozen=True, slots=True)
class Want:
    """A call of one row: when it arrives and by when it is due, in seconds."""

    arrives: float
    due: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How many calls can be served in time at most, and whether some schedule does it."""

    calls: int
    reached: bool


def bound(wants: Sequence[Want], seconds: Seconds, max_batch: int) -> Bound:
    """Return how many calls anybody could have served in time.

    Raises `ValueError` for more than `MOST_CALLS`.
    """
    if len(wants) > MOST_CALLS:
        raise ValueError(f"{len(wants)} calls are more than {MOST_CALLS}")
    ordered = sorted(wants, key=lambda want: (want.arrives, want.due))
    if _agreeable(ordered):
        return Bound(most_agreeable(ordered, seconds, max_batch), reached=True)
    classes = _by_patience(ordered)
    most = [0]
    for upper in range(1, len(classes) + 1):
        sums = []
        for lower in range(upper):
            together = {at for each in classes[lower:upper] for at in each}
            group = [want for at, want in enumerate(ordered) if at in together]
            sums.append(most[lower] + _relaxed(group, seconds, max_batch))
        most.append(min(sums))
    return Bound(most[-1], reached=False)


def _relaxed(wants: Sequence[Want], seconds: Seconds, max_batch: int) -> int:
    """Return no less than can be served of calls that are in order of arrival."""
    if _agreeable(wants):
        return most_agreeable(wants, seconds, max_batch)
    return min(
        most_agreeable(_arriving_earlier(wants), seconds, max_batch),
        most_agreeable(_due_later(wants), seconds, max_batch),
        most_poured(wants, seconds, max_batch),
    )


def _by_patience(wants: Sequence[Want]) -> list[list[int]]:
    """Return which calls have the same time, the most hurried first; all, if that says little."""
    classes: dict[float, list[int]] = {}
    for at, want in enumerate(wants):
        classes.setdefault(round(want.due - want.arrives, 6), []).append(at)
    if len(classes) > MOST_CLASSES:
        return [[*range(len(wants))]]
    return [classes[slack] for slack in sorted(classes)]


def most_agreeable(wants: Sequence[Want], seconds: Seconds, max_batch: int) -> int:
    """Return the most calls that can be served in time, of calls with agreeable deadlines.

    `wants` are in order of both arrival and deadline.
    """
    count = len(wants)
    takes = [seconds(rows) for rows in range(1, min(max_batch, count) + 1)]
    # free[i][k]: when the executor can be free at the earliest that has served k of the first i.
    free = np.full((count + 1, count + 1), math.inf)
    free[:, 0] = 0.0
    for last in range(1, count + 1):
        here = free[last]
        np.minimum(here, free[last - 1], out=here)  # the last one is not served
        arrived = wants[last - 1].arrives
        for rows in range(1, min(max_batch, last) + 1):
            ends = np.maximum(free[last - rows, : count + 1 - rows], arrived) + takes[rows - 1]
            in_time = ends <= wants[last - rows].due + EPSILON_S
            np.minimum(here[rows:], np.where(in_time, ends, math.inf), out=here[rows:])
    return int(np.flatnonzero(np.isfinite(free[count])).max())


def most_poured(wants: Sequence[Want], seconds: Seconds, max_batch: int) -> int:
    """Return the most calls by the time that they take, at the best size, whatever their batches.

    A batch of b calls takes at least b shares of the executor, each between the arrival and
    the deadline of its call. Of such shares, the earliest due first is the most that fits.
    """
    share_s = min(seconds(rows) / rows for rows in range(1, max_batch + 1))
    arrivals = sorted(wants, key=lambda want: want.arrives)
    waiting: list[list[float]] = []  # deadline, what is left
    now = poured_s = 0.0
    for at, want in enumerate(arrivals):
        now = max(now, want.arrives)
        heapq.heappush(waiting, [want.due, share_s])
        until = arrivals[at + 1].arrives if at + 1 < len(arrivals) else math.inf
        while waiting and now < until:
            due, left = waiting[0]
            spent = min(left, until - now, max(due - now, 0.0))
            now, poured_s = now + spent, poured_s + spent
            waiting[0][1] -= spent
            if waiting[0][1] <= 0.0 or now >= due:
                heapq.heappop(waiting)
    return math.floor(poured_s / share_s + EPSILON_S / share_s)


def _agreeable(wants: Sequence[Want]) -> bool:
    return all(before.due <= after.due for before, after in pairwise(wants))


def _arriving_earlier(wants: Sequence[Want]) -> list[Want]:
    """Return calls that arrive no later than any that is due after them."""
    by_due = sorted(wants, key=lambda want: (want.due, want.arrives))
    earliest = [*accumulate((want.arrives for want in reversed(by_due)), min)][::-1]
    return [Want(at, want.due) for at, want in zip(earliest, by_due, strict=True)]


def _due_later(wants: Sequence[Want]) -> list[Want]:
    """Return calls that are due no earlier than any that has arrived before them."""
    latest = accumulate((want.due for want in wants), max)
    return [Want(want.arrives, due) for due, want in zip(latest, wants, strict=True)]
