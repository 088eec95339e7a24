"""Answers for many and answers for one: whatever is stored, they say the same."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inferd.cache.memory_blobs import MemoryBlobs
from inferd.config.features import Features as Settings
from inferd.v1 import features_pb2 as pb
from support.feature_stores import CALL, a_feature_service, a_store
from support.features import a_row, held
from support.virtual_time import VirtualTimeLoop

FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32)
VALUES = {
    "age": st.integers(-(2**63), 2**63 - 1),
    "country": st.text("aé€", max_size=3),
    "income": FLOATS,
    "premium": st.booleans(),
    "token": st.binary(max_size=3),
    "taste": st.lists(FLOATS, min_size=2, max_size=2),
}
PROFILES = st.lists(
    st.none()
    | st.fixed_dictionaries({}, optional={name: st.none() | it for name, it in VALUES.items()}),
    min_size=1,
    max_size=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(profiles=PROFILES)
def test_columns_say_the_same_as_single_answers(
    profiles: list[dict[str, Any] | None],
) -> None:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(columns_and_single_answers(profiles))


async def columns_and_single_answers(profiles: list[dict[str, Any] | None]) -> None:
    clock = asyncio.get_running_loop().time
    store = a_store(MemoryBlobs(max_bytes=1_000_000, clock=clock))
    service = a_feature_service(store, Settings())
    rows = [
        a_row("profile", number, **profile)
        for number, profile in enumerate(profiles)
        if profile is not None
    ]
    if rows:
        await service.set(pb.SetFeaturesRequest(rows=rows), CALL)
    ids = [str(number) for number in range(len(profiles))]
    features = ["profile", "activity:clicks"]

    columns = await service.batch_get(
        pb.BatchGetFeaturesRequest(entity="user", ids=ids, features=features), CALL
    )

    assert not columns.incomplete
    for at, each in enumerate(ids):
        request = pb.GetFeaturesRequest(entity="user", id=each, features=features)
        one = await service.get(request, CALL)
        assert [cell_of(column, at) for column in columns.columns] == [
            (it.name, it.status, it.source, it.event_time_us, held(it)) for it in one.features
        ]


def cell_of(column: pb.FeatureColumn, at: int) -> tuple[Any, ...]:
    """Return what a column says of one entity."""
    kind = column.WhichOneof("values")
    assert kind is not None
    lists = getattr(column, kind)
    width = lists.width if kind == "float_lists" else 1
    value: Any = list(lists.values[at * width : (at + 1) * width])
    if kind != "float_lists":
        [value] = value
    status, source = column.statuses[at], column.sources[at]
    if status == pb.Feature.NULL_VALUE or source == pb.Feature.SOURCE_UNSPECIFIED:
        assert not any(value) if kind == "float_lists" else not value
        value = None
    return column.name, status, source, column.event_times_us[at], value
