"""The recommendation service as an ordinary engineer would write it: each step waits for the last.

`grpc.aio` on uvloop; a GET for each view of the user's features, a call to another server for the
user's vector, every item of the catalogue held against it, a call for each ranker, one after the
other, and then the list. What things mean is inferd's own: the same catalogue, behaviour, sources,
features, models, rules and messages, so that both sides recommend alike; and where these are fast,
so is this. It promises less: there is no budget for any step, nothing stands in for what fails,
nothing is kept, and new users are not known from others.

    python -m baselines.recommendation_plain --config recommendation.yaml --behaviour FILE \
        --port 8001 --models 8002
"""

import argparse
import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from redis.asyncio import Redis

from baselines.fraud_plain.aggregates import Aggregates
from inferd.app.settings import load, yaml_file
from inferd.cache import frames
from inferd.call import Call
from inferd.config import Config
from inferd.deadline import NEVER, Deadline
from inferd.errors import InvalidRequest
from inferd.features.definitions import US, Definitions
from inferd.features.values import Found as FoundFeature
from inferd.features.values import Lookup
from inferd.features.writing import Limits
from inferd.oip import grpc_service_pb2 as oip
from inferd.services.recommendation import sources_declared, wishes
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.choosing import REASONS
from inferd.services.recommendation.cold_start import chance, new_places
from inferd.services.recommendation.content import user_inputs
from inferd.services.recommendation.ensemble import Ensemble
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.gathering import Gathering, eligible
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.profile_reading import ProfileReading
from inferd.services.recommendation.ranking import Pool, RankingRules, rank
from inferd.services.recommendation.seed import seed_items
from inferd.services.recommendation.sources import NOTHING, Found, Wanted
from inferd.v1 import recommendation_pb2 as pb

INFER = "/inference.GRPCInferenceService/ModelInfer"
AT_ONCE = 1000


def now_us() -> int:
    """Return the time of day."""
    return round(time.time() * US)  # noqa: TID251 - events have times of day


