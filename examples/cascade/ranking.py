"""Ranks items for a user: four stages, each with a ladder of ways to be taken.

    taste    from Redis, or what it was last time, or nobody's
    trend    a model of what is liked just now; the answer can do without
    score    the full model, a smaller one, the full one's previous version, the last scores of this
             user, or popularity
    order    by score and variety, or by score alone

Whatever is slow, broken or gone, the caller gets the best order that there was time for.
"""

import asyncio
from collections.abc import Sequence

import numpy as np

from cascade import ranking_pb2 as pb
from cascade.catalogue import ITEMS, NOBODY, POPULARITY, VECTORS, WIDTH, Vectors, key
from cascade.remote import RemoteModel
from inferd.cache.connection import translated
from inferd.call import Call
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InvalidRequest, NotFound
from inferd.resilience.endpoint import Answer
from inferd.resilience.parallel import Parallel
from inferd.resilience.stale import LastAnswers, Stale
from inferd.services.degradations import messages
from inferd.services.extension import Host, Service

RANKING = pb.DESCRIPTOR.services_by_name["Ranking"]
RANK = "/example.v1.Ranking/Rank"

MAX_ITEMS = 100
MAX_USER_ID = 64
REMEMBERED = 10_000
#: Tastes change slowly.
TASTE_AGE_S = 3600.0
SCORES_AGE_S = 300.0
#: How much an item loses by being like one that is placed before it.
SAMENESS = 0.2

CASCADE = Cascade(
    stages=(
        Stage(
            name="taste",
            ladder=(
                Rung(name="store", cap_ms=20, up_to_load=1.0),
                Rung(name="stale", seed_ms=0.05),
                Rung(name="nobody", seed_ms=0.05),
            ),
        ),
        Stage(
            name="trend",
            beside_previous=True,
            optional=True,
            ladder=(Rung(name="model", cap_ms=20, up_to_load=0.9),),
        ),
        Stage(
            name="score",
            ladder=(
                Rung(name="full", seed_ms=2, up_to_load=1.2),
                Rung(name="small", seed_ms=1),
                Rung(name="previous", seed_ms=2),
                Rung(name="stale", seed_ms=0.05),
                Rung(name="rule", seed_ms=0.05),
            ),
        ),
        Stage(
            name="order",
            ladder=(Rung(name="varied", cap_ms=20), Rung(name="plain", seed_ms=0.1)),
        ),
    )
)


