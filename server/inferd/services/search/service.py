"""`SearchService`: what fits a query, documents, clicks, and what is done for certain queries."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass

from inferd.call import Call
from inferd.errors import InvalidRequest
from inferd.services.search.clicks import Clicks
from inferd.services.search.curations import MAX_CURATIONS, Curation, Curations, Pin, curation
from inferd.services.search.index import TextIndex
from inferd.services.search.knowledge import Knowledge
from inferd.services.search.query.synonyms import MAX_SETS, SynonymSet, synonyms_of
from inferd.services.search.serving import Serving
from inferd.services.search.standing import Standing
from inferd.services.search.stocking import Stocking
from inferd.services.search.suggesting import Suggesting
from inferd.v1 import search_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["SearchService"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the service is made of. Functions return what there is once it is open."""

    serving: Serving
    suggesting: Suggesting
    stocking: Stocking
    clicks: Clicks
    standing: Standing
    index: Callable[[], TextIndex]
    knowledge: Callable[[], Knowledge]


class Search:
    """Answers `inferd.v1.SearchService`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def search(self, request: pb.SearchRequest, call: Call) -> pb.SearchResponse:
        """Return what fits a query."""
        return await self._parts.serving.search(request, call)

    async def suggest(self, request: pb.SuggestRequest, call: Call) -> pb.SuggestResponse:
        """Return how a query may go on."""
        return self._parts.suggesting.suggest(request, call)

    async def explain_hit(self, request: pb.ExplainHitRequest, call: Call) -> pb.ExplainHitResponse:
        """Return why a document is where it is."""
        return await self._parts.serving.explain(request, call)

    async def index_documents(
        self, requests: AsyncIterator[pb.IndexDocumentsRequest], _: Call
    ) -> AsyncGenerator[pb.IndexDocumentsResponse, None]:
        """Index what is streamed in."""
        async for answer in self._parts.stocking.stream(requests):
            yield answer

    async def delete_documents(
        self, request: pb.DeleteDocumentsRequest, call: Call
    ) -> pb.DeleteDocumentsResponse:
        """Take documents away."""
        return await self._parts.stocking.delete(request, call)

    async def get_documents(
        self, request: pb.GetDocumentsRequest, call: Call
    ) -> pb.GetDocumentsResponse:
        """Return documents."""
        return await self._parts.stocking.get(request, call)

    async def record_click(
        self, request: pb.RecordClickRequest, call: Call
    ) -> pb.RecordClickResponse:
        """Count what users did."""
        return await self._parts.clicks.record(request, call)

    async def put_synonyms(self, request: pb.PutSynonymsRequest, _: Call) -> pb.PutSynonymsResponse:
        """Replace all synonyms."""
        if len(request.synonyms) > MAX_SETS:
            text = f"there may be {MAX_SETS}, not {len(request.synonyms)}"
            raise InvalidRequest(text, field="synonyms")
        sets = [SynonymSet(tuple(each.words), each.of) for each in request.synonyms]
        knowledge = self._parts.knowledge()
        phrases = await asyncio.to_thread(synonyms_of, sets)
        version = await self._parts.standing.put(synonyms=sets, then=lambda: knowledge.use(phrases))
        return pb.PutSynonymsResponse(version=version)

    async def put_curations(
        self, request: pb.PutCurationsRequest, _: Call
    ) -> pb.PutCurationsResponse:
        """Replace all curations."""
        if len(request.curations) > MAX_CURATIONS:
            text = f"there may be {MAX_CURATIONS}, not {len(request.curations)}"
            raise InvalidRequest(text, field="curations")
        curations = Curations([_curation(each) for each in request.curations])
        version = await self._parts.standing.put(curations=curations)
        return pb.PutCurationsResponse(version=version)

    async def describe_index(
        self, _: pb.DescribeIndexRequest, __: Call
    ) -> pb.DescribeIndexResponse:
        """Return what there is."""
        index, standing = self._parts.index(), self._parts.standing
        return pb.DescribeIndexResponse(
            documents=index.count,
            index_epoch=index.epoch,
            segments=index.segments,
            bytes=await index.size_bytes(),
            fields=[
                pb.IndexedField(
                    name=name,
                    type=each.type,
                    boost=each.boost,
                    sortable=each.sortable,
                    facet=each.facet,
                )
                for name, each in index.schema.fields.items()
            ],
            synonyms=[pb.SynonymSet(words=each.words, of=each.of) for each in standing.synonyms],
            curations=[
                pb.Curation(
                    query=each.query,
                    match=pb.Curation.CONTAINS if each.contains else pb.Curation.EXACT,
                    pins=[pb.Curation.Pin(id=pin.id, position=pin.position) for pin in each.pins],
                    hidden=each.hidden,
                )
                for each in standing.curations.all
            ],
            terms=self._parts.knowledge().terms,
        )

    async def rebuild_index(self, _: pb.RebuildIndexRequest, __: Call) -> pb.RebuildIndexResponse:
        """Build the index anew."""
        rebuilt = await self._parts.index().rebuild()
        return pb.RebuildIndexResponse(
            documents=rebuilt.documents, seconds=rebuilt.seconds, index_epoch=rebuilt.epoch
        )


def _curation(it: pb.Curation) -> Curation:
    pins = [Pin(each.id, each.position) for each in it.pins]
    contains = it.match == pb.Curation.CONTAINS
    return curation(it.query, contains=contains, pins=pins, hidden=it.hidden)
