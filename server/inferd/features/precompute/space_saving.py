"""Which keys are asked for most, told by so many counters however many keys there are.

Space-saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in
Data Streams", 2005): a key without a counter takes over the smallest one and counts on from
there. So counts are too large by at most the smallest of them, and a key that occurred more often
than that has a counter for certain. The paper's stream-summary is a linked list of counts, each
with its keys; since keys are counted one by one, the next count is always one more, and a
dictionary of keys by count will do.

Halving all counts from time to time makes what happened longer ago count for less.
"""

from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Counted(NamedTuple, Generic[Key]):
    """A key and how often it occurred."""

    key: Key
    at_least: int
    at_most: int


class SpaceSaving(Generic[Key]):
    """The keys that occur most often, with bounds of how often. Pure.

    With N occurrences and k counters, `at_most` is too large by at most N/k. Occurrences before a
    `halve` count for half as much each time, in N, too; then it is N/k + 1.
    """

    __slots__ = ("_counters", "_counts", "_keys", "_least")

    def __init__(self, counters: int) -> None:
        self._counters = counters
        self._counts: dict[Key, int] = {}
        #: By count: its keys, and of each how much of the count may be others'. None is empty.
        self._keys: dict[int, dict[Key, int]] = {}
        #: The smallest count.
        self._least = 0

    def __len__(self) -> int:
        return len(self._counts)

    def add(self, key: Key) -> None:
        """Count one occurrence, in constant time."""
        counts, keys = self._counts, self._keys
        count = counts.get(key)
        if count is not None:
            peers = keys[count]
            others = peers.pop(key)
        elif len(counts) < self._counters:
            count = others = 0
            peers = None
            self._least = 1
        else:
            count = others = self._least
            peers = keys[count]
            del counts[peers.popitem()[0]]
        counts[key] = more = count + 1
        if more in keys:
            keys[more][key] = others
        else:
            keys[more] = {key: others}
        if peers is not None and not peers:
            del keys[count]
            if count == self._least:
                self._least = more

    def __iter__(self) -> Iterator[Counted[Key]]:
        """Yield the keys that have counters, the largest counts first. Not while keys are added."""
        for count in sorted(self._keys, reverse=True):
            for key, others in self._keys[count].items():
                yield Counted(key, count - others, count)

    def halve(self) -> None:
        """Let all that was counted so far count for half as much. Takes time for every counter."""
        everything = list(self)
        self._counts.clear()
        self._keys.clear()
        for key, at_least, at_most in everything:
            # The one bound is rounded up and the other down, so that they stay bounds.
            halved = (at_most + 1) // 2
            self._counts[key] = halved
            self._keys.setdefault(halved, {})[key] = halved - at_least // 2
        self._least = min(self._keys, default=0)
