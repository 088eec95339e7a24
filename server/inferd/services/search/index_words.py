"""Which words there are in the index, and how many documents have each."""

from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType

WordsChanged = Callable[[Mapping[str, int]], None]
"""Is told by how much the documents that have a word have become more, or fewer."""


class Vocabulary:
    """The words of all texts. A document counts once for every field that has the word."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        #: Are told of every change, after it was made.
        self.listeners: list[WordsChanged] = []

    @property
    def counts(self) -> Mapping[str, int]:
        """The words that there are, with their counts: a view that changes with the index."""
        return MappingProxyType(self._counts)

    def change(self, by: Mapping[str, int]) -> None:
        """Take note of what has been written."""
        self._counts.update(by)
        for word in by:
            if self._counts[word] <= 0:
                del self._counts[word]
        for told in self.listeners:
            told(by)