class Ranking:
    """Answers `example.v1.Ranking`."""

    def __init__(self, host: Host) -> None:
        self._models = host.models
        self._redis = host.redis
        self._clock = host.clock
        self._tastes = LastAnswers[Vectors](max_entries=REMEMBERED, max_age_s=TASTE_AGE_S)
        self._scores = LastAnswers[Vectors](max_entries=REMEMBERED, max_age_s=SCORES_AGE_S)
        self._remote = RemoteModel(host.options.get("trend", "127.0.0.1:9001"), "trend", host.clock)
        host.closing.push_async_callback(self._remote.close)
        #: Items per call, of late.
        self._items = 10.0
        guard = host.toolbox.dependency
        self._endpoint = endpoint = host.toolbox.endpoint(RANK, CASCADE, capacity=self._capacity)
        self._taste = endpoint.stage(
            "taste",
            store=guard("tastes").guards(self._stored_taste, repeatable=True, check=_require_taste),
            stale=self._last_taste,
            nobody=self._nobodys_taste,
        )
        self._trend = endpoint.optional_stage(
            "trend",
            model=guard("trend").guards(self._trend_of, repeatable=True, check=_require_finite),
            # In nobody's ladder unless the configuration puts it there.
            remote=guard("trend_remote").guards(
                self._trend_elsewhere, repeatable=True, check=_require_finite
            ),
        )
        self._score = endpoint.stage(
            "score",
            full=guard("ranker").guards(self._full, check=_require_finite),
            small=guard("ranker_small").guards(self._small, check=_require_finite),
            previous=guard("ranker_previous").guards(self._previous, check=_require_finite),
            stale=self._last_scores,
            rule=self._popularity,
        )
        self._order = endpoint.stage(
            "order", varied=guard("order").guards(self._varied), plain=self._plain
        )

    async def rank(self, request: pb.RankRequest, call: Call) -> pb.RankResponse:
        """Order the items, best first."""
        user, items = _checked(request)
        self._items += 0.05 * (len(items) - self._items)
        with self._endpoint.answering(call) as answer:
            async with Parallel() as at_once:
                trend = at_once.begin(self._trend(answer, items))
                taste = await self._taste(answer, user)
                trending = await trend
            scores = await self._score(answer, user, items, taste)
            if trending is not None:
                scores = 0.9 * scores + 0.1 * trending
            order = await self._order(answer, items, scores)
            return _response(items, scores, order, answer)

    def _capacity(self) -> float:
        """Return the calls per second that can have the full model."""
        found = self._models.find("ranker")
        return found.capacity_rows_s / self._items if found else 0.0

    # -- taste -------------------------------------------------------------------------

    async def _stored_taste(self, call: Call, deadline: Deadline, user: str) -> Vectors:
        if self._redis is None:
            raise NotFound("no Redis is configured (redis.url)")
        with translated():
            stored = await self._redis.get(key(user))
        if stored is None:
            return NOBODY
        assert isinstance(stored, bytes)  # the client does not decode
        if len(stored) != 4 * WIDTH:
            raise DependencyFailed(f"what is stored under {key(user)} is no taste")
        taste: Vectors = np.frombuffer(stored, np.float32)
        _require_taste(taste)
        self._tastes.put(user, taste, self._clock())
        return taste

    async def _last_taste(self, call: Call, deadline: Deadline, user: str) -> Stale[Vectors]:
        return _remembered(self._tastes.get(user, self._clock()))

    async def _nobodys_taste(self, call: Call, deadline: Deadline, user: str) -> Vectors:
        return NOBODY

    # -- trend and scores --------------------------------------------------------------

    async def _trend_of(self, call: Call, deadline: Deadline, items: Sequence[int]) -> Vectors:
        return await self._run(call, deadline, VECTORS[items], "trend")

    async def _trend_elsewhere(
        self, call: Call, deadline: Deadline, items: Sequence[int]
    ) -> Vectors:
        return await self._remote.scores(call, deadline, VECTORS[items])

    async def _full(
        self, call: Call, deadline: Deadline, user: str, items: Sequence[int], taste: Vectors
    ) -> Vectors:
        scores = await self._run(call, deadline, _features(items, taste), "ranker")
        _require_finite(scores)  # what is remembered is not asked for its sense again
        self._scores.put((user, tuple(items)), scores.copy(), self._clock())  # not the whole batch
        return scores

    async def _small(
        self, call: Call, deadline: Deadline, user: str, items: Sequence[int], taste: Vectors
    ) -> Vectors:
        return await self._run(call, deadline, _features(items, taste), "ranker_small")

    async def _previous(
        self, call: Call, deadline: Deadline, user: str, items: Sequence[int], taste: Vectors
    ) -> Vectors:
        previous = self._models.previous("ranker")
        if previous is None:
            raise NotFound("the model ranker has no previous version")
        features = _features(items, taste)
        return await self._run(call, deadline, features, "ranker", previous.version)

    async def _run(
        self, call: Call, deadline: Deadline, features: Vectors, model: str, version: str = ""
    ) -> Vectors:
        """Return a model's scores, of shape [n]."""
        outputs = await self._models.run(
            model, {"features": features}, call=call, deadline=deadline, version=version
        )
        scores: Vectors = outputs["score"][:, 0]
        return scores

    async def _last_scores(
        self, call: Call, deadline: Deadline, user: str, items: Sequence[int], taste: Vectors
    ) -> Stale[Vectors]:
        return _remembered(self._scores.get((user, tuple(items)), self._clock()))

    async def _popularity(
        self, call: Call, deadline: Deadline, user: str, items: Sequence[int], taste: Vectors
    ) -> Vectors:
        popular: Vectors = POPULARITY[items]
        return popular

    # -- order -------------------------------------------------------------------------

    async def _varied(
        self, call: Call, deadline: Deadline, items: Sequence[int], scores: Vectors
    ) -> list[int]:
        """Place one after the other, each for its score less what it repeats (MMR)."""
        alike = VECTORS[items] @ VECTORS[items].T
        left = scores.copy()
        order: list[int] = []
        for placed in range(len(items)):
            at = int(left.argmax())
            order.append(at)
            left[at] = -np.inf
            left -= SAMENESS * np.maximum(alike[at], 0)
            if placed % 25 == 24:
                await asyncio.sleep(0)  # others have deadlines, too
        return order

    async def _plain(
        self, call: Call, deadline: Deadline, items: Sequence[int], scores: Vectors
    ) -> list[int]:
        return [int(at) for at in np.argsort(-scores, kind="stable")]


def services(host: Host) -> list[Service]:
    """Return what is served."""
    return [Service(RANKING, Ranking(host))]


def _checked(request: pb.RankRequest) -> tuple[str, list[int]]:
    user, items = request.user_id, list(request.item_ids)
    if not 1 <= len(user) <= MAX_USER_ID:
        raise InvalidRequest(f"user_id must have 1 to {MAX_USER_ID} characters", field="user_id")
    if not 1 <= len(items) <= MAX_ITEMS:
        raise InvalidRequest(f"there must be 1 to {MAX_ITEMS} item_ids", field="item_ids")
    if min(items) < 0 or max(items) >= ITEMS:
        raise InvalidRequest(f"item_ids must be from 0 to {ITEMS - 1}", field="item_ids")
    return user, items


def _features(items: Sequence[int], taste: Vectors) -> Vectors:
    features = np.empty((len(items), 2 * WIDTH), np.float32)
    features[:, :WIDTH] = taste
    features[:, WIDTH:] = VECTORS[items]
    return features


def _require_taste(taste: Vectors) -> None:
    length = float(np.dot(taste, taste))
    if taste is not NOBODY and not abs(length - 1) <= 0.01:  # nor if it is not a number
        raise DependencyFailed("what is stored is no taste")


def _require_finite(scores: Vectors) -> None:
    if not np.isfinite(scores).all():
        raise DependencyFailed("the scores are not finite")


def _remembered(stale: Stale[Vectors] | None) -> Stale[Vectors]:
    if stale is None:
        raise NotFound("there is nothing from before")
    return stale


def _response(
    items: Sequence[int], scores: Vectors, order: Sequence[int], answer: Answer
) -> pb.RankResponse:
    scored_by = next((each.source for each in answer.degradations if each.stage == "score"), "full")
    return pb.RankResponse(
        items=[pb.RankedItem(item_id=items[at], score=float(scores[at])) for at in order],
        scored_by=scored_by,
        degradations=messages(answer.degradations),
    )
