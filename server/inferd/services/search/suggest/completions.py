"""What begins with what was typed, the most popular first.

All texts are in one sorted list, so those that begin alike are next to each other: two binary
searches find them, and a partial sort of their weights finds the best. Short prefixes have many;
what is best of those is remembered.

A typing error is allowed for by two lexicons (`query.lexicon`): one of the words in the texts, for
those that were typed to their end, and one of what words begin with, for the last.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, product

import numpy as np

from inferd.services.search.query.lexicon import Lexicon, Near, Tolerance
from inferd.services.search.words import words_of

_LAST = "\U0010ffff"
_MANY = 2000
"""Of so many texts, the best are remembered."""
_BEST = 64
_BEGINNINGS = range(3, 11)
"""Letters of what words begin with, where typing errors are allowed for."""
_ONE_ERROR = Tolerance(one=4, two=1_000_000)
_CANDIDATES = 3
"""Readings of a word with a typing error."""


class Kind(StrEnum):
    """What a suggestion is."""

    QUERY = "query"
    TERM = "term"
    TITLE = "title"
    RECENT = "recent"


@dataclass(frozen=True, slots=True)
class Entry:
    """A text that may be suggested."""

    text: str
    #: How popular it is, in queries. Not negative.
    weight: float
    kind: Kind


class Completions:
    """Texts by what they begin with. Immutable but for what it remembers."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Sort them. Of those with the same words the heaviest is kept."""
        best: dict[str, Entry] = {}
        for entry in entries:
            key = " ".join(words_of(entry.text))
            if key and (key not in best or best[key].weight < entry.weight):
                best[key] = entry
        self._keys = sorted(best)
        self._entries = [best[key] for key in self._keys]
        self._weights = np.array([entry.weight for entry in self._entries], np.float64)
        self._remembered: dict[tuple[int, int], tuple[Entry, ...]] = {}
        self._words, self._beginnings = _lexicons(best)

    def __len__(self) -> int:
        return len(self._keys)

    def best(self, key: str, count: int) -> Sequence[Entry]:
        """Return the heaviest texts whose words begin with `key`. O(log n) for most."""
        first = bisect_left(self._keys, key)
        end = bisect_left(self._keys, key + _LAST, first)
        if end - first <= _MANY or count > _BEST:
            return self._heaviest(first, end, count)
        known = self._remembered.get((first, end))
        if known is None:
            known = self._remembered[first, end] = self._heaviest(first, end, _BEST)
        return known[:count]

    def corrected(self, words: Sequence[str]) -> Iterator[str]:
        """Yield what words, the last of which is a beginning, may be meant to be: keys for `best`.

        The likeliest comes first. What was typed itself is none of them.
        """
        if not words:
            return
        choices = [self._readings(word, self._words) for word in words[:-1]]
        last = words[-1]
        beginnings = [last] if self._begins(last) else []
        beginnings += self._meant(last[: _BEGINNINGS[-1]], self._beginnings)
        typed = " ".join(words)
        every = (" ".join(each) for each in product(*choices, beginnings or [last]))
        yield from (key for key in islice(every, 2 * _CANDIDATES**2) if key != typed)

    def _heaviest(self, first: int, end: int, count: int) -> tuple[Entry, ...]:
        weights = self._weights[first:end]
        if len(weights) > count:
            places = np.argpartition(-weights, count - 1)[:count]
        else:
            places = np.arange(len(weights))
        order = sorted((first + place for place in places.tolist()), key=self._rank)
        return tuple(self._entries[place] for place in order)

    def _rank(self, place: int) -> tuple[float, str]:
        return -self._weights[place], self._keys[place]

    def _readings(self, word: str, lexicon: Lexicon) -> list[str]:
        return [word] if word in lexicon else self._meant(word, lexicon) or [word]

    def _meant(self, word: str, lexicon: Lexicon) -> list[str]:
        if any(each.isdigit() for each in word):
            return []  # another number is another thing
        near = sorted(lexicon.near(word), key=lambda each: _likelihood(word, each))
        return [each.word for each in near[:_CANDIDATES]]

    def _begins(self, letters: str) -> bool:
        return letters[: _BEGINNINGS[-1]] in self._beginnings


def _likelihood(written: str, near: Near) -> tuple[bool, int, int, str]:
    return near.word[0] != written[0], near.distance, -near.frequency, near.word


def _lexicons(best: dict[str, Entry]) -> tuple[Lexicon, Lexicon]:
    """Return the lexicons of whole words and of what words begin with, weighted."""
    words: dict[str, int] = {}
    for key, entry in best.items():
        for word in key.split():
            words[word] = words.get(word, 0) + 1 + int(entry.weight)
    beginnings: dict[str, int] = {}
    for word, weight in words.items():
        for letters in _BEGINNINGS:
            if letters > len(word):
                break
            begin = word[:letters]
            beginnings[begin] = beginnings.get(begin, 0) + weight
    return Lexicon(words), Lexicon(beginnings, _ONE_ERROR)
