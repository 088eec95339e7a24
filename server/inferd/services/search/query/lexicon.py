"""The words there are, how frequent they are, and which of them are a typing error or two away.

Two words that are few errors apart have something in common once a few letters are left out of
each ("symmetric deletes": W. Garbe, SymSpell, 2012). So every word is kept under the hashes of its
first letters with up to so many left out; a word that is looked for is treated alike, and where the
hashes meet are candidates. How many errors there really are is then counted.

All hashes are in one sorted NumPy array, 12 bytes each, and made by array operations: the words of
an index change all the time, and a lexicon is made anew, beside the event loop.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inferd.services.search.query.distance import distance

Codes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]

_LETTERS = 8
"""From so many first letters some are left out; what comes later is only compared."""
_BASE = 0x9E3779B97F4A7C15
_CHUNK = 4096


class Near(NamedTuple):
    """A word that is not far from another."""

    word: str
    frequency: int
    #: Typing errors between them.
    distance: int


class Tolerance(NamedTuple):
    """How many typing errors words may have: none, from so many letters one, from so many two."""

    one: int = 4
    two: int = 8

    def of(self, letters: int) -> int:
        """Return the errors that a word of so many letters may have."""
        return int(letters >= self.one) + int(letters >= self.two)


USUAL = Tolerance()


class Lexicon:
    """Words with the number of documents they are in. Immutable."""

    def __init__(self, words: Mapping[str, int], tolerance: Tolerance = USUAL) -> None:
        self.tolerance = tolerance
        self.frequencies = words
        #: Of the most frequent word.
        self.most = max(words.values(), default=0)
        self._words = [word for word in words if word]
        self._lengths = np.fromiter(map(len, self._words), np.int32, len(self._words))
        letters = _codes("".join(self._words))
        self._starts = np.concatenate(([0], np.cumsum(self._lengths)[:-1])).astype(np.int64)
        self._masks = _masks(letters, self._starts) if self._words else letters
        hashes, owners = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
        for rows, first, errors in self._alike():
            codes = letters[self._starts[rows][:, None] + np.arange(first)]
            for left_out in range(errors + 1):
                each = _hashes(codes, left_out)
                hashes.append(each.ravel())
                owners.append(np.repeat(rows, each.shape[1]))
        every = np.concatenate(hashes)
        order = np.argsort(every)
        self._hashes = every[order]
        self._owners = np.concatenate(owners)[order]

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, word: str) -> bool:
        return word in self.frequencies

    def frequency(self, word: str) -> int:
        """Return how many documents have a word; 0: none."""
        return self.frequencies.get(word, 0)

    def near(self, word: str, most: int = 2) -> list[Near]:
        """Return the other words that are as near as a word of this length allows, unordered.

        They are at most `most` errors away.
        """
        errors = min(self.tolerance.of(len(word)), most)
        if not errors or not self._words:
            return []
        codes = _codes(word)
        first = codes[None, :_LETTERS]
        wanted = np.concatenate([_hashes(first, each)[0] for each in range(errors + 1)])
        starts = np.searchsorted(self._hashes, wanted)
        hit = self._hashes[np.minimum(starts, len(self._hashes) - 1)] == wanted
        if not hit.any():
            return []
        starts, ends = starts[hit], np.searchsorted(self._hashes, wanted[hit], "right")
        places = zip(starts.tolist(), ends.tolist(), strict=True)
        rows = np.unique(np.concatenate([self._owners[start:end] for start, end in places]))
        differ = np.bitwise_count(self._masks[rows] ^ _mask(codes))
        close = (differ <= 2 * errors) & (np.abs(self._lengths[rows] - len(word)) <= errors)
        return list(self._checked(word, rows[close], errors))

    def _checked(self, word: str, rows: Rows, errors: int) -> Iterator[Near]:
        for row in rows.tolist():
            other = self._words[row]
            apart = distance(word, other, errors)
            if 0 < apart <= errors:
                yield Near(other, self.frequencies[other], apart)

    def _alike(self) -> Iterator[tuple[Rows, int, int]]:
        """Yield words that are treated alike, by chunks: how many letters count, and errors."""
        for length in np.unique(np.minimum(self._lengths, self._longest())).tolist():
            longest = length == self._longest()
            same = self._lengths >= length if longest else self._lengths == length
            rows = np.flatnonzero(same).astype(np.int32)
            for at in range(0, len(rows), _CHUNK):
                yield (
                    rows[at : at + _CHUNK],
                    min(length, _LETTERS),
                    self.tolerance.of(length),
                )

    def _longest(self) -> int:
        """Return the number of letters from which on words are treated alike."""
        return max(_LETTERS, self.tolerance.two)


def _codes(text: str) -> Codes:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)


def _bits(codes: Codes) -> Codes:
    return np.uint64(1) << (codes & np.uint64(63))


def _masks(codes: Codes, starts: npt.NDArray[np.int64]) -> Codes:
    """Return one number per word, with a bit for each letter that it has."""
    masks: Codes = np.bitwise_or.reduceat(_bits(codes), starts)
    return masks


def _mask(codes: Codes) -> np.uint64:
    mask: np.uint64 = np.bitwise_or.reduce(_bits(codes))
    return mask


@cache
def _kept(letters: int, left_out: int) -> tuple[npt.NDArray[np.intp], Codes]:
    """Return which letters are kept, [ways, kept], and what each of them is multiplied by."""
    kept = max(letters - left_out, 0)
    ways = np.array(list(combinations(range(letters), kept)), np.intp).reshape(-1, kept)
    return ways, np.array([pow(_BASE, at, 1 << 64) for at in range(1, kept + 1)], np.uint64)


def _hashes(codes: Codes, left_out: int) -> Codes:
    """Return the hashes of words, [words, ways], with so many letters left out in every way."""
    ways, powers = _kept(codes.shape[1], left_out)
    hashes: Codes = codes[:, ways] @ powers
    return hashes