class Every:
    """Holds every item against the user."""

    name = "vectors"

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return the nearest items."""
        if wanted.user_vector is None:
            return NOTHING
        rows = np.flatnonzero(wanted.all())
        scores = wanted.table.vectors[rows] @ wanted.user_vector
        nearest = np.argpartition(-scores, count)[:count]
        nearest = nearest[np.argsort(-scores[nearest])]
        return Found(rows[nearest], scores[nearest])


class Features:
    """Reads views of features, as `ProfileReading` wants them."""

    def __init__(self, aggregates: Aggregates) -> None:
        self._aggregates = aggregates

    async def fetch(
        self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]
    ) -> list[FoundFeature]:
        """Return what is known, in the order of `lookups`."""
        return await self._aggregates.ask(lookups, now_us())


class PlainRecommendations:
    """Makes one list, step by step."""

    def __init__(
        self, config: Config, behaviour: Path, redis: "Redis", models: grpc.aio.Channel
    ) -> None:
        it, features = config.recommendation, config.features
        assert features.definitions is not None
        path = features.definitions
        definitions = Definitions.read(yaml_file(path), files_in=path.parent)
        limits = Limits(max_bytes=65_536, ahead_us=300 * US)
        aggregates = Aggregates(definitions, redis, prefix=features.key_prefix, limits=limits)
        online: Any = Features(aggregates)
        self._profiles = ProfileReading(it.profile, it.interactions, definitions, online)
        self._settings = it
        self._catalogue = Catalogue(
            dimensions=it.catalogue.dimensions, max_items=it.catalogue.max_items
        )
        self._behaviour = Behaviour(it.behaviour, max_items=it.catalogue.max_items)
        self._behaviour.restore(record for record, _ in frames.read(behaviour))
        sources = sources_declared.made(it.sources, self._catalogue, self._behaviour)
        self._gathering = Gathering((Every(), *sources[1:]), sources_declared.quotas(it.sources))
        self._features = PairFeatures(it.rankers[0].inputs, missing=it.rankers[0].missing)
        self._ensemble = Ensemble(it.rankers)
        self._rules = RankingRules(it.ranking)
        self._bounds = wishes.Bounds(it.max_count)
        self._infer: Any = models.unary_unary(
            INFER, oip.ModelInferRequest.SerializeToString, oip.ModelInferResponse.FromString
        )

    def fill(self) -> None:
        """Take in all items."""
        settings = self._settings.catalogue
        assert settings.seed is not None
        items = [*seed_items(settings.seed, dimensions=settings.dimensions)]
        for begin in range(0, len(items), AT_ONCE):
            some = items[begin : begin + AT_ONCE]
            vectors = np.array([each.vector for each in some], np.float32)
            self._catalogue.upsert(some, vectors, 0)

    async def recommend(
        self, request: pb.GetRecommendationsRequest, context: "grpc.aio.ServicerContext[Any, Any]"
    ) -> pb.Recommendations:
        """Answer `GetRecommendations`."""
        began, at_us, table = time.perf_counter(), now_us(), self._catalogue.table
        try:
            wish = wishes.recommendations(request, table, self._bounds)
        except InvalidRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        call = Call("recommend", arrived=began)
        profile = (await self._profiles.read(call, NEVER, wish.user_id)).profile
        users = self._settings.user_vectors
        assert users is not None
        vector = None
        if profile.history:
            told = user_inputs(profile.history, table)
            vector = (await self._asked(users.model, users.output, told, context))[0]
        cold = self._settings.cold_start
        wanted = Wanted(
            table=table,
            user_vector=vector,
            history=profile.history,
            context=wish.context.said(),
            now_us=at_us,
            random=chance(wish.user_id, at_us, cold.window_s, "candidates"),
            eligible=eligible(table, wish.filters, at_us),
        )
        gathered = self._gathering.gather(wanted, {})
        rows = self._features.rows(
            profile,
            table,
            gathered.rows,
            self._behaviour,
            wish.context,
            now_us=at_us,
            user_vector=vector,
        )
        said = {
            each.name: await self._asked(each.model, each.output, {each.tensor: rows}, context)
            for each in self._settings.rankers
        }
        scores = self._ensemble.blend(said, len(rows)).scores
        assert scores is not None
        dice = chance(wish.user_id, at_us, cold.window_s, "places")
        pool = Pool(
            table=table,
            rows=gathered.rows,
            scores=scores,
            reasons=[REASONS.get(each, each) for each in gathered.reasons],
            now_us=at_us,
            history=profile.history,
            filters=wish.filters,
            page=wish.context.page,
            include_seen=wish.include_seen,
            new=gathered.scores_of("new"),
            new_places=new_places(wish.count, cold.explore_share, dice),
        )
        ranked = rank(pool, self._rules, wish.count).items
        return pb.Recommendations(
            request_id=wish.request_id,
            items=[
                pb.RecommendedItem(
                    item_id=table.ids[each.row], score=each.score, reason=each.reason
                )
                for each in ranked
            ],
            source="COMPUTED",
            latency_ms=1000 * (time.perf_counter() - began),
            time_us=at_us,
            models=[each.model for each in self._settings.rankers],
        )

    async def _asked(
        self,
        model: str,
        output: str,
        inputs: Mapping[str, Vectors],
        context: "grpc.aio.ServicerContext[Any, Any]",
    ) -> Vectors:
        request = oip.ModelInferRequest(model_name=model)
        for name, tensor in inputs.items():
            request.inputs.add(name=name, datatype="FP32", shape=tensor.shape)
            request.raw_input_contents.append(tensor.tobytes())
        answer = await self._infer(request, timeout=context.time_remaining())
        [said] = [each for each in answer.outputs if each.name == output]
        raw = answer.raw_output_contents[0]
        return np.frombuffer(raw, np.float32).reshape([*said.shape])


async def serve(config: Config, behaviour: Path, port: int, models: int) -> None:
    """Serve until SIGTERM."""
    redis = Redis.from_url(config.redis.url)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{models}") as channel:
        plain = PlainRecommendations(config, behaviour, redis, channel)
        plain.fill()
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handler = grpc.unary_unary_rpc_method_handler(
            plain.recommend,
            request_deserializer=pb.GetRecommendationsRequest.FromString,
            response_serializer=pb.Recommendations.SerializeToString,
        )
        service = "inferd.v1.RecommendationService"
        handlers = grpc.method_handlers_generic_handler(service, {"GetRecommendations": handler})
        server.add_generic_rpc_handlers((handlers,))
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        await stopping.wait()
        await server.stop(grace=1.0)
    await redis.aclose()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description="Recommendations the usual way.")
    parser.add_argument("--config", type=Path, required=True, help="as of `inferd serve`")
    parser.add_argument("--behaviour", type=Path, required=True, help="what everybody did")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--models", type=int, required=True, help="the port of their server")
    args = parser.parse_args()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(load(args.config, os.environ, {}), args.behaviour, args.port, args.models))


if __name__ == "__main__":
    main()
