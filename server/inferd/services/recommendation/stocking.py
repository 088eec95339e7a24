"""Items that come and go: checked, put where users' vectors are, kept, and then seen."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from inferd.call import Call
from inferd.config.recommendation.catalogue import Catalogue as Settings
from inferd.config.resilience import Dependency
from inferd.deadline import Deadline
from inferd.errors import InvalidRequest, NotReady
from inferd.resilience.toolbox import Toolbox
from inferd.services.features.batch import checked
from inferd.services.recommendation.asking import ItemTower
from inferd.services.recommendation.catalogue import Upserted
from inferd.services.recommendation.item_messages import MAX_ID_BYTES, item_message, item_of
from inferd.services.recommendation.items import Item, Vectors
from inferd.services.recommendation.keeping import KeptCatalogue
from inferd.v1 import recommendation_pb2 as pb

GUARD: Final = "recommendation_items"

_RESULT = pb.UpsertItemsResponse.Result
_STATUSES = {
    Upserted.ADDED: pb.UpsertItemsResponse.ADDED,
    Upserted.REPLACED: pb.UpsertItemsResponse.REPLACED,
    Upserted.UNCHANGED: pb.UpsertItemsResponse.UNCHANGED,
}


class Stocking:
    """Answers what is about single items. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        tower: ItemTower | None,
        toolbox: Toolbox,
        *,
        most: int,
        now_us: Callable[[], int],
    ) -> None:
        """Take at most so many items in a request."""
        self._settings = settings
        #: Once it is open.
        self._catalogue: KeptCatalogue | None = None
        self._most = most
        self._now_us = now_us
        #: What became of items, by status.
        self.counts: Counter[str] = Counter()
        self._ask = None
        if tower is not None and settings.vectors is not None:
            guard = toolbox.dependency(GUARD, Dependency(timeout_ms=settings.vectors.timeout_ms))
            self._ask = guard.guards(tower.ask)

    def open(self, kept: KeptCatalogue) -> None:
        """Begin: what was kept has been loaded."""
        self._catalogue = kept

    @property
    def _kept(self) -> KeptCatalogue:
        if self._catalogue is None:
            raise NotReady("the catalogue is still being loaded")
        return self._catalogue

    async def upsert(self, request: pb.UpsertItemsRequest, call: Call) -> pb.UpsertItemsResponse:
        """Add or replace items. Raises `InvalidRequest` if none can be, and `InferdError`."""
        dimensions = self._settings.dimensions
        batch = await checked(
            request.items,
            lambda message, field: item_of(message, field, dimensions=dimensions),
            field="items",
            most=self._most,
        )
        if not batch.good:
            raise batch.refusal()
        done = iter(await self.put(batch.good, call, call.deadline, now_us=self._now_us()))
        self.counts["REJECTED"] += sum(each is not None for each in batch.problems)
        return pb.UpsertItemsResponse(
            results=[
                _RESULT(status=_STATUSES[next(done)])
                if problem is None
                else _RESULT(
                    status=pb.UpsertItemsResponse.REJECTED,
                    problems=[f"{it.field}: {it.description}" for it in problem.violations],
                )
                for problem in batch.problems
            ],
            catalogue_epoch=self._kept.catalogue.epoch,
        )

    async def put(
        self, items: Sequence[Item], call: Call, deadline: Deadline, *, now_us: int
    ) -> list[Upserted]:
        """Add or replace items; return of each what became of it. Raises `InferdError`.

        `now_us` is since when there have been those that are added.
        """
        vectors = await self._vectors(items, call, deadline)
        done = await self._kept.upsert(items, vectors, now_us)
        self.counts.update(each.name for each in done)
        return done

    async def delete(self, request: pb.DeleteItemsRequest, _: Call) -> pb.DeleteItemsResponse:
        """Take items away. Raises `InferdError`."""
        deleted = await self._kept.delete(self._ids(request.item_ids))
        self.counts["DELETED"] += sum(deleted)
        epoch = self._kept.catalogue.epoch
        return pb.DeleteItemsResponse(deleted=deleted, catalogue_epoch=epoch)

    def get(self, request: pb.GetItemsRequest) -> pb.GetItemsResponse:
        """Return items. Raises `InvalidRequest`."""
        catalogue = self._kept.catalogue
        found = (catalogue.get(id) for id in self._ids(request.item_ids))
        return pb.GetItemsResponse(
            items=[item_message(each) for each in found if each is not None],
            catalogue_epoch=catalogue.epoch,
            catalogue_size=len(catalogue),
        )

    async def _vectors(self, items: Sequence[Item], call: Call, deadline: Deadline) -> Vectors:
        """Return where items are, float32 [n, d]; zeros: nobody knows."""
        vectors = np.zeros((len(items), self._settings.dimensions), np.float32)
        asked = [place for place, item in enumerate(items) if item.vector is None]
        if asked and self._ask is not None:
            vectors[asked] = await self._ask(call, deadline, [items[place] for place in asked])
        for place, item in enumerate(items):
            if item.vector is not None:
                vectors[place] = item.vector
        return vectors

    def _ids(self, ids: Sequence[str]) -> list[str]:
        if not 1 <= len(ids) <= self._most:
            text = f"there must be 1 to {self._most}, not {len(ids)}"
            raise InvalidRequest(text, field="item_ids")
        for number, id in enumerate(ids):
            if not 1 <= len(id.encode()) <= MAX_ID_BYTES:
                text = f"it has 1 to {MAX_ID_BYTES} bytes"
                raise InvalidRequest(text, field=f"item_ids[{number}]")
        return list(ids)
