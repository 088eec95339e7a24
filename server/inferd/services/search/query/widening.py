"""What is searched for besides the words of a query: synonyms, other forms, other spacing.

Where several words stand for one ("noise cancelling": "anc"), each of them has it as an
alternative, so a document that has the one has them all, and documents that have the words need not
have them in a row. Likewise "head phones" finds "headphones". Of two readings of a word the first
that is added counts.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from inferd.config.search.query import SearchQuery
from inferd.services.search.query.forms import other_forms
from inferd.services.search.query.lexicon import Lexicon
from inferd.services.search.query.phrases import Phrase, Phrases
from inferd.services.search.query.spelling import Reading
from inferd.services.search.query.understood import Expansion
from inferd.services.search.text_query import Alternative, Word

_OTHER_FORM = 0.9
_BEGINNING = 0.5
_BEGINNING_LETTERS = 2
_MOST = 32
"""Alternatives of one word."""
_BOUNDARY = re.compile(r"(?<=\d)(?=[^\W\d_])|(?<=[^\W\d_])(?=\d)")


class _Wider(NamedTuple):
    """What is searched for in place of some words of the query."""

    start: int
    end: int
    texts: Sequence[str]
    weight: float


@dataclass(frozen=True, slots=True)
class Widened:
    """The words of a query with all their alternatives."""

    words: tuple[Word, ...]
    #: Places of words that mean something together, so that none can be left out.
    together: frozenset[int]
    _wider: tuple[_Wider, ...]

    def expansions(self, searched: Container[int]) -> tuple[Expansion, ...]:
        """Return what was added to words, given the places of those that are searched for."""
        return tuple(
            Expansion(self._text(each), (*each.texts,))
            for each in self._wider
            if any(at in searched for at in range(each.start, each.end))
        )

    def _text(self, wider: _Wider) -> str:
        words = self.words[wider.start : wider.end]
        return " ".join(word.alternatives[0].text for word in words)


def widened(
    readings: Sequence[Reading], lexicon: Lexicon, synonyms: Phrases[Phrase], settings: SearchQuery
) -> Widened:
    """Return what to search for in place of words, which stay the first of their alternatives."""
    words = [reading.text for reading in readings]
    found = list(synonyms.longest(words))
    wider = [_Wider(*each, settings.synonym_weight) for each in found]
    if settings.corrections:
        wider += _spaced(words, lexicon, settings.stop_words)
    if settings.plurals:
        wider += _forms(words, lexicon)
    others = [{each.text: each for each in reading.others} for reading in readings]
    for each in wider:
        for place in range(each.start, each.end):
            for text in each.texts:
                others[place].setdefault(text, Alternative(text, each.weight))
    alternatives = [
        (Alternative(word), *list(mine.values())[: _MOST - 1])
        for word, mine in zip(words, others, strict=True)
    ]
    if readings:
        alternatives[-1] += _beginning(readings[-1], alternatives[-1], lexicon, settings)
    return Widened(
        tuple(map(Word, alternatives)),
        frozenset(at for each in found if each.end - each.start > 1 for at in _places(each)),
        tuple(wider),
    )


def _beginning(
    last: Reading, known: Sequence[Alternative], lexicon: Lexicon, settings: SearchQuery
) -> tuple[Alternative, ...]:
    """Return what the last word may be the beginning of, as far as it was written."""
    written = last.correction.written if last.correction else last.text
    a_word = not last.correction and (
        last.text in settings.stop_words or any(each.text in lexicon for each in known)
    )
    if settings.prefix == "never" or (settings.prefix == "unknown" and a_word):
        return ()
    if " " in written or len(written) < _BEGINNING_LETTERS:
        return ()
    return (Alternative(written, _BEGINNING, prefix=True),)


def _places(found: tuple[int, int, Phrase]) -> range:
    return range(*found[:2])


def _spaced(words: Sequence[str], lexicon: Lexicon, stop_words: frozenset[str]) -> Iterator[_Wider]:
    """Yield what the words are with a space less, or with one between letters and digits."""
    for at, pair in enumerate(pairwise(words)):
        joined = "".join(pair)
        if joined in lexicon and not joined.isdigit() and stop_words.isdisjoint(pair):
            yield _Wider(at, at + 2, (joined,), _OTHER_FORM)
    for at, word in enumerate(words):
        parts = _BOUNDARY.split(word)
        if len(parts) == 2 and all(part in lexicon for part in parts):
            yield _Wider(at, at + 1, (" ".join(parts),), _OTHER_FORM)


def _forms(words: Sequence[str], lexicon: Lexicon) -> Iterator[_Wider]:
    for at, word in enumerate(words):
        forms = tuple(form for form in other_forms(word) if form in lexicon)
        if forms:
            yield _Wider(at, at + 1, forms, _OTHER_FORM)
