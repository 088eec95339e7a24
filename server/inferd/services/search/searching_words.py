"""The words of a query as tantivy's: BM25 in every text field, each with its boost.

A word counts where it is worth most, and a little in the other fields (`disjunction_max`): a title
that says it is worth more than three fields that mention it. Its alternatives are judged in the
same way, so a synonym never counts besides the word itself. Words that follow each other in the
query and in the most important field count more.
"""

from collections.abc import Sequence
from itertools import pairwise

from tantivy import Occur, Query

from inferd.services.search.index_layout import Layout
from inferd.services.search.searching_filters import any_of
from inferd.services.search.text_query import Alternative, Word
from inferd.services.search.words import words_of

ELSEWHERE = 0.1
"""What matches count that are not a word's best."""
BEGINNING = 0.3
"""The score of a word that only begins as it should: below nearly every whole word's."""


class Words:
    """Makes queries of words for one layout. Pure."""

    def __init__(self, layout: Layout, phrase_boost: float) -> None:
        self._fields = layout.fields
        self._boosts = {name: layout.schema.fields[name].boost for name in layout.schema.text}
        self._main = max(self._boosts, key=self._boosts.__getitem__, default="")
        self._phrase_boost = phrase_boost

    def query(self, words: Sequence[Word]) -> Query:
        """Return the query for all of the words. Without any: all documents, with equal scores."""
        if not words:
            return Query.all_query()
        required = [self.word(each) for each in words if each.required]
        optional = [self.word(each) for each in words if not each.required]
        if not required:
            required, optional = [any_of(optional)], []
        return Query.boolean_query(
            [
                *((Occur.Must, each) for each in required),
                *((Occur.Should, each) for each in (*optional, *self._phrases(words))),
            ]
        )

    def word(self, word: Word) -> Query:
        """Return the query for one of them, in any of its fields and by any of its alternatives."""
        return Query.disjunction_max_query(
            [
                Query.boost_query(query, boost * each.weight)
                for each in word.alternatives
                if (written := words_of(each.text))
                for name, boost in self._boosts.items()
                for query in self._matches(name, written, each)
            ],
            ELSEWHERE,
        )

    def _matches(self, field: str, written: list[str], alternative: Alternative) -> list[Query]:
        whole = self._whole(field, written)
        if not alternative.prefix:
            return [whole]
        return [whole, Query.const_score_query(self._beginning(field, written), BEGINNING)]

    def _whole(self, field: str, written: list[str]) -> Query:
        if len(written) == 1:
            return Query.term_query(self._fields, field, written[0])
        return Query.phrase_query(self._fields, field, [*written])

    def _beginning(self, field: str, written: list[str]) -> Query:
        if len(written) == 1:
            return Query.fuzzy_term_query(self._fields, field, written[0], 0, True, True)
        return Query.phrase_prefix_query(self._fields, field, [*written])

    def _phrases(self, words: Sequence[Word]) -> list[Query]:
        if not self._phrase_boost or not self._main:
            return []
        boost = self._phrase_boost * self._boosts[self._main]
        firsts = [words_of(each.alternatives[0].text) for each in words if each.alternatives]
        return [
            Query.boost_query(self._whole(self._main, [*one[-1:], *two[:1]]), boost)
            for one, two in pairwise(firsts)
            if one and two
        ]
