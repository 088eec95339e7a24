"""Who may run now, where models have more instances than the machine has cores.

Batches that share a core are all late together. So they take turns: a batch starts when there is
a core for each of its threads, and the model whose next request is due first goes first. The others
hold back, and their batches grow meanwhile.

Not every model can say when its next request is due, and one that always has somebody who is due
would keep the cores for ever. So nobody is overtaken any more who has waited for `PATIENCE_S`.
"""

import asyncio
import math
from typing import Protocol

PATIENCE_S = 0.02
"""About as long as a large batch takes."""


class Waiter(Protocol):
    """Whoever wants to run batches."""

    def due(self, now: float) -> float:
        """Return when its next batch must have started; infinity: it cannot say."""

    def look(self) -> None:
        """Start what can be started now."""


class CorePermits:
    """Permits for the cores of the process. Lives on the event loop. Times are monotonic seconds."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._free = cores
        #: Who was refused first when, and when its next batch must have started.
        self._since: dict[Waiter, float] = {}
        self._due: dict[Waiter, float] = {}

    def take(self, threads: int, waiter: Waiter, now: float) -> bool:
        """Take permits for a batch, or be called when it may be worth to ask again.

        A batch with more threads than there are cores needs them all.
        """
        threads = min(threads, self._cores)
        if self._since:
            since = self._since.get(waiter, now)
            due = min(waiter.due(now), since + PATIENCE_S)
            was, first = self._due.pop(waiter, due), min(self._due.values(), default=math.inf)
            if threads > self._free or due > first:
                self._since[waiter], self._due[waiter] = since, due
                if was <= first < due:  # others may go who had to let it pass
                    self._call_soon()
                return False
            self._since.pop(waiter, None)
        elif threads > self._free:
            self._since[waiter], self._due[waiter] = now, min(waiter.due(now), now + PATIENCE_S)
            return False
        self._free -= threads
        return True
