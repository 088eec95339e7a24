"""What the words of a query were meant to be.

A word that is in the index is what it is. One that is not has a typing error, or a space too many
or too few. Candidates are a few errors away (`lexicon`); how credible each is: its frequency, times
a factor for every error, times one if the first letter differs, which hardly anybody gets wrong.
Numbers are never corrected: an "s21" is no "s22".

What was written is searched for as well, always: the index may have learnt the word a moment ago.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from inferd.services.search.query.forms import other_forms
from inferd.services.search.query.lexicon import Lexicon, Near
from inferd.services.search.query.understood import Correction
from inferd.services.search.text_query import Alternative

_PER_ERROR = 1 / 30
_FIRST_LETTER = 1 / 10
_RUNNER_UP = 0.5
"""What the second best candidate counts at most, of 1."""
_LETTERS_AND_DIGITS = re.compile(r"([^\W\d_]+)(\d+)|(\d+)([^\W\d_]+)")
_DIGITS = re.compile(r"\d+")
_PART = 2
"""Words that were written together have at least so many letters each."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A word of the query as it was probably meant."""

    text: str
    #: What else it may be. What was written is among them, if that is another word.
    others: tuple[Alternative, ...] = ()
    #: What was done, of one reading only where it was done to several.
    correction: Correction | None = None


@dataclass(frozen=True, slots=True)
class Speller:
    """Reads words. Pure, over one state of the index."""

    lexicon: Lexicon
    #: Whether a word is right without being in the index, e.g. because it has synonyms.
    right: Callable[[str], bool]
    #: Candidates that are searched for. 0: nothing is corrected.
    most: int
    #: A word that is in the index is suspected beside one that is so many times as frequent.
    suspect_ratio: float

    def readings(self, words: Sequence[str]) -> Iterator[Reading]:
        """Yield what the words were meant to be, in their order."""
        at = 0
        while at < len(words):
            joined = self._joined(words, at)
            if joined is not None:
                yield joined
                at += 2
                continue
            yield from self._read(words[at])
            at += 1

    def suspected(self, word: str) -> str:
        """Return what a word that is in the index may have been meant to be; empty: nothing."""
        common = self.lexicon.frequency(word) * self.suspect_ratio
        if not self.most or not 0 < common <= self.lexicon.most:
            return ""
        forms = set(other_forms(word))  # a plural is no error
        candidates = [
            each
            for each in self._candidates(word, 1)
            if each.frequency >= common and each.word not in forms
        ]
        return max(candidates, key=_frequency).word if candidates else ""

    def _known(self, word: str) -> bool:
        return word in self.lexicon or self.right(word)

    def _read(self, word: str) -> Iterator[Reading]:
        if not self.most or self._known(word) or word.isdigit():
            yield Reading(word)
            return
        parts = self._letters_and_digits(word)
        candidates = self._candidates(word)
        if not parts and not (candidates and candidates[0].distance == 1):
            parts = self._written_together(word)
        if parts:
            yield from self._apart(word, parts)
        elif candidates:
            yield self._corrected(word, candidates)
        else:
            yield Reading(word)

    def _joined(self, words: Sequence[str], at: int) -> Reading | None:
        """Return the reading of two words with a space too many; None: they are two words."""
        pair = words[at : at + 2]
        if not self.most or len(pair) < 2 or all(map(self._known, pair)):
            return None
        text, written = "".join(pair), " ".join(pair)
        if any(word.isdigit() for word in pair) or text not in self.lexicon:
            return None
        return Reading(text, (Alternative(written),), Correction(written, text))

    def _letters_and_digits(self, word: str) -> tuple[str, ...]:
        """Return "iphone", "13" for "iphone13", if letters and number make sense on their own."""
        match = _LETTERS_AND_DIGITS.fullmatch(word)
        if match is None:
            return ()
        parts = tuple(part for part in match.groups() if part)
        letters = next(part for part in parts if not part.isdigit())
        digits = next(part for part in parts if part.isdigit())
        if digits not in self.lexicon:
            return ()
        return parts if self._known(letters) or self._candidates(letters) else ()

    def _written_together(self, word: str) -> tuple[str, ...]:
        """Return the two words that it is without a space: the rarer one as frequent as can be."""
        best = 0
        parts: tuple[str, ...] = ()
        for at in range(_PART, len(word) - _PART + 1):
            split = word[:at], word[at:]
            rarer = min(map(self.lexicon.frequency, split))
            if rarer > best:
                best, parts = rarer, split
        return parts

    def _apart(self, word: str, parts: Sequence[str]) -> Iterator[Reading]:
        readings = [reading for part in parts for reading in self._read(part)]
        taken = Correction(word, " ".join(reading.text for reading in readings))
        for at, reading in enumerate(readings):
            yield replace(
                reading,
                others=(*reading.others, Alternative(word)),
                correction=None if at else taken,
            )

    def _corrected(self, word: str, candidates: Sequence[Near]) -> Reading:
        first = candidates[0]
        best = _credibility(word, first)
        others = tuple(
            Alternative(each.word, max(_RUNNER_UP * _credibility(word, each) / best, 0.01))
            for each in candidates[1 : self.most]
        )
        return Reading(first.word, (Alternative(word), *others), Correction(word, first.word))

    def _candidates(self, word: str, errors: int = 2) -> list[Near]:
        """Return what a word may be meant to be, the most credible first."""
        digits = _DIGITS.findall(word)
        near = [
            each for each in self.lexicon.near(word, errors) if _DIGITS.findall(each.word) == digits
        ]
        return sorted(near, key=lambda each: (-_credibility(word, each), each.word))


def _credibility(written: str, candidate: Near) -> float:
    same = written[0] == candidate.word[0]
    likely = candidate.frequency * _PER_ERROR**candidate.distance
    return likely if same else likely * _FIRST_LETTER


def _frequency(candidate: Near) -> tuple[int, str]:
    return candidate.frequency, candidate.word
