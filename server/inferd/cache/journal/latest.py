"""What was said last, of so many keys at most: whoever was not heard of for longest is forgotten.

Pure.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Latest(Generic[K, V]):
    """Knows the latest keys. To ask for one makes it no younger."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Return what was said last of a key; None: it is not known, or no more."""
        return self._known.get(key)

    def put(self, key: K, value: V) -> None:
        """Say it of a key."""
        self._known[key] = value
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def change(self, key: K, was: V, value: V | None) -> None:
        """Say something else of a key whose value is still that very one; None: forget it."""
        if self._known.get(key) is not was:
            return
        if value is None:
            del self._known[key]
        else:
            self._known[key] = value
