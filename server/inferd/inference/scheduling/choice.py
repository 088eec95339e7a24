"""Which of those who wait leave now, in one batch."""

import math
from bisect import insort
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import accumulate
from operator import attrgetter

from inferd.inference.scheduling.arrivals import Arrivals
from inferd.inference.scheduling.bound import Bound
from inferd.inference.scheduling.forecast import Forecast
from inferd.inference.scheduling.latency import LatencyModel
from inferd.inference.scheduling.policy import Policy
from inferd.inference.scheduling.queue import Queue
from inferd.inference.scheduling.selection import heaviest
from inferd.inference.scheduling.sizes import Crowd, Sizes
from inferd.inference.scheduling.turns import Turns
from inferd.inference.scheduling.way_home import WayHome

DEADLINE = attrgetter("deadline")


class Choice:
    """Looks at the queue, and takes nobody out of it."""

    def __init__(
        self,
        policy: Policy,
        queue: Queue,
        latency: LatencyModel,
        *,
        arrivals: Arrivals,
        forecast: Forecast,
        home: WayHome,
        turns: Turns,
        bound: Bound,
        slots: int,
    ) -> None:
        self._shares = policy.shares
        self._queue = queue
        self._latency = latency
        self._arrivals = arrivals
        self._forecast = forecast
        self._home = home
        self._turns = turns
        self._bound = bound
        self._sizes = Sizes(bound, latency, home)
        self._slots = slots
        self._by_deadline = policy.by_deadline

    def resize(self, slots: int) -> None:
        """Count on so many batches at the same time from now on."""
        self._slots = slots

    def of(self, now: float, key: Hashable, ends: Sequence[float]) -> Sequence[int]:
        """Return the places of those with this key who leave now, ascending, at least one.

        `ends` are the times, in order, when the runs under way are expected to end.
        """
        queue = self._queue
        if len(queue) == 1:
            return (0,)
        limit, too_tight = self._size(now, key, ends)
        differ = len(queue.by_weight) > 1 or len(queue.by_caller) > 1
        if differ and self._by_deadline:
            return self._worthiest(now, key, limit, too_tight, ends) or (0,)
        if too_tight == -math.inf and key is None and queue.rows == len(queue):
            return range(limit)
        return _filling(queue, self._fitting(key, too_tight), limit) or (0,)

    def _worthiest(
        self, now: float, key: Hashable, limit: int, too_tight: float, ends: Sequence[float]
    ) -> list[int]:
        """Return who leaves now when callers are not worth the same."""
        queue = self._queue
        places = list(self._fitting(key, too_tight))
        tickets = [queue[at] for at in places]
        rows = sum([ticket.rows for ticket in tickets])
        if rows > limit:
            seconds = self._latency.predict(limit, key)
            backs, room = self._batches_to_come(seconds, limit, rows, self._free(now, ends), now)
            may_go = heaviest(tickets, backs, room, self._shares)
            places = [at for at, may in zip(places, may_go, strict=True) if may]
        return _filling(queue, places, limit)

    def _batches_to_come(
        self, seconds: float, limit: int, rows: int, free: list[float], now: float
    ) -> tuple[list[float], list[int]]:
        """Return when the answers are back of this batch and the next, and the places until then.

        This one has `limit` places and takes `seconds`; there are as many as it takes for `rows`.
        """
        home_s, most = self._home.seconds, self._bound.rows
        insort(free, now + seconds)
        backs, room = [now + seconds + home_s], [limit]
        while room[-1] < rows:
            end = free.pop(0) + self._latency.predict(most)
            insort(free, end)
            backs.append(end + home_s)
            room.append(room[-1] + most)
        return backs, room

    def _size(self, now: float, key: Hashable, ends: Sequence[float]) -> tuple[int, float]:
        """Return the rows to take at most, and the deadline that is too tight to come along."""
        top = min(self._queue.rows, self._bound.rows)
        finish = now + self._latency.predict(top, key) + self._home.seconds
        patient = self._queue[0].deadline >= finish and self._by_deadline
        if patient and not self._arrivals.weighed:
            return top, -math.inf  # everyone can afford the largest batch there is
        best = self._sizes.best(now, self._crowd(now, key, ends))
        return best, now + self._latency.predict(best, key) + self._home.seconds

    def _crowd(self, now: float, key: Hashable, ends: Sequence[float]) -> Crowd:
        alike = [ticket for ticket in self._queue if ticket.key == key]
        if not self._by_deadline:
            alike.sort(key=DEADLINE)
        per_s = self._forecast.rows_per_s()
        load = self._arrivals.rows_per_s(now) / (per_s * self._slots) if per_s else 0.0
        crowd = Crowd(
            [ticket.deadline for ticket in alike],
            sum([ticket.rows for ticket in alike]) / len(alike),
            per_s,
            load,
            shape=key,
            alike=self._arrivals.alike and not self._arrivals.weighed,
            turn_s=self._turns.seconds,
            free=self._free(now, ends),
        )
        if self._arrivals.weighed:
            crowd.worth = [0.0, *accumulate([ticket.weight for ticket in alike])]
            crowd.price = self._arrivals.weight.least
            crowd.hurried = list(self._arrivals.hurried(now))
        return crowd

    def _free(self, now: float, ends: Sequence[float]) -> list[float]:
        """Return when the instances besides the one to be used now are free, in order."""
        idle = self._slots - 1 - len(ends)
        return [now] * idle + [max(now, end) for end in ends]

    def _fitting(self, key: Hashable, too_tight: float) -> Iterator[int]:
        """Positions of the tickets that can come along, in order."""
        for at, ticket in enumerate(self._queue):
            if ticket.key == key and ticket.deadline >= too_tight:
                yield at


def _filling(queue: Queue, places: Iterable[int], limit: int) -> list[int]:
    """Return the first of these places whose tickets fit into a batch of `limit` rows."""
    rows, chosen = 0, []
    for at in places:
        rows += queue[at].rows
        if rows <= limit:
            chosen.append(at)
        elif chosen:
            break
        else:
            rows = 0
        if rows == limit:
            break
    return chosen
