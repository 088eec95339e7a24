"""The first n hits in an order by fields, exactly.

Tantivy sorts by one field and breaks ties as it likes. So it is asked for the first n by the first
key; what shares its value with the last of them may be cut anywhere, and is asked for again, alone
and by the next key. Documents without a value come last, by the next key in their turn. In the end
there is the id, which no two documents share, or relevance.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

from tantivy import DocAddress, FieldType, Occur, Order, Query, Searcher

from inferd.config.search.index import FieldType as Type
from inferd.services.search.index_layout import HAS, ID, Layout
from inferd.services.search.schema import RELEVANCE
from inferd.services.search.searching_filters import none_of, unscored
from inferd.services.search.text_query import Sort

BY_ID = Sort(ID)


class Ordered:
    """Searches of one state of an index, in an order by fields. For one thread at a time."""

    def __init__(self, searcher: Searcher, layout: Layout) -> None:
        self._searcher = searcher
        self._fields = layout.fields
        self._types: Mapping[str, Type] = {
            name: each.type for name, each in layout.schema.fields.items()
        } | {ID: "keyword"}

    def first(self, query: Query, keys: Sequence[Sort], count: int) -> list[DocAddress]:
        """Return where the first `count` are. Each of `keys` is sortable or, at the end, relevance.

        What is equal in all of them is in the order of ids, unless relevance decides.
        """
        if count <= 0:
            return []
        key, *others = keys or (BY_ID,)
        if key.field == RELEVANCE:
            return [where for _, where in self._searcher.search(query, count, count=False).hits]
        found = self._with_values(query, key, others, count)
        if len(found) < count and key.field != ID:
            without = _both(query, none_of([self._has(key.field)]))
            found += self.first(without, others, count - len(found))
        return found

    def _with_values(
        self, query: Query, key: Sort, others: Sequence[Sort], count: int
    ) -> list[DocAddress]:
        having = query if key.field == ID else _both(query, self._has(key.field))
        order = Order.Desc if key.descending else Order.Asc
        hits = self._searcher.search(
            having, count, count=False, order_by_field=key.field, order=order
        ).hits
        found: list[DocAddress] = []
        for value, equal in groupby(hits, key=lambda hit: hit[0]):
            where = [each for _, each in equal]
            cut = len(found) + len(where) == count
            if key.field != ID and (len(where) > 1 or cut):
                where = self.first(_both(having, self._is(key.field, value)), others, len(where))
            found += where
        return found

    def _has(self, field: str) -> Query:
        return Query.term_query(self._fields, HAS, field)

    def _is(self, field: str, value: str | float | bool) -> Query:
        if self._types[field] == "number":
            bound = float(value)
            return Query.range_query(self._fields, field, FieldType.Float, bound, bound)
        return Query.term_query(self._fields, field, value)


def _both(query: Query, condition: Query) -> Query:
    return Query.boolean_query([(Occur.Must, query), (Occur.Must, unscored(condition))])
