"""The hits of a page: of the ranked window, of what is behind it, and those that are pinned."""

from collections.abc import Callable, Mapping

from inferd.config.search import Search as Settings
from inferd.errors import InferdError
from inferd.resilience.degradation import ABSENT, Degradation
from inferd.resilience.endpoint import Answer
from inferd.services.search import answers
from inferd.services.search.answers import Hit
from inferd.services.search.asked import Asked
from inferd.services.search.engine import Engine
from inferd.services.search.highlights import Highlights
from inferd.services.search.index import TextIndex
from inferd.services.search.pages import Shown
from inferd.services.search.personal import Tastes
from inferd.services.search.text_query import StoredDocument
from inferd.v1 import search_pb2 as pb


class Paging:
    """Reads the hits of pages. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        *,
        index: Callable[[], TextIndex],
        tastes: Tastes,
    ) -> None:
        """`index` is there once it is open."""
        self._settings = settings
        self._engine = engine
        self._index = index
        self._tastes = tastes

    async def pins(self, answer: Answer, asked: Asked) -> Mapping[str, StoredDocument]:
        """Return the documents that have places of their own, by id: if they pass the filters."""
        question, epoch = asked.question, asked.ranked.retrieved.epoch
        if not asked.meant.curated.pins or not question.by_relevance:
            return {}
        ids = [each.id for each in asked.meant.curated.pins]
        try:
            return await self._index().get(ids, answer.deadline, epoch, question.filters)
        except InferdError as error:  # or the epoch of an old answer is no more
            answer.degrade(Degradation("curations", ABSENT, error.reason))
            return {}

    async def hits(
        self, answer: Answer, asked: Asked, shown: Shown, pins: Mapping[str, StoredDocument]
    ) -> list[Hit]:
        """Return the hits of a page, in order. Raises `InferdError`."""
        found = [self.of_window(asked, place) for place in shown.window]
        if shown.count:
            found += await self._behind(answer, asked, shown)
        left, pinned = iter(found), dict(shown.pins)
        hits: list[Hit] = []
        for place in range(len(found) + len(pinned)):
            if place in pinned:
                hits.append(Hit(document=pins[pinned[place]], score=0.0, pinned=True))
            else:
                hits.append(next(left))
        return hits

    def of_window(self, asked: Asked, place: int) -> Hit:
        """Return the hit at a place in the window, as the search found it."""
        ranked, retrieved = asked.ranked, asked.ranked.retrieved
        document, text = retrieved.documents[place], float(retrieved.text_scores[place])
        scored = ranked.scored
        is_scored = scored is not None and place < len(scored.scores)
        ranking = float(scored.scores[place]) if scored is not None and is_scored else None
        told: Mapping[str, float] = {}
        if asked.question.debug and scored is not None and is_scored:
            assert self._settings.ranker is not None
            row: list[float] = scored.told[place].tolist()
            told = dict(zip(self._settings.ranker.inputs, row, strict=True))
        return Hit(
            document=document,
            score=text if ranking is None else ranking,
            text_score=text,
            ranking_score=ranking,
            personal=self._tastes.worth(document, asked.affinity) if asked.affinity else 0.0,
            team=asked.teams.get(place, ""),
            told=told,
            places=self._places(asked, place) if asked.question.debug else None,
        )

    def _places(self, asked: Asked, place: int) -> dict[str, int]:
        order, mine = asked.ranked.order, asked.order
        there = {"retrieval": place, "ranking": order.index(place)}
        return there | ({"personal": mine.index(place)} if place in mine else {})

    async def _behind(self, answer: Answer, asked: Asked, shown: Shown) -> list[Hit]:
        """Return hits behind the window, in the order of the words or of the sort."""
        query = self._engine.asked(
            asked.work.wanted, asked.ranked.understood, shown.offset, shown.count
        )
        epoch = asked.ranked.retrieved.epoch
        found = await self._index().search(query, answer.deadline, epoch)
        return [
            Hit(document=document, score=float(score), text_score=float(score))
            for document, score in zip(found.documents, found.text_scores, strict=True)
        ]

    def hit(self, it: Hit, asked: Asked) -> pb.SearchHit:
        """Return a hit as a message."""
        schema, marked = self._index().schema, dict[str, str]()
        if asked.question.highlight:
            marks = Highlights.of(asked.ranked.understood.words)
            marked = marks.fields(it.document.fields, schema.text)
        return answers.hit(it, schema.returned, marked, debug=asked.question.debug)
