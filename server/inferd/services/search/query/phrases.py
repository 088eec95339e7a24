"""Rows of words that mean something, found in the words of a query."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")
Phrase = tuple[str, ...]

MAX_WORDS = 8
"""Longer phrases are nothing that somebody types."""


class Found(NamedTuple, Generic[V]):
    """Where a phrase is: from the first word to the one after its last."""

    start: int
    end: int
    value: V


class Phrases(Generic[V]):
    """What phrases stand for. Immutable."""

    def __init__(self, meanings: Mapping[Phrase, V]) -> None:
        self._meanings = meanings
        self._first: dict[str, int] = {}
        for phrase in meanings:
            longest = self._first.get(phrase[0], 0)
            self._first[phrase[0]] = max(longest, len(phrase))
        self.words = frozenset(word for phrase in meanings for word in phrase)

    def longest(self, words: Sequence[str]) -> Iterator[Found[V]]:
        """Yield phrases that do not overlap, from the left, the longest of each place."""
        at = 0
        while at < len(words):
            found = self._at(words, at)
            if found is not None:
                yield found
            at = at + 1 if found is None else found.end

    def _at(self, words: Sequence[str], start: int) -> Found[V] | None:
        for length in range(self._first.get(words[start], 0), 0, -1):
            phrase = tuple(words[start : start + length])
            if len(phrase) == length and phrase in self._meanings:
                return Found(start, start + length, self._meanings[phrase])
        return None
