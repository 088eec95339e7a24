"""From rows of a request to rows that can be stored, and what is said of those that cannot."""

from collections.abc import Sequence

from inferd.cache.blobs import Written
from inferd.features.store import FeatureStore
from inferd.features.writing import Checked, Write
from inferd.services.features.batch import Batch, checked, described
from inferd.services.features.selection import id_of
from inferd.services.features.values import plain
from inferd.v1 import features_pb2 as pb

_RESULTS = {
    Written.STORED: pb.WriteResult.STORED,
    Written.SAME: pb.WriteResult.SAME,
    Written.OLDER: pb.WriteResult.OLDER,
}


async def batch(
    request: pb.SetFeaturesRequest, store: FeatureStore, *, max_rows: int
) -> Batch[Checked]:
    """Return the rows of a request. Raises `InvalidRequest` where there are none, or too many."""

    def check(row: pb.FeatureRow, field: str) -> Checked:
        view = store.definitions.view(row.view, field=f"{field}.view")
        values = {name: plain(value) for name, value in row.values.items()}
        entity_id = id_of(view, row.id, field=f"{field}.id")
        return store.checked(Write(view, entity_id, row.event_time_us, values), field=field)

    return await checked(request.rows, check, field="rows", most=max_rows)


def results(batch: Batch[Checked], written: Sequence[Written]) -> pb.SetFeaturesResponse:
    """Return what became of every row, given what became of those that were stored."""
    left = iter(written)
    return pb.SetFeaturesResponse(
        results=[
            pb.WriteResult(status=_RESULTS[next(left)])
            if problem is None
            else pb.WriteResult(status=pb.WriteResult.REJECTED, problems=described(problem))
            for problem in batch.problems
        ]
    )
