"""Where the words of a query are in the hits: per field, in order or not. All hits at once.

A word is in a field if one of its alternatives is, so what was corrected or has a synonym counts as
found. What a word is only the beginning of does not.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from inferd.services.search.document_words import NO_WORD, Words, number_of
from inferd.services.search.text_query import Word
from inferd.services.search.words import words_of

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


class Matches:
    """The words of one query in one field of documents."""

    def __init__(self, words: Sequence[Word], field: Words) -> None:
        """Look for words in a field, uint32 [k, most]."""
        self._field = field
        self._written = [
            [[number_of(each) for each in words_of(it.text)] for it in word.alternatives]
            for word in words
        ]
        self._has = {
            number: (field == np.uint32(number)).any(axis=1)
            for alternatives in self._written
            for written in alternatives
            for number in written
        }

    def found(self) -> Flags:
        """Return which words of the query are there, bool [words, k]."""
        nowhere = np.zeros(len(self._field), np.bool_)
        found = [
            reduce(np.logical_or, (self._all(it) for it in alternatives if it), nowhere)
            for alternatives in self._written
        ]
        return np.array(found, np.bool_).reshape(len(self._written), len(self._field))

    def order(self) -> Floats:
        """Return the share of neighbours in the query that are neighbours here, float32 [k]."""
        numbers = self._first()
        if len(numbers) < 2:
            return np.zeros(len(self._field), np.float32)
        pairs = [self._follow(one, two).any(axis=1) for one, two in pairwise(numbers)]
        share: Floats = np.mean(pairs, axis=0, dtype=np.float32)
        return share

    def phrase(self) -> Floats:
        """Return 1 where the whole query is there as it was written, float32 [k]."""
        numbers = self._first()
        most = self._field.shape[1]
        if not numbers or len(numbers) > most:
            return np.zeros(len(self._field), np.float32)
        begins = most - len(numbers) + 1
        parts = (
            self._field[:, place : place + begins] == np.uint32(number)
            for place, number in enumerate(numbers)
        )
        whole: Flags = reduce(np.logical_and, parts).any(axis=1)
        return whole.astype(np.float32)

    def cover(self) -> Floats:
        """Return the share of the field's words that are of the query, float32 [k]."""
        asked = np.isin(self._field, np.array([*self._has], np.uint32)).sum(axis=1)
        there = (self._field != NO_WORD).sum(axis=1)
        cover: Floats = (asked / np.maximum(there, 1)).astype(np.float32)
        return cover

    def _first(self) -> list[int]:
        """Return the words of the query as they are meant, in order."""
        return [number for alternatives in self._written for number in (alternatives or [[]])[0]]

    def _all(self, written: Sequence[int]) -> Flags:
        return reduce(np.logical_and, (self._has[number] for number in written))

    def _follow(self, one: int, two: int) -> Flags:
        first = self._field[:, :-1] == np.uint32(one)
        both: Flags = first & (self._field[:, 1:] == np.uint32(two))
        return both
