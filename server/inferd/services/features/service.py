"""`FeatureService`: reads within the caller's deadline, writes row by row.

A read is a stage with two rungs: the store, and the declared defaults, for which there is always
time. Whatever keeps the store from answering, the caller gets what can be said without it, and
is told so; only where a required feature has no default there is no answer.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

from inferd.call import Call
from inferd.config.features import Features as Settings
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, FeatureMissing, InvalidRequest
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.definitions import EntityId
from inferd.features.kinds import Held
from inferd.features.online import OnlineFeatures
from inferd.features.store import FeatureStore
from inferd.features.values import NOTHING, Found, Lookup, Status
from inferd.features.writing import Checked
from inferd.resilience.degradation import Degradation
from inferd.resilience.endpoint import Answer
from inferd.resilience.toolbox import Toolbox
from inferd.services.degradations import messages
from inferd.services.features import answers, events, writes
from inferd.services.features.batch import Batch
from inferd.services.features.described import described
from inferd.services.features.selection import Selection, Selections, id_of
from inferd.services.features.values import plain
from inferd.v1 import features_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["FeatureService"]

NAMED = 10
"""Of the features that are lacking, so many are told."""

# Features are for decisions that are to be made within tens of milliseconds.
CAP_MS = 20.0
MS_PER_ENTITY = 0.1
"""What reading and computing may take besides waiting, in a batch."""


def _cascade(settings: Settings, *, entities: int) -> Cascade:
    """Return the cascade unless the configuration has one."""
    cap_ms = max(CAP_MS, settings.compute_timeout_ms) + MS_PER_ENTITY * entities
    ladder = (Rung(name="store", cap_ms=cap_ms), Rung(name="defaults", seed_ms=0.05))
    return Cascade(stages=(Stage(name="features", ladder=ladder),))


class Features:
    """Answers `inferd.v1.FeatureService`."""

    def __init__(
        self,
        features: OnlineFeatures,
        store: FeatureStore,
        aggregator: Aggregator,
        toolbox: Toolbox,
        settings: Settings,
    ) -> None:
        self._features = features
        self._store = store
        self._aggregator = aggregator
        self._definitions = store.definitions
        self._settings = settings
        self._selections = Selections(store.definitions)
        endpoints = [
            toolbox.endpoint(f"/{SERVICE.full_name}/{rpc}", _cascade(settings, entities=entities))
            for rpc, entities in (("Get", 1), ("BatchGet", settings.max_entities))
        ]
        self._get, self._batch_get = endpoints
        self._one, self._many = (
            each.stage("features", store=features.fetch, defaults=self._defaults)
            for each in endpoints
        )

    async def get(self, request: pb.GetFeaturesRequest, call: Call) -> pb.GetFeaturesResponse:
        """Return what is known of one entity."""
        selection = self._selections.of(request.entity, request.features)
        ids = [id_of(selection.parts[0].view, request.id, field="id")]
        lookups = selection.lookups(ids, _as_of(request), self._said(request))
        with self._get.answering(call) as answer:
            found = await self._one(answer, lookups)
            _check_whole(found)
            _tell(answer, found)
            response = answers.one(selection, found, self._features.now_us())
            response.degradations.extend(messages(answer.degradations))
            return response

    async def batch_get(
        self, request: pb.BatchGetFeaturesRequest, call: Call
    ) -> pb.BatchGetFeaturesResponse:
        """Return the same features of many entities."""
        selection = self._selections.of(request.entity, request.features)
        ids = self._ids(selection, request.ids)
        lookups = selection.lookups(ids, _as_of(request), self._said(request))
        with self._batch_get.answering(call) as answer:
            found = await self._many(answer, lookups)
            _tell(answer, found)
            response = answers.batch(selection, len(ids), found, self._features.now_us())
            response.degradations.extend(messages(answer.degradations))
            return response

    async def set(self, request: pb.SetFeaturesRequest, call: Call) -> pb.SetFeaturesResponse:
        """Write rows."""
        batch = await self._batch(request)
        if not batch.good:
            raise batch.refusal()
        return writes.results(batch, await self._store.set(call, call.deadline, batch.good))

    async def push(
        self, requests: AsyncIterator[pb.SetFeaturesRequest], call: Call
    ) -> AsyncGenerator[pb.SetFeaturesResponse, None]:
        """Write what is streamed in, one request after the other."""
        async for request in requests:
            batch = await self._batch(request)
            rows = batch.good
            written = await self._store.set(call, call.deadline, rows) if rows else ()
            yield writes.results(batch, written)

    async def record(self, request: pb.RecordEventsRequest, call: Call) -> pb.RecordEventsResponse:
        """Take in what happened."""
        batch = await events.batch(
            request, self._definitions, self._aggregator, max_events=self._settings.max_rows
        )
        if not batch.good:
            raise batch.refusal()
        return events.results(batch, await self._aggregator.record(call, call.deadline, batch.good))

    async def describe(
        self, request: pb.DescribeFeaturesRequest, _: Call
    ) -> pb.DescribeFeaturesResponse:
        """Return what is declared."""
        return described(self._definitions, request.view)

    def _said(
        self, request: pb.GetFeaturesRequest | pb.BatchGetFeaturesRequest
    ) -> Mapping[str, Held]:
        if not request.request:
            return NOTHING
        said = {name: plain(value) for name, value in request.request.items()}
        return self._definitions.given(said, field="request")

    async def _batch(self, request: pb.SetFeaturesRequest) -> Batch[Checked]:
        return await writes.batch(request, self._store, max_rows=self._settings.max_rows)

    def _ids(self, selection: Selection, given: Sequence[str]) -> list[EntityId]:
        most = self._settings.max_entities
        if not 1 <= len(given) <= most:
            raise InvalidRequest(f"there must be 1 to {most} ids, not {len(given)}", field="ids")
        values = len(given) * len(selection.columns)
        if values > self._settings.max_values:
            raise InvalidRequest(
                f"{len(given)} ids with {len(selection.columns)} features each are {values} values;"
                f" there may be {self._settings.max_values}",
                field="ids",
            )
        view = selection.parts[0].view
        return [id_of(view, text, field=f"ids[{at}]") for at, text in enumerate(given)]

    async def _defaults(
        self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]
    ) -> list[Found]:
        found = self._features.defaults(lookups)
        if lacking := _lacking(found):
            raise _unread(lacking)
        return found


def _as_of(request: pb.GetFeaturesRequest | pb.BatchGetFeaturesRequest) -> int | None:
    return request.as_of_us if request.HasField("as_of_us") else None


def _check_whole(found: Sequence[Found]) -> None:
    if lacking := _lacking([each for each in found if each.status is Status.TIMED_OUT]):
        raise _unread(lacking)
    if lacking := _lacking(found):
        raise FeatureMissing(
            f"there is neither a value nor a default for what is required: {lacking}"
        )


def _unread(lacking: str) -> DependencyFailed:
    return DependencyFailed(f"it could not be read, and what is required has no default: {lacking}")


def _tell(answer: Answer, found: Sequence[Found]) -> None:
    """Have it told if some of it is lacking although the rest could be read."""
    if answer.degradations or not any(each.status is Status.TIMED_OUT for each in found):
        return
    answer.degrade(Degradation("features", "defaults", "TIMED_OUT"))


def _lacking(found: Sequence[Found]) -> str:
    """Return the names of required features that are lacking."""
    names = dict.fromkeys(name for each in found for name in each.lacking)
    return ", ".join([*names][:NAMED])
