"""`FeatureService`: reads within the caller's deadline, writes row by row.

A read is a stage with two rungs: the store, and the declared defaults, for which there is always
time. Whatever keeps the store from answering, the caller gets what can be said without it, and
is told so; only where a required feature has no default there is no answer.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from inferd.call import Call
from inferd.config.features import Features as Settings
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, FeatureMissing, InvalidRequest
from inferd.features.definitions import EntityId
from inferd.features.store import FeatureStore
from inferd.features.values import Found, Lookup
from inferd.resilience.toolbox import Toolbox
from inferd.services.degradations import messages
from inferd.services.features import answers, writes
from inferd.services.features.described import described
from inferd.services.features.selection import Selection, Selections, id_of
from inferd.v1 import features_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["FeatureService"]

NAMED = 10
"""Of the features that are lacking, so many are told."""

CASCADE = Cascade(
    stages=(
        Stage(
            name="features",
            # Features are for decisions that are to be made within tens of milliseconds.
            ladder=(Rung(name="store", cap_ms=20), Rung(name="defaults", seed_ms=0.05)),
        ),
    )
)


class Features:
    """Answers `inferd.v1.FeatureService`."""

    def __init__(self, store: FeatureStore, toolbox: Toolbox, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._selections = Selections(store.definitions)
        endpoints = [
            toolbox.endpoint(f"/{SERVICE.full_name}/{rpc}", CASCADE) for rpc in ("Get", "BatchGet")
        ]
        self._get, self._batch_get = endpoints
        self._one, self._many = (
            each.stage("features", store=store.fetch, defaults=self._defaults) for each in endpoints
        )

    async def get(self, request: pb.GetFeaturesRequest, call: Call) -> pb.GetFeaturesResponse:
        """Return what is known of one entity."""
        selection = self._selections.of(request.entity, request.features)
        ids = [id_of(selection.parts[0].view, request.id, field="id")]
        lookups = selection.lookups(ids, _as_of(request))
        with self._get.answering(call) as answer:
            found = await self._one(answer, lookups)
            _check_whole(found)
            response = answers.one(selection, found, self._store.now_us())
            response.degradations.extend(messages(answer.degradations))
            return response

    async def batch_get(
        self, request: pb.BatchGetFeaturesRequest, call: Call
    ) -> pb.BatchGetFeaturesResponse:
        """Return the same features of many entities."""
        selection = self._selections.of(request.entity, request.features)
        ids = self._ids(selection, request.ids)
        lookups = selection.lookups(ids, _as_of(request))
        with self._batch_get.answering(call) as answer:
            found = await self._many(answer, lookups)
            response = answers.batch(selection, len(ids), found, self._store.now_us())
            response.degradations.extend(messages(answer.degradations))
            return response

    async def set(self, request: pb.SetFeaturesRequest, call: Call) -> pb.SetFeaturesResponse:
        """Write rows."""
        batch = await self._batch(request)
        if not batch.rows:
            wrong = batch.violations()
            raise InvalidRequest(f"{wrong[0].field}: {wrong[0].description}", violations=wrong)
        return batch.results(await self._store.set(call, call.deadline, batch.rows))

    async def push(
        self, requests: AsyncIterator[pb.SetFeaturesRequest], call: Call
    ) -> AsyncGenerator[pb.SetFeaturesResponse, None]:
        """Write what is streamed in, one request after the other."""
        async for request in requests:
            batch = await self._batch(request)
            rows = batch.rows
            yield batch.results(await self._store.set(call, call.deadline, rows) if rows else ())

    async def describe(
        self, request: pb.DescribeFeaturesRequest, _: Call
    ) -> pb.DescribeFeaturesResponse:
        """Return what is declared."""
        return described(self._store.definitions, request.view)

    async def _batch(self, request: pb.SetFeaturesRequest) -> writes.Batch:
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
        found = self._store.defaults(lookups)
        if lacking := _lacking(found):
            raise DependencyFailed(
                f"the store did not answer, and what is required has no default: {lacking}"
            )
        return found


def _as_of(request: pb.GetFeaturesRequest | pb.BatchGetFeaturesRequest) -> int | None:
    return request.as_of_us if request.HasField("as_of_us") else None


def _check_whole(found: Sequence[Found]) -> None:
    if lacking := _lacking(found):
        raise FeatureMissing(
            f"there is neither a value nor a default for what is required: {lacking}"
        )


def _lacking(found: Sequence[Found]) -> str:
    """Return the names of required features that are lacking."""
    names = dict.fromkeys(name for each in found for name in each.lacking)
    return ", ".join([*names][:NAMED])
