"""`RecommendationService`: lists, what users do with them, and the items."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

from inferd.call import Call
from inferd.errors import NotReady
from inferd.services.recommendation.interactions import Interactions
from inferd.services.recommendation.serving import Serving
from inferd.services.recommendation.stocking import Stocking
from inferd.v1 import recommendation_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["RecommendationService"]


class Parts(NamedTuple):
    """What the service is made of."""

    serving: Serving
    interactions: Interactions
    stocking: Stocking


class Recommendations:
    """Answers `inferd.v1.RecommendationService`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        #: Whether the catalogue has been loaded.
        self.open = False

    async def get_recommendations(
        self, request: pb.GetRecommendationsRequest, call: Call
    ) -> pb.Recommendations:
        """Return what to show to a user now."""
        return await self._opened.serving.recommend(request, call)

    async def similar_items(
        self, request: pb.SimilarItemsRequest, call: Call
    ) -> pb.Recommendations:
        """Return what is like an item."""
        return await self._opened.serving.similar(request, call)

    async def get_trending(self, request: pb.GetTrendingRequest, call: Call) -> pb.Recommendations:
        """Return what is in demand."""
        return await self._opened.serving.trending(request, call)

    async def explain_recommendation(
        self, request: pb.ExplainRecommendationRequest, call: Call
    ) -> pb.ExplainRecommendationResponse:
        """Return why items are in an answer, or are not."""
        return await self._opened.serving.explain(request, call)

    async def record_interactions(
        self, request: pb.RecordInteractionsRequest, call: Call
    ) -> pb.RecordInteractionsResponse:
        """Record what users did."""
        return await self._opened.interactions.record(request, call)

    async def stream_interactions(
        self, requests: AsyncIterator[pb.RecordInteractionsRequest], call: Call
    ) -> AsyncGenerator[pb.RecordInteractionsResponse, None]:
        """Record what is streamed in."""
        async for answer in self._opened.interactions.stream(requests, call):
            yield answer

    async def upsert_items(
        self, request: pb.UpsertItemsRequest, call: Call
    ) -> pb.UpsertItemsResponse:
        """Add items, or replace them."""
        return await self._opened.stocking.upsert(request, call)

    async def delete_items(
        self, request: pb.DeleteItemsRequest, call: Call
    ) -> pb.DeleteItemsResponse:
        """Take items away."""
        return await self._opened.stocking.delete(request, call)

    async def get_items(self, request: pb.GetItemsRequest, _: Call) -> pb.GetItemsResponse:
        """Return items."""
        return self._opened.stocking.get(request)

    @property
    def _opened(self) -> Parts:
        if not self.open:
            raise NotReady("the catalogue is still being loaded")
        return self._parts
