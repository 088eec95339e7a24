"""What users do with items, recorded and read as recommendations do, with stores to choose from."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from inferd.cache.blobs import Blobs, Entry, Written
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.call import Call
from inferd.config import resilience
from inferd.config.recommendation.interactions import Interactions as InteractionSettings
from inferd.config.recommendation.profile import Profile as ProfileSettings
from inferd.config.resilience import Cascade
from inferd.deadline import Deadline
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.definitions import US, Definitions
from inferd.features.online import OnlineFeatures
from inferd.features.store import FeatureStore
from inferd.features.writing import Limits
from inferd.resilience.degradation import Degradation
from inferd.resilience.endpoint import Endpoint
from inferd.services.recommendation.interactions import Interaction, Interactions
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.profile_reading import ProfileReading, stage
from inferd.v1 import recommendation_pb2 as pb
from support.feature_stores import WallClock
from support.guards import a_dependency

ACTS = ("impression", "page_view", "click", "cart", "purchase", "dislike")
METHOD = "/inferd.v1.RecommendationService/GetRecommendations"


def _fields(*more: tuple[str, str]) -> list[dict[str, Any]]:
    required = [("user", "string"), ("item", "string")]
    return [
        *({"name": name, "type": kind, "required": True} for name, kind in required),
        *({"name": name, "type": kind} for name, kind in more),
    ]


def _newest(name: str, of: str) -> dict[str, Any]:
    aggregate = {"function": "newest", "of": of, "count": 100, "window": "90d"}
    return {"name": name, "type": "string_list", "aggregate": aggregate}


DECLARED: Mapping[str, Any] = {
    "entities": [{"name": "user"}],
    "events": [
        {
            "name": name,
            "fields": _fields(("amount", "float64"), ("brand", "string"), ("place", "int64")),
        }
        for name in (*ACTS, "search")
    ],
    "views": [
        {
            "name": "user_recent",
            "entity": "user",
            "events": [*ACTS, "search"],
            "features": [
                _newest("items", "item"),
                _newest("acts", "event.name"),
                _newest("times", "event.time_us"),
            ],
        },
        {
            "name": "user_clicks",
            "entity": "user",
            "events": "click",
            "features": [
                {
                    "name": "count_1h",
                    "type": "int64",
                    "default": 0,
                    "aggregate": {"function": "count", "window": "1h"},
                },
                {
                    "name": "brand",
                    "type": "string",
                    "aggregate": {"function": "last", "of": "brand", "window": "1h"},
                },
            ],
        },
        {
            "name": "user_profile",
            "entity": "user",
            "features": [
                {"name": "segment", "type": "string", "default": "new"},
                {"name": "premium", "type": "bool"},
            ],
        },
    ],
}
FEATURES = {
    "clicks_1h": "user_clicks.count_1h",
    "brand": "user_clicks.brand",
    "segment": "user_profile.segment",
    "premium": "user_profile.premium",
}
GUARD: Mapping[str, Any] = {
    "timeout_ms": 1000.0,
    "breaker": resilience.Breaker(mode="off"),
    "hedge": resilience.Hedge(enabled=False),
    "retry": resilience.Retry(attempts=1),
}


class Fickle(MemoryBlobs):
    """A store in memory that can take a while, or fail."""

    def __init__(self) -> None:
        super().__init__(max_bytes=10_000_000, clock=asyncio.get_running_loop().time)
        self.takes_s = 0.0
        self.raises: Exception | None = None

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        await self._act()
        return await super().get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        await self._act()
        return await super().put(entries)

    async def _act(self) -> None:
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.raises is not None:
            raise self.raises


class Shop:
    """Interactions and profiles over stores: of events, and of what is written."""

    def __init__(self, blobs: Blobs | None = None, **guard: Any) -> None:
        clock = asyncio.get_running_loop().time
        self.blobs = Fickle() if blobs is None else blobs
        self.rows = Fickle()
        self.wall_clock = WallClock(time.time())
        self.definitions = Definitions.read(DECLARED)
        self.items: dict[str, Item] = {}
        #: What listeners heard.
        self.heard: list[Interaction] = []
        self.first_heard = asyncio.Event()
        guards = {**GUARD, **guard}
        how: dict[str, Any] = {
            "reads": a_dependency("features", **guards),
            "writes": a_dependency("features_write", **guards),
            "wall_clock": self.wall_clock,
            "limits": Limits(64_000, 300 * US),
        }
        self.aggregator = Aggregator(self.definitions, self.blobs, **how)
        self.store = FeatureStore(self.definitions, self.rows, **how)
        self.online = OnlineFeatures(
            {"stored": self.store, "aggregated": self.aggregator},
            self.store.statistics,
            now_us=self.store.now_us,
        )
        events = {
            "click": {
                "event": "click",
                "fields": {
                    "user": "user_id",
                    "item": "item_id",
                    "brand": "item.brand",
                    "amount": "amount_minor",
                    "place": "position",
                },
            },
            "view": {"event": "page_view"},
            "purchase": {"event": "purchase"},
        }
        self.interaction_settings = InteractionSettings.model_validate({"events": events})
        self.interactions = Interactions(
            self.interaction_settings,
            self.aggregator,
            most=200,
            item=self.items.get,
            listeners=[self.heard.append, lambda _: self.first_heard.set()],
        )
        self.profile_settings = ProfileSettings(features=FEATURES)
        self.reading = ProfileReading(
            self.profile_settings, self.interaction_settings, self.definitions, self.online
        )
        cascade = Cascade(stages=(stage(self.profile_settings),))
        self.endpoint = Endpoint(METHOD, cascade, clock=clock)
        self._profile = self.reading.stage_of(self.endpoint)

    async def record(
        self, *interactions: pb.Interaction, within_s: float = 10.0
    ) -> pb.RecordInteractionsResponse:
        request = pb.RecordInteractionsRequest(interactions=interactions)
        return await self.interactions.record(request, a_call(within_s))

    async def profile(
        self, user_id: str, *, within_s: float = 1.0
    ) -> tuple[Profile, list[Degradation]]:
        """Return a profile, and what is said of it."""
        with self.endpoint.answering(a_call(within_s)) as answer:
            profile = await self._profile(answer, user_id)
            return profile, [*answer.degradations]


def a_call(within_s: float = 10.0) -> Call:
    now = asyncio.get_running_loop().time()
    return Call(METHOD, arrived=now, deadline=Deadline.after(within_s, now=now))


def did(
    item_id: str, type: str = "CLICK", *, user_id: str = "ann", time_us: int = 0, **more: Any
) -> pb.Interaction:
    """Return an interaction."""
    return pb.Interaction(
        user_id=user_id,
        item_id=item_id,
        type=type,
        time_us=time_us,
        **more,
    )


def statuses(response: pb.RecordInteractionsResponse) -> list[str]:
    """Return what became of each."""
    of = pb.RecordInteractionsResponse.Status
    return [of.Name(each.status) for each in response.results]
