"""What writes to one tantivy index: a batch of changes at a time, all of it or nothing.

A batch is durable when `write` returns: tantivy has had every file of it on the disk before it
names them in `meta.json`, and the directory is synced after that. It is looked at once more, too:
a writer whose threads have died may say that it committed what it lost. After any failure the
writer is given up, and the next batch begins with a new one from the last commit.

For one thread.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, cast

import tantivy
from tantivy import FieldType, Order, Query

from inferd.errors import Unavailable
from inferd.services.search.documents import NewDocument
from inferd.services.search.index_home import sync
from inferd.services.search.index_layout import ID, NUMBER, Layout, read
from inferd.services.search.text_query import Values

RETRY_S = 1.0


class Gone(NamedTuple):
    """A document is to be taken away."""

    id: str


Change = NewDocument | Gone


class Written(NamedTuple):
    """What became of a batch."""

    searcher: tantivy.Searcher
    #: Of each change, whether there was a document of this id before.
    existed: list[bool]
    #: By how much the documents that have a word have become more, or fewer.
    words: Mapping[str, int]


class Pen:
    """The writer of one index."""

    def __init__(self, layout: Layout, path: Path | None, heap_bytes: int) -> None:
        self.layout = layout
        self._path = path
        self._heap_bytes = heap_bytes
        self._index = tantivy.Index(layout.fields, None if path is None else str(path))
        self._index.config_reader("manual", 0)
        self._index.reload()
        self.searcher = self._index.searcher()
        self._writer: tantivy.IndexWriter | None = None
        #: Of the last document that was written.
        self.number = self._last_number()

    def words(self) -> Counter[str]:
        """Return how many documents have each word: counted once for every field it is in."""
        everything = Query.all_query()
        counts: Counter[str] = Counter()
        for name in self.layout.schema.text:
            counts.update(dict(self.searcher.terms_with_prefix(name, "", everything)))
        return counts

    def write(self, changes: Sequence[Change]) -> Written:
        """Make the changes, in their order.

        Raises `Unavailable`: they cannot be made. If the disk fails at the last moment they may be.
        """
        first = self.number + 1
        try:
            existed, words = self._apply(changes)
            self._commit(first, changes)
        except (OSError, ValueError) as error:
            raise self._given_up(error) from error
        return Written(self.searcher, existed, words)

    def copy(
        self, documents: Iterable[tuple[int, NewDocument]], instead_of: Iterable[str] = ()
    ) -> None:
        """Add documents with the numbers they have in another index, and take others away.

        They are there after the next `write`. Raises `Unavailable`.
        """
        try:
            writer = self._opened()
            for id in instead_of:
                writer.delete_documents_by_term(ID, id)
            for number, document in documents:
                self.number = max(self.number, number)
                writer.add_document(self.layout.written(number, document))
        except (OSError, ValueError) as error:
            raise self._given_up(error) from error

    def close(self) -> None:
        """Stop writing, without what was not committed."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(ValueError):  # its threads have died
                writer.wait_merging_threads()

    def _given_up(self, error: Exception) -> Unavailable:
        self.close()
        return Unavailable(f"the index cannot be written: {error}", retry_after_s=RETRY_S)

    def _apply(self, changes: Sequence[Change]) -> tuple[list[bool], Mapping[str, int]]:
        writer = self._opened()
        known = self._before({change.id for change in changes})
        existed: list[bool] = []
        words: Counter[str] = Counter()
        for change in changes:
            before = known.get(change.id)
            existed.append(before is not None)
            words.subtract(self._words(before))
            writer.delete_documents_by_term(ID, change.id)
            if isinstance(change, Gone):
                known.pop(change.id, None)
                continue
            self.number += 1
            writer.add_document(self.layout.written(self.number, change))
            known[change.id] = change.fields
            words.update(self._words(change.fields))
        return existed, {word: by for word, by in words.items() if by}

    def _commit(self, first: int, changes: Sequence[Change]) -> None:
        self._opened().commit()
        if self._path is not None:
            sync(self._path)
        self._index.reload()
        searcher = self._index.searcher()
        last = {change.id: change for change in changes}
        expected = sum(isinstance(each, NewDocument) for each in last.values())
        new = Query.range_query(self.layout.fields, NUMBER, FieldType.Unsigned, first, self.number)
        found = len(searcher.search(new, max(1, expected), count=False).hits)
        if found < expected:
            raise OSError(f"{expected - found} of {expected} documents were lost")
        self.searcher = searcher

    def _before(self, ids: Iterable[str]) -> dict[str, Values]:
        wanted = [*ids]
        query = Query.term_set_query(self.layout.fields, ID, wanted)
        hits = self.searcher.search(query, max(1, len(wanted)), count=False).hits
        found = [read(self.searcher, 0, where) for _, where in hits]
        return {each.id: each.fields for each in found}

    def _words(self, values: Values | None) -> list[str]:
        return [] if values is None else self.layout.words_in(values)

    def _opened(self) -> tantivy.IndexWriter:
        if self._writer is None:
            self._writer = self._index.writer(self._heap_bytes, 1)
        return self._writer

    def _last_number(self) -> int:
        hits = self.searcher.search(
            Query.all_query(), 1, count=False, order_by_field=NUMBER, order=Order.Desc
        ).hits
        return cast("int", hits[0][0]) if hits else 0
