"""From rows of a request to rows that can be stored, and what is said of those that cannot."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from inferd.cache.blobs import Written
from inferd.errors import InvalidRequest, Violation
from inferd.features.store import FeatureStore
from inferd.features.writing import Checked, Write
from inferd.services.features.selection import id_of
from inferd.services.features.values import plain
from inferd.v1 import features_pb2 as pb

AT_A_TIME = 50
"""Rows that are looked at before others have their turn."""

_RESULTS = {
    Written.STORED: pb.WriteResult.STORED,
    Written.SAME: pb.WriteResult.SAME,
    Written.OLDER: pb.WriteResult.OLDER,
}


class Batch(NamedTuple):
    """The rows of one request."""

    #: Those that may be stored, in order.
    rows: Sequence[Checked]
    #: One per row of the request: what is wrong with it.
    problems: Sequence[InvalidRequest | None]

    def violations(self) -> list[Violation]:
        """Return all that is wrong."""
        return [each for problem in self.problems if problem for each in problem.violations]

    def results(self, written: Sequence[Written]) -> pb.SetFeaturesResponse:
        """Return what became of every row, given what became of those that were stored."""
        left = iter(written)
        return pb.SetFeaturesResponse(
            results=[
                pb.WriteResult(status=_RESULTS[next(left)]) if it is None else _rejected(it)
                for it in self.problems
            ]
        )


async def batch(request: pb.SetFeaturesRequest, store: FeatureStore, *, max_rows: int) -> Batch:
    """Return the rows of a request. Raises `InvalidRequest` where there are none, or too many."""
    if not 1 <= len(request.rows) <= max_rows:
        raise InvalidRequest(
            f"there must be 1 to {max_rows} rows, not {len(request.rows)}", field="rows"
        )
    rows: list[Checked] = []
    problems: list[InvalidRequest | None] = []
    for number, row in enumerate(request.rows):
        try:
            rows.append(_checked(row, store, f"rows[{number}]"))
        except InvalidRequest as problem:
            problems.append(problem)
        else:
            problems.append(None)
        if number % AT_A_TIME == AT_A_TIME - 1:
            await asyncio.sleep(0)  # others have deadlines, too
    return Batch(rows, problems)


def _checked(row: pb.FeatureRow, store: FeatureStore, field: str) -> Checked:
    view = store.definitions.view(row.view, field=f"{field}.view")
    values = {name: plain(value) for name, value in row.values.items()}
    entity_id = id_of(view, row.id, field=f"{field}.id")
    return store.checked(Write(view, entity_id, row.event_time_us, values), field=field)


def _rejected(problem: InvalidRequest) -> pb.WriteResult:
    return pb.WriteResult(
        status=pb.WriteResult.REJECTED,
        problems=[
            pb.WriteResult.Problem(field=each.field, description=each.description)
            for each in problem.violations
        ],
    )
