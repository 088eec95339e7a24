"""Who may run now, where models have more instances than the machine has cores.

Batches that share a core are all late together. So they take turns: a batch starts when there is
a core for each of its threads, and the model whose next request is due first goes first. The others
hold back, and their batches grow meanwhile.
"""

import asyncio
from typing import Protocol


class Waiter(Protocol):
    """Whoever wants to run batches."""

    def look(self) -> None:
        """Start what can be started now."""


class CorePermits:
    """Permits for the cores of the process. Lives on the event loop."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._free = cores
        #: Who was refused, and when the first of its requests must have been started.
        self._waiting: dict[Waiter, float] = {}

    def take(self, threads: int, waiter: Waiter, due: float) -> bool:
        """Take permits for a batch, or be called when it may be worth to ask again.

        `due` is when the batch must start (monotonic seconds): those who are due earlier go
        first. A batch with more threads than there are cores needs them all.
        """
        self._waiting.pop(waiter, None)
        threads = min(threads, self._cores)
        first = min(self._waiting.values(), default=due)
        if threads <= self._free and due <= first:
            self._free -= threads
            return True
        self._waiting[waiter] = due
        return False

    def give_back(self, threads: int) -> None:
        """Return a batch's permits; who waits is called when this turn of the loop is over."""
        self._free += min(threads, self._cores)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._call)

    def withdraw(self, waiter: Waiter) -> None:
        """Forget who has nothing to run any more."""
        if self._waiting.pop(waiter, None) is not None and self._waiting:
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        for waiter, _ in sorted(self._waiting.items(), key=lambda each: each[1]):
            waiter.look()
