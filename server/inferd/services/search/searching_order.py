"""The first n hits, by relevance or in an order by fields, exactly.

Tantivy sorts by one field and breaks ties as it likes. So it is asked for the first n by the first
key. What shares its value with the last of them may be cut anywhere, and is asked for again, alone
and by the next key; other equals are sorted here. Documents without a value come last, by the next
key in their turn. In the end there is the id, which no two documents share, or relevance.

Documents of the same score are in the order they were written in, whichever parts of the index they
are in: after every commit they are where they were before.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Protocol, cast

from tantivy import DocAddress, FieldType, Occur, Order, Query, Searcher

from inferd.services.search.index_layout import HAS, ID, NUMBER, Layout
from inferd.services.search.schema import RELEVANCE
from inferd.services.search.searching_filters import none_of, unscored
from inferd.services.search.text_query import Sort, StoredDocument

BY_ID = Sort(ID)
BY_NUMBER = Sort(NUMBER)
MANY = 50_000
"""Documents of one score that are put in order, at most."""


Read = Callable[[list[DocAddress]], Sequence[StoredDocument]]
"""Returns the documents of some places."""


class Found(Protocol):
    """tantivy's `SearchResult`, of which its stubs say half."""

    hits: list[tuple[float, DocAddress]]
    count: int


class Ordered:
    """Searches of one state of an index, each in an exact order."""

    def __init__(self, searcher: Searcher, layout: Layout) -> None:
        self._searcher = searcher
        self._layout = layout
        self._fields = layout.fields

    def first(self, query: Query, keys: Sequence[Sort], count: int, read: Read) -> list[DocAddress]:
        """Return where the first `count` are. Each of `keys` is sortable or, at the end, relevance.

        What is equal in all of them is in the order of ids, unless relevance decides.
        """
        if count <= 0:
            return []
        key, *others = keys or (BY_ID,)
        if key.field == RELEVANCE:
            return [where for _, where in self.best(query, count)[0]]
        if key.field in {ID, NUMBER}:
            return [where for _, where in self._sorted(query, key, count)]
        found = self._with_values(_both(query, self._has(key.field)), key, others, count, read)
        if len(found) < count:
            without = _both(query, none_of([self._has(key.field)]))
            found += self.first(without, others, count - len(found), read)
        return found

    def best(self, query: Query, count: int) -> tuple[list[tuple[float, DocAddress]], int]:
        """Return the scores of the best and where they are, and how many documents fit."""
        limit = count + 1
        while True:
            found = cast("Found", self._searcher.search(query, limit))
            hits = found.hits
            if len(hits) in {found.count, MANY} or hits[-1][0] < hits[count - 1][0]:
                break
            limit = min(8 * limit, MANY)  # what is equal to the last that is wanted is cut
        numbers = self._searcher.fast_field_values(NUMBER, [where for _, where in hits])
        order = sorted(range(len(hits)), key=lambda place: (-hits[place][0], numbers[place]))
        return [hits[place] for place in order[:count]], found.count

    def _with_values(
        self, query: Query, key: Sort, others: Sequence[Sort], count: int, read: Read
    ) -> list[DocAddress]:
        found: list[DocAddress] = []
        for value, equal in groupby(self._sorted(query, key, count), key=lambda hit: hit[0]):
            where = [each for _, each in equal]
            cut = len(found) + len(where) == count
            if cut or (others and others[-1].field == RELEVANCE and len(where) > 1):
                same = _both(query, self._is(key.field, value))
                found += self.first(same, others, len(where), read)
            else:
                found += self._all_of(where, others, read)
        return found

    def _all_of(
        self, where: list[DocAddress], keys: Sequence[Sort], read: Read
    ) -> list[DocAddress]:
        """Sort some that there are no others among. They are read for the answer anyway."""
        if len(where) == 1:
            return where
        documents = sorted(zip(read(where), where, strict=True), key=lambda each: each[0].id)
        for key in reversed(keys):
            values: list[tuple[Any, tuple[StoredDocument, DocAddress]]] = [
                (self._layout.value(each[0].fields, key.field), each) for each in documents
            ]
            having = [each for each in values if each[0] is not None]
            having.sort(key=itemgetter(0), reverse=key.descending)
            missing = [each for each in values if each[0] is None]
            documents = [each for _, each in having + missing]
        return [place for _, place in documents]

    def _sorted(self, query: Query, key: Sort, count: int) -> list[tuple[Any, DocAddress]]:
        order = Order.Desc if key.descending else Order.Asc
        return self._searcher.search(
            query, count, count=False, order_by_field=key.field, order=order
        ).hits

    def _has(self, field: str) -> Query:
        return Query.term_query(self._fields, HAS, field)

    def _is(self, field: str, value: str | float | bool) -> Query:
        if isinstance(value, float):
            return Query.range_query(self._fields, field, FieldType.Float, value, value)
        return Query.term_query(self._fields, field, value)


def _both(query: Query, condition: Query) -> Query:
    return Query.boolean_query([(Occur.Must, query), (Occur.Must, unscored(condition))])
