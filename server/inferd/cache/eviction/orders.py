"""The simple orders of eviction: fifo, lru and lfu."""

from collections import OrderedDict
from typing import Any

from inferd.cache.eviction.entry import Entry, Queue, first

MOST_USES = 255
"""That count. Who has more is not kept for longer, and a victim is found within so many steps."""


class Fifo:
    """Who was put longest ago leaves."""

    def __init__(self) -> None:
        self._queue: Queue = OrderedDict()

    def add(self, entry: Entry[Any]) -> None:
        """Take in an entry that was put."""
        self._queue[entry] = None

    def use(self, entry: Entry[Any]) -> None:
        """Do nothing."""

    def remove(self, entry: Entry[Any]) -> None:
        """Forget an entry."""
        del self._queue[entry]

    def victim(self, size: int) -> Entry[Any]:
        """Return who is to leave."""
        return first(self._queue)

    def clear(self) -> None:
        """Forget all entries."""
        self._queue.clear()


class Lru(Fifo):
    """Who was put or read longest ago leaves."""

    def use(self, entry: Entry[Any]) -> None:
        """Note that an entry was read."""
        self._queue.move_to_end(entry)


class Lfu:
    """Who was used least often leaves; of those, who was used longest ago. Its rank is its uses.

    With dynamic ageing (Arlitt et al., Evaluating Content Management Techniques for Web Proxy
    Caches, 1999): uses count from the priority of whoever left last, so that nobody stays for what
    it was long ago. There is a queue per priority; and since all priorities lie within `MOST_USES`
    of the age, the lowest is found in O(1).
    """

    def __init__(self) -> None:
        self._queues: dict[int, Queue] = {}
        self._age = 0

    def add(self, entry: Entry[Any]) -> None:
        """Take in an entry that was put."""
        if entry.rank < MOST_USES:
            entry.rank += 1
        entry.priority = priority = self._age + entry.rank
        queue = self._queues.get(priority)
        if queue is None:
            queue = self._queues[priority] = OrderedDict()
        queue[entry] = None

    def use(self, entry: Entry[Any]) -> None:
        """Note that an entry was read."""
        self.remove(entry)
        self.add(entry)

    def remove(self, entry: Entry[Any]) -> None:
        """Forget an entry."""
        queue = self._queues[entry.priority]
        del queue[entry]
        if not queue:
            del self._queues[entry.priority]

    def victim(self, size: int) -> Entry[Any]:
        """Return who is to leave."""
        while self._age not in self._queues:
            self._age += 1
        return first(self._queues[self._age])

    def clear(self) -> None:
        """Forget all entries."""
        self._queues.clear()
