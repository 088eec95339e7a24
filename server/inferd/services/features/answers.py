"""What was read, as messages: by feature for one entity, by column for many.

Columns are lists of one type, which protobuf encodes at a stroke; a message per value would take
many times as long.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from msgspec import UNSET

from inferd.features.kinds import Kind
from inferd.features.values import DEFAULT, Found, Status, Value
from inferd.services.features.selection import Selection
from inferd.services.features.values import fill
from inferd.v1 import features_pb2 as pb

STATUSES: Mapping[str, int] = {
    Status.PRESENT: pb.Feature.PRESENT,
    Status.NULL: pb.Feature.NULL_VALUE,
    Status.MISSING: pb.Feature.MISSING,
    Status.EXPIRED: pb.Feature.EXPIRED,
    Status.OUTSIDE_MAX_AGE: pb.Feature.OUTSIDE_MAX_AGE,
    Status.TIMED_OUT: pb.Feature.TIMED_OUT,
    Status.NEWER_ONLY: pb.Feature.NEWER_ONLY,
}
SOURCES: Mapping[str, int] = {
    "": pb.Feature.SOURCE_UNSPECIFIED,
    DEFAULT: pb.Feature.DEFAULT,
    "memory": pb.Feature.MEMORY,
    "redis": pb.Feature.REDIS,
    "sqlite": pb.Feature.SQLITE,
    "postgres": pb.Feature.POSTGRES,
    "l1_cache": pb.Feature.L1_CACHE,
    "l2_cache": pb.Feature.L2_CACHE,
    "l3_cache": pb.Feature.L3_CACHE,
    "computed": pb.Feature.COMPUTED,
}


def one(selection: Selection, found: Sequence[Found], now_us: int) -> pb.GetFeaturesResponse:
    """Return the features of one entity, in the order in which they were asked for."""
    response = pb.GetFeaturesResponse()
    add = response.features.add
    for name, part, at, declared in selection.columns:
        value, status, event_us, source = found[part].values[at]
        age_ms = None if event_us is None else max(0, now_us - event_us) // 1000
        feature = add(
            name=name,
            status=STATUSES[status],
            source=SOURCES[source],
            event_time_us=event_us,
            age_ms=age_ms,
        )
        if source:
            fill(feature.value, declared.type, value)
    return response


def batch(
    selection: Selection, ids: int, found: Sequence[Found], now_us: int
) -> pb.BatchGetFeaturesResponse:
    """Return the features of `ids` entities."""
    response = pb.BatchGetFeaturesResponse(read_time_us=now_us)
    parts = [found[at : at + ids] for at in range(0, len(found), ids)]
    whole = [_whole(rows) for rows in parts]
    incomplete: set[int] = set()
    for name, part, at, feature in selection.columns:
        column, rows = response.columns.add(name=name), parts[part]
        cells = [row.cells[at] if row.cells else None for row in rows]
        if None not in cells and UNSET not in cells:
            column.MergeFrom(whole[part])
        else:
            values = [row.values[at] for row in rows]
            _describe(column, values)
            cells = [value.value for value in values]
            if feature.required:
                incomplete.update(at for at, cell in enumerate(cells) if cell is None)
        _hold(column, feature.type, cells)
    response.incomplete.extend(sorted(incomplete))
    return response


def _whole(rows: Sequence[Found]) -> pb.FeatureColumn:
    """Return what columns have in common in which every row has a value."""
    return pb.FeatureColumn(
        statuses=[pb.Feature.PRESENT] * len(rows),
        sources=[SOURCES[row.source] for row in rows],  # type: ignore[misc]  # wants names
        event_times_us=[row.event_us or 0 for row in rows],
    )


def _describe(column: pb.FeatureColumn, values: Sequence[Value]) -> None:
    column.statuses.extend([STATUSES[value.status] for value in values])  # type: ignore[misc]
    column.sources.extend([SOURCES[value.source] for value in values])  # type: ignore[misc]
    column.event_times_us.extend([value.event_us or 0 for value in values])


def _hold(column: pb.FeatureColumn, kind: Kind, cells: Sequence[Any]) -> None:
    """Fill in the values, and what stands for those that are not there."""
    field, zero = _COLUMNS[kind.name]
    held = getattr(column, field)
    held.SetInParent()
    if kind.length:
        held.width = kind.length
        zeros = (0.0,) * kind.length
        cells = [*chain.from_iterable(zeros if each is None else each for each in cells)]
    elif kind.is_list:
        lists = [each or () for each in cells]
        held.lengths.extend([len(each) for each in lists])
        cells = [*chain.from_iterable(lists)]
    elif None in cells:
        cells = [zero if each is None else each for each in cells]
    held.values.extend(cells)


_COLUMNS: Mapping[str, tuple[str, object]] = {
    "int64": ("int64_values", 0),
    "float64": ("float64_values", 0.0),
    "bool": ("bool_values", False),
    "string": ("string_values", ""),
    "bytes": ("bytes_values", b""),
    "float_list": ("float_lists", None),
    "string_list": ("string_lists", None),
}
