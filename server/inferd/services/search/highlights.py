"""Where the words of a query are in a document: marked, and everything else escaped.

Words are compared as the index compares them, so "CAFÉ" is marked for "cafe". Of a long text the
part is shown that has the most different words of the query, the first such part.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

from inferd.services.search.text_query import Values, Word
from inferd.services.search.words import words_of

OPEN, CLOSE = "<em>", "</em>"
CUT = "…"
LOOKED_AT = 20_000
"""Characters of a text: what comes after them is not marked."""
BEFORE = 30
"""Characters that are shown before the first mark, about."""

# Accents that are characters of their own belong to the word.
_RUN = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+")


class _Mark(NamedTuple):
    start: int
    end: int
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Highlights:
    """Marks the words of one query."""

    words: frozenset[str]
    beginnings: tuple[str, ...]
    #: How much of a text is shown, in characters, marks not counted.
    length: int

    @classmethod
    def of(cls, words: Iterable[Word], length: int = 200) -> "Highlights":
        """Return what marks the words of a query, by whichever of their alternatives."""
        alternatives = [each for word in words for each in word.alternatives]
        whole = frozenset(word for each in alternatives for word in words_of(each.text))
        begun = tuple(words_of(each.text)[-1:] for each in alternatives if each.prefix)
        return cls(whole, tuple(word for one in begun for word in one), length)

    def fields(self, values: Values, names: Iterable[str]) -> dict[str, str]:
        """Return the fields of these names that have a word of the query, marked, as HTML."""
        marked: dict[str, str] = {}
        for name in names:
            value = values.get(name)
            texts = (value,) if isinstance(value, str) else value
            for text in texts if isinstance(texts, tuple) else ():
                if marks := [*self._marks(text)]:
                    marked[name] = self._shown(text, marks)
                    break
        return marked

    def _marks(self, text: str) -> Iterator[_Mark]:
        for run in _RUN.finditer(text, 0, LOOKED_AT):
            fits = frozenset(word for word in words_of(run.group()) if self._fits(word))
            if fits:
                yield _Mark(run.start(), run.end(), fits)

    def _fits(self, word: str) -> bool:
        return word in self.words or word.startswith(self.beginnings)

    def _shown(self, text: str, marks: Sequence[_Mark]) -> str:
        start, end = self._part(text, marks)
        pieces: list[str] = []
        at = start
        for mark in marks:
            if mark.start >= start and mark.end <= end:
                pieces += [escape(text[at : mark.start]), OPEN]
                pieces += [escape(text[mark.start : mark.end]), CLOSE]
                at = mark.end
        pieces.append(escape(text[at:end]))
        before, after = CUT * (start > 0), CUT * (end < len(text))
        return before + "".join(pieces) + after

    def _part(self, text: str, marks: Sequence[_Mark]) -> tuple[int, int]:
        if len(text) <= self.length:
            return 0, len(text)
        best = max(range(len(marks)), key=lambda first: (self._seen(marks, first), -first))
        start = max(0, min(marks[best].start - BEFORE, len(text) - self.length))
        if start > 0 and (space := text.find(" ", start, marks[best].start)) >= 0:
            start = space + 1
        end = min(len(text), start + self.length)
        if end < len(text) and (space := text.rfind(" ", marks[best].end, end)) >= 0:
            end = space
        return start, max(end, marks[best].end)

    def _seen(self, marks: Sequence[_Mark], first: int) -> int:
        """Return how many different words are in the part that begins with a mark."""
        end = marks[first].start + self.length - BEFORE
        words: set[str] = set()
        for mark in marks[first:]:
            if mark.end > end:
                break
            words |= mark.words
        return len(words)
