"""Order within a key, and none between keys: one event of a user at a time, many users at once."""

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Lanes(Generic[Item]):
    """Says when whose turn it is. Pure: whoever asks does the work."""

    def __init__(self) -> None:
        #: What waits behind the one that is being worked on, by key.
        self._waiting: dict[str, deque[Item]] = {}

    def __len__(self) -> int:
        """Return how many keys are being worked on."""
        return len(self._waiting)

    def enter(self, key: str, item: Item) -> bool:
        """Return whether `item` may be begun now; if not, `leave` will return it in time."""
        waiting = self._waiting.get(key)
        if waiting is None:
            self._waiting[key] = deque()
            return True
        waiting.append(item)
        return False

    def leave(self, key: str) -> Item | None:
        """Say that the one begun last is done, and return the next; None if there is none."""
        waiting = self._waiting[key]
        if waiting:
            return waiting.popleft()
        del self._waiting[key]
        return None
