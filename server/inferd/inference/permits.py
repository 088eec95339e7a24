"""Who may run now, where models have more instances than the machine has cores.

Batches that share a core are all late together. So they take turns: a batch starts when there is
a core for each of its threads, and the model whose next request is due first goes first. The others
hold back, and their batches grow meanwhile.

But not every model can say when its next request is due, and under overload somebody is always due
in one that does not give up the late. So nobody is overtaken who has waited for `PATIENCE_S`: from
then on, those who have waited longest go first.
"""

import asyncio
import math
from typing import Protocol

PATIENCE_S = 0.02
"""Longer than most batches, so that the urgent are rarely held up."""


class Waiter(Protocol):
    """Whoever wants to run batches."""

    def due(self, now: float) -> float:
        """Return when the next batch must have started; infinity: nobody knows."""

    def look(self) -> None:
        """Start what can be started now."""


class CorePermits:
    """Permits for the cores of the process. Lives on the event loop; times are monotonic."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._free = cores
        #: Who was refused: since when it waits, and when it is due.
        self._waiting: dict[Waiter, tuple[float, float]] = {}

    def take(self, threads: int, waiter: Waiter, now: float) -> bool:
        """Take permits for a batch, or be called when it may be worth to ask again.

        A batch with more threads than there are cores needs them all.
        """
        threads = min(threads, self._cores)
        if threads <= self._free and not self._waiting:
            self._free -= threads
            return True
        since, was_due = self._waiting.pop(waiter, (now, math.inf))
        due = waiter.due(now)
        rank, first = _rank(since, due, now), self._first_rank(now)
        if threads <= self._free and rank <= first:
            self._free -= threads
            if self._free and self._waiting:
                self._call_soon()
            return True
        self._waiting[waiter] = since, due
        if _rank(since, was_due, now) < first < rank:
            self._call_soon()  # it held up others for the sake of somebody who has gone
        return False

    def give_back(self, threads: int) -> None:
        """Return a batch's permits; who waits is called when this turn of the loop is over."""
        self._free += min(threads, self._cores)
        if self._waiting:
            self._call_soon()

    def withdraw(self, waiter: Waiter) -> None:
        """Forget who has nothing to run any more."""
        if self._waiting.pop(waiter, None) is not None and self._waiting:
            self._call_soon()

    def _first_rank(self, now: float) -> tuple[bool, float]:
        ranks = [_rank(since, due, now) for since, due in self._waiting.values()]
        return min(ranks, default=(True, math.inf))

    def _call_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        for waiter in [*self._waiting]:  # whoever is first takes, and the others are told to wait
            waiter.look()


def _rank(since: float, due: float, now: float) -> tuple[bool, float]:
    """Return the place of who waits since then: the patient first, then by when they are due."""
    patient = now - since >= PATIENCE_S
    return (False, since) if patient else (True, due)
