"""How well packages of Debian are found by those who know what they are after.

Through the index and the understanding of queries that serve, without a ranking model: nobody has
clicked anything.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from debian_packages import KnownItem
from inferd.config.search.query import SearchQuery
from inferd.services.search.documents import NewDocument
from inferd.services.search.index import TextIndex
from inferd.services.search.query.understanding import Rules, lexicon_of, understand
from inferd.services.search.text_query import TextQuery, Values

DEEP = 10
AT_ONCE = 1000


class Quality(NamedTuple):
    """How well known items are found."""

    #: Mean of 1 / the place, from 1, among the first `DEEP`; 0 for those that are not there.
    mrr: float
    #: The share of those that are there.
    recall: float


async def put(index: TextIndex, packages: Sequence[tuple[str, Values]]) -> int:
    """Index packages; return how many were taken."""
    checked = [index.documents.checked(id, fields) for id, fields in packages]
    good = [each for each in checked if isinstance(each, NewDocument)]
    for begin in range(0, len(good), AT_ONCE):
        await index.add(good[begin : begin + AT_ONCE])
    return len(good)


class Desk:
    """Answers queries from an index, as it was when the desk was opened."""

    def __init__(self, index: TextIndex, words: Mapping[str, int]) -> None:
        """Know the words there are, with the number of documents that have them."""
        settings = SearchQuery()
        self._index = index
        self._lexicon, self._rules = lexicon_of(settings, words), Rules.of(settings)

    async def find(self, query: str, *, verbatim: bool = False) -> tuple[str, ...]:
        """Return the first hits; `verbatim`: of the words as they are written."""
        asked = understand(query, self._lexicon, self._rules, verbatim=verbatim)
        return (await self._index.search(TextQuery(asked.words, window=DEEP))).ids

    async def quality(self, items: Sequence[KnownItem], *, verbatim: bool = False) -> Quality:
        """Return how well items are found."""
        gained, there = 0.0, 0
        for item in items:
            ids = await self.find(item.query, verbatim=verbatim)
            if item.package in ids:
                gained += 1 / (ids.index(item.package) + 1)
                there += 1
        return Quality(gained / len(items), there / len(items))
