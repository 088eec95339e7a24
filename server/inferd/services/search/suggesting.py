"""How queries that somebody has begun to type may go on: asked, counted, and kept up to date."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

from inferd.call import Call
from inferd.config.search.suggest import SearchSuggest as Settings
from inferd.deadline import Clock
from inferd.errors import InferdError, InvalidRequest, Violation
from inferd.services.search.documents import MAX_ID_BYTES
from inferd.services.search.index import TextIndex
from inferd.services.search.questions import wrong_context, wrong_text
from inferd.services.search.suggest.suggester import Suggester, Suggestion, completions_of
from inferd.services.search.text_query import Facet, TextQuery
from inferd.v1 import search_pb2 as pb

DEFAULT_COUNT, MAX_COUNT = 8, 50
MAX_VALUES: Final = 50_000
"""Of a field that is suggested."""

log = logging.getLogger(__name__)


class Suggesting:
    """Answers `Suggest`. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        index: Callable[[], TextIndex],
        *,
        clock: Clock,
        now_us: Callable[[], int],
    ) -> None:
        """`index` is there once it is open."""
        self._settings = settings
        self._index = index
        self._clock = clock
        self._now_us = now_us
        self._suggester = Suggester(settings)
        #: Answers by whether there was anything to suggest.
        self.answered: Counter[bool] = Counter()

    def __len__(self) -> int:
        """Return how many texts may be suggested."""
        return len(self._suggester)

    def suggest(self, request: pb.SuggestRequest, call: Call) -> pb.SuggestResponse:
        """Return how a prefix may go on. Raises `InvalidRequest`."""
        wrong = [*wrong_text(request.user_id, "user_id", MAX_ID_BYTES)]
        if not 0 <= request.count <= MAX_COUNT:
            text = f"1 to {MAX_COUNT}, or 0 for {DEFAULT_COUNT}; not {request.count}"
            wrong.append(Violation("count", text))
        wrong += wrong_context(request.context)
        if wrong:
            text = "; ".join(f"{each.field}: {each.description}" for each in wrong)
            raise InvalidRequest(text, violations=wrong)
        recent = request.context.recent_queries
        found = self._suggester.suggest(request.prefix, recent, request.count or DEFAULT_COUNT)
        self.answered[bool(found.suggestions)] += 1
        return pb.SuggestResponse(
            suggestions=[_message(each) for each in found.suggestions],
            did_you_mean=found.did_you_mean,
            latency_ms=1000 * (self._clock() - call.arrived),
        )

    def asked(self, query: str, user_id: str, found: int) -> None:
        """Note that somebody searched for something, and how much was found."""
        self._suggester.asked.record(query, user_id, found, self._now_us())

    async def run(self) -> None:
        """Suggest what there is by now, until cancelled."""
        while True:
            try:
                await self.refresh()
            except InferdError as error:  # it is tried again
                log.warning("what is to be suggested could not be read: %s", error)
            except Exception:  # and so it is whatever happens, or nothing new would be suggested
                log.exception("what is to be suggested could not be read")
            await asyncio.sleep(self._settings.refresh_s)

    async def refresh(self) -> None:
        """Suggest what there is now."""
        index, now_us = self._index(), self._now_us()
        facets = tuple(Facet(name, MAX_VALUES) for name in index.schema.suggested)
        found = await index.search(TextQuery(facets=facets, window=1))
        values = {str(value): count for each in found.facets for value, count in each.counts}
        terms = dict(index.vocabulary.counts)
        asked = self._suggester.asked.popular()
        self._suggester.use(
            await asyncio.to_thread(completions_of, self._settings, terms, values, asked, now_us)
        )


def _message(it: Suggestion) -> pb.Suggestion:
    return pb.Suggestion(
        text=it.text,
        score=it.score,
        kind=it.kind.value,
        match_end=it.match_end,
        corrected=it.corrected,
    )
