"""One state of the index, as it was after a commit: what is found in it never changes.

Searches of it run in threads, where tantivy lets the other threads run. A state that was replaced
can be searched for as long as somebody holds it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
from tantivy import DocAddress, Occur, Query, Searcher

from inferd.deadline import NEVER, Clock, Deadline
from inferd.errors import InvalidRequest
from inferd.services.search.index_layout import ID, NUMBER, Layout, read
from inferd.services.search.schema import RELEVANCE
from inferd.services.search.searching_facets import counted, request_of
from inferd.services.search.searching_filters import Filters, all_of, none_of, unscored
from inferd.services.search.searching_order import BY_NUMBER, Found, Ordered
from inferd.services.search.searching_words import Words
from inferd.services.search.text_query import (
    Filter,
    Floats,
    Retrieved,
    Sort,
    StoredDocument,
    TextQuery,
)

Cached = Mapping[int, StoredDocument]
"""Documents that were read before, by their number."""


class Snapshot:
    """A state of the index. Immutable: any thread may ask it."""

    def __init__(self, epoch: int, searcher: Searcher, layout: Layout, phrase_boost: float) -> None:
        self.epoch = epoch
        self.layout = layout
        self.searcher = searcher
        self._filters = Filters(layout)
        self._words = Words(layout, phrase_boost)
        self._ordered = Ordered(searcher, layout)

    @property
    def documents(self) -> int:
        """How many documents there are."""
        return self.searcher.num_docs

    @property
    def segments(self) -> int:
        """How many parts the index is in."""
        return self.searcher.num_segments

    def search(
        self, asked: TextQuery, cached: Cached, clock: Clock, deadline: Deadline = NEVER
    ) -> Retrieved:
        """Return what fits. Facets are left out if less time is left than the hits took.

        Raises `InvalidRequest`, naming what is wrong.
        """
        began = clock()
        query = self.query(asked)
        for place, each in enumerate(asked.facets):
            self.layout.schema.must_count(each.field, f"facets[{place}].field")
        where, scores, total = self._hits(query, asked, cached)
        documents = self._read(where, cached)
        now = clock()
        complete = deadline.remaining(now) >= now - began
        counts = self.searcher.aggregate(query, request_of(asked.facets)) if complete else {}
        return Retrieved(
            ids=tuple(each.id for each in documents),
            text_scores=np.array(scores, np.float32),
            documents=documents,
            columns=self._columns(where),
            total=total,
            epoch=self.epoch,
            facets=counted(asked.facets, counts, self.layout.schema) if complete else (),
            complete=complete or not asked.facets,
        )

    def query(self, asked: TextQuery) -> Query:
        """Return the query in tantivy's terms. Raises `InvalidRequest`."""
        conditions = self._filters.queries(asked.filters)
        if asked.without:
            unwanted = Query.term_set_query(self.layout.fields, ID, [*asked.without])
            conditions.append(none_of([unwanted]))
        words = self._words.query(asked.words)
        if not conditions:
            return words
        return Query.boolean_query(
            [(Occur.Must, words), *((Occur.Must, unscored(each)) for each in conditions)]
        )

    def find(
        self, ids: Sequence[str], cached: Cached, filters: Sequence[Filter] = ()
    ) -> dict[str, StoredDocument]:
        """Return the documents of these ids that there are, and that pass."""
        if not ids:
            return {}
        these = Query.term_set_query(self.layout.fields, ID, [*ids])
        query = all_of([these, *self._filters.queries(filters)])
        found = self.searcher.search(query, len(ids), count=False).hits
        return {each.id: each for each in self._read([where for _, where in found], cached)}

    def explain(self, asked: TextQuery, id: str) -> str:
        """Return how a document comes by the score of its words, in JSON. Empty: it is no hit."""
        this = Query.term_query(self.layout.fields, ID, id)
        query = self.query(asked)
        found = self.searcher.search(
            Query.boolean_query([(Occur.Must, query), (Occur.Must, unscored(this))]), 1
        ).hits
        return query.explain(self.searcher, found[0][1]).to_json() if found else ""

    def lost(self, asked: TextQuery, id: str) -> str:
        """Return why a document is no hit: "absent", "no_word", "filter:<its place>" or "hidden".

        Empty: it is one.
        """
        this = Query.term_query(self.layout.fields, ID, id)
        reasons = [
            ("absent", Query.all_query()),
            ("hidden", Query.empty_query() if id in asked.without else Query.all_query()),
            ("no_word", self._words.query(asked.words)),
            *(
                (f"filter:{place}", each)
                for place, each in enumerate(self._filters.queries(asked.filters))
            ),
        ]
        for reason, query in reasons:
            both = Query.boolean_query([(Occur.Must, this), (Occur.Must, query)])
            if not self.searcher.search(both, 1, count=False).hits:
                return reason
        return ""

    def _hits(
        self, query: Query, asked: TextQuery, cached: Cached
    ) -> tuple[list[DocAddress], list[float], int]:
        end = asked.offset + asked.window
        self._check_sort(asked.sort)
        if asked.words and (not asked.sort or asked.sort[0].field == RELEVANCE):
            best, total = self._ordered.best(query, max(1, end))
            hits = best[asked.offset : end]
            return [where for _, where in hits], [score for score, _ in hits], total
        total = cast("Found", self.searcher.search(query, 1)).count
        where = self._ordered.first(
            query,
            asked.sort or (BY_NUMBER,),
            min(end, total),
            lambda some: self._read(some, cached),
        )[asked.offset :]
        return where, [0.0] * len(where), total

    def _check_sort(self, sort: Sequence[Sort]) -> None:
        for place, each in enumerate(sort):
            at = f"sort[{place}].field"
            if each.field != RELEVANCE:
                self.layout.schema.must_sort(each.field, at)
            elif place != len(sort) - 1:
                raise InvalidRequest(f"{at}: {RELEVANCE} comes last", field=at)

    def _read(self, where: list[DocAddress], cached: Cached) -> tuple[StoredDocument, ...]:
        numbers = cast("list[int]", self.searcher.fast_field_values(NUMBER, where))
        return tuple(
            cached.get(number) or read(self.searcher, number, place)
            for number, place in zip(numbers, where, strict=True)
        )

    def _columns(self, where: list[DocAddress]) -> dict[str, Floats]:
        schema = self.layout.schema
        return {
            name: np.array(
                [
                    math.nan if each is None else each
                    for each in self.searcher.fast_field_values(name, where)
                ],
                np.float64,
            )
            for name in (*schema.numbers, *schema.flags)
        }
