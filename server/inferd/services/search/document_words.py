"""The words of documents as numbers, so that those of a query are looked up in many at once.

A document that is a hit is split into words once, and remembered by its number: its text never
changes. The oldest make room for new ones. A word is its CRC-32; two different words of a query and
a field have the same one about once in four thousand million times.
"""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from inferd.services.search.text_query import StoredDocument
from inferd.services.search.words import words_of

Words = NDArray[np.uint32]
Ints = NDArray[np.int64]

MOST_WORDS: Final = 64
"""Of a field. What follows is not looked at."""
NO_WORD: Final = 0


def number_of(word: str) -> int:
    """Return the number of a word; never `NO_WORD`."""
    return crc32(word.encode("utf-8", "surrogatepass")) or 1


class DocumentWords:
    """Remembers the words of some fields of the latest documents. Lives on the event loop."""

    def __init__(self, fields: Sequence[str], *, capacity: int) -> None:
        """Remember so many documents: at least as many as are ever asked for at once."""
        self._fields = tuple(fields)
        self._capacity = capacity
        self._rows: dict[int, int] = {}
        self._next = 0
        self._numbers = np.full(capacity, -1, np.int64)
        #: By field, [capacity, as many as any document has].
        self._words = {name: np.zeros((capacity, 1), np.uint32) for name in fields}

    def rows(self, documents: Sequence[StoredDocument]) -> Ints:
        """Return where the words of documents are, int64 [k]; good until the next call."""
        rows = self._rows
        found = np.fromiter((rows.get(it.number, -1) for it in documents), np.int64, len(documents))
        if (found < 0).any():
            wanted = {it.number for it in documents}
            for place in np.flatnonzero(found < 0).tolist():
                document = documents[place]
                row = rows.get(document.number)
                found[place] = self._add(document, wanted) if row is None else row
        return found

    def of(self, field: str, rows: Ints) -> Words:
        """Return the words of a field, uint32 [k, most]; `NO_WORD` behind the last of each."""
        return self._words[field][rows]

    def _add(self, document: StoredDocument, wanted: set[int]) -> int:
        while (old := int(self._numbers[self._next])) in wanted:
            self._next = (self._next + 1) % self._capacity
        self._rows.pop(old, None)
        row, self._next = self._next, (self._next + 1) % self._capacity
        self._rows[document.number], self._numbers[row] = row, document.number
        for name in self._fields:
            self._put(name, row, document)
        return row

    def _put(self, name: str, row: int, document: StoredDocument) -> None:
        value = document.fields.get(name, "")
        texts = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
        words = [word for text in texts for word in words_of(text)][:MOST_WORDS]
        table = self._words[name]
        if len(words) > table.shape[1]:
            wider = np.pad(table, ((0, 0), (0, len(words) - table.shape[1])))
            table = self._words[name] = wider
        table[row] = NO_WORD
        table[row, : len(words)] = [number_of(word) for word in words]
