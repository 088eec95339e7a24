"""What a cache keeps under a key, and what an order of eviction has to be able to do."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

V = TypeVar("V")


class Entry(Generic[V]):
    """A value and what is known of it. Equal only to itself, and so quickly found in a queue."""

    __slots__ = ("ending", "key", "priority", "rank", "size", "until", "value")

    def __init__(self, key: Hashable, value: V) -> None:
        self.key = key
        self.value = value
        #: It is over from then on, in monotonic seconds.
        self.until = 0.0
        self.size = 0
        #: Where `Endings` has it.
        self.ending = 0.0
        #: What its order thinks of it; 0: nothing yet. Who is removed and added again keeps it.
        self.rank = 0
        #: Where its order has it.
        self.priority = 0


Queue: TypeAlias = "OrderedDict[Entry[Any], None]"
"""Who comes first leaves first. (A plain dict takes O(n) to find its first after many left.)"""


class Order(Protocol):
    """In which order entries leave. It knows an entry from `add` until `remove`."""

    def add(self, entry: Entry[Any]) -> None:
        """Take in an entry that was put."""

    def use(self, entry: Entry[Any]) -> None:
        """Note that an entry was read."""

    def remove(self, entry: Entry[Any]) -> None:
        """Forget an entry."""

    def victim(self, size: int) -> Entry[Any]:
        """Return who is to leave for an entry of `size` bytes; there is one at least."""

    def clear(self) -> None:
        """Forget all entries."""


def first(queue: Queue) -> Entry[Any]:
    """Return who leaves first."""
    return next(iter(queue))
