"""What the service makes of a store that is slow, broken or whole, by the clock of the loop."""

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from inferd.cache.blobs import Blobs, Entry, Written
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.call import Call
from inferd.config.features import Features as Settings
from inferd.deadline import NEVER, Deadline
from inferd.errors import DependencyFailed, FeatureMissing, InvalidRequest, NoBudget, TimedOut
from inferd.resilience.degradation import TRAILER
from inferd.services.features.service import Features
from inferd.telemetry.features import FeatureMetrics
from inferd.telemetry.metrics import Metrics
from inferd.telemetry.statistics import Histogram, LoadStatistics
from inferd.v1 import features_pb2 as pb
from support.feature_stores import Store, a_feature_service, a_store
from support.features import held, names, value

BROKEN = DependencyFailed("it is broken")
READ = pb.GetFeaturesRequest(entity="user", id="1", features=["profile:age", "activity:clicks"])
PRICE = pb.GetFeaturesRequest(entity="item", id="a", features=["stock:price"])


class Slow(MemoryBlobs):
    """Takes a while, or fails."""

    def __init__(self) -> None:
        super().__init__(max_bytes=1_000_000, clock=asyncio.get_running_loop().time)
        self.takes_s = 0.0
        self.raises: Exception | None = None
        self.puts = 0

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        await self._act()
        return await super().get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        self.puts += 1
        await self._act()
        return await super().put(entries)

    async def _act(self) -> None:
        if self.takes_s:
            await asyncio.sleep(self.takes_s)
        if self.raises is not None:
            raise self.raises


def a_service(blobs: Blobs, **settings: Any) -> tuple[Features, Store]:
    store = a_store(blobs)
    return a_feature_service(store, Settings(**settings)), store


def now() -> float:
    return asyncio.get_running_loop().time()


def a_call(within_s: float = 1.0) -> Call:
    deadline = NEVER if within_s == math.inf else Deadline.after(within_s, now=now())
    return Call("/inferd.v1.FeatureService/Get", arrived=now(), deadline=deadline)


def a_row(store: Store, view: str, id: str, *, ago_s: float = 1.0, **values: Any) -> pb.FeatureRow:
    messages = {name: value(it) for name, it in values.items()}
    return pb.FeatureRow(view=view, id=id, event_time_us=store.us(ago_s), values=messages)


async def test_a_slow_store_is_given_up_while_there_is_time_for_defaults() -> None:
    blobs = Slow()
    service, _ = a_service(blobs)
    blobs.takes_s = 10.0

    for within_s, most_s in ((1.0, 0.020), (0.005, 0.004), (math.inf, 0.020)):
        call, began = a_call(within_s), now()
        answer = await service.get(READ, call)

        assert now() - began <= most_s
        assert [names(it.status, it.source) for it in answer.features] == [
            ("TIMED_OUT", "DEFAULT")
        ] * 2
        assert [held(it) for it in answer.features] == [30, 0]
        [degradation] = answer.degradations
        assert degradation.stage == "features"
        assert degradation.source == "defaults"
        assert degradation.reason == TimedOut.reason
        assert call.trailing == [(TRAILER, "features=defaults;reason=TIMED_OUT")]


async def test_without_time_the_store_is_not_even_asked() -> None:
    service, _ = a_service(Slow())

    answer = await service.get(READ, a_call(0.0011))

    assert [it.reason for it in answer.degradations] == [NoBudget.reason]


async def test_a_broken_store_is_named_where_there_is_nothing_to_say_without_it() -> None:
    blobs = Slow()
    service, _ = a_service(blobs)
    blobs.raises = BROKEN

    with pytest.raises(DependencyFailed, match=r"has no default: stock:price$"):
        await service.get(PRICE, a_call())
    batch = pb.BatchGetFeaturesRequest(entity="item", ids=["a", "b"], features=["stock:price"])
    with pytest.raises(DependencyFailed, match=r"has no default: stock:price$"):
        await service.batch_get(batch, a_call())


async def test_what_is_required_and_was_never_written_is_another_matter() -> None:
    service, _ = a_service(Slow())
    call = a_call()

    with pytest.raises(FeatureMissing, match=r": stock:price$"):
        await service.get(PRICE, call)

    assert not call.trailing


async def test_what_cannot_be_stored_does_not_reach_the_store() -> None:
    blobs = Slow()
    service, store = a_service(blobs, max_rows=2)
    bad, good = a_row(store, "profile", "x", age=1), a_row(store, "profile", "1", age=1)

    with pytest.raises(InvalidRequest, match=r"^rows\[0\].id: ") as caught:
        await service.set(pb.SetFeaturesRequest(rows=[bad, bad]), a_call())
    assert [each.field for each in caught.value.violations] == ["rows[0].id", "rows[1].id"]
    with pytest.raises(InvalidRequest, match="1 to 2 rows, not 3"):
        await service.set(pb.SetFeaturesRequest(rows=[good] * 3), a_call())
    assert blobs.puts == 0

    answer = await service.set(pb.SetFeaturesRequest(rows=[bad, good]), a_call())
    assert [it.status for it in answer.results] == [
        pb.WriteResult.REJECTED,
        pb.WriteResult.STORED,
    ]


async def test_more_values_than_may_be_are_refused_before_the_store_is_asked() -> None:
    service, _ = a_service(Slow(), max_values=13)

    def asked(*ids: str) -> pb.BatchGetFeaturesRequest:
        return pb.BatchGetFeaturesRequest(entity="user", ids=ids, features=["profile"])

    assert len((await service.batch_get(asked("1", "2"), a_call())).columns) == 6
    with pytest.raises(InvalidRequest, match=r"3 ids with 6 features each are 18 values; .* 13"):
        await service.batch_get(asked("1", "2", "3"), a_call())


async def test_many_rows_let_others_have_their_turn() -> None:
    service, store = a_service(Slow())
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(another())
    rows = [a_row(store, "profile", str(number), age=1) for number in range(500)]
    await service.set(pb.SetFeaturesRequest(rows=rows), a_call())

    other.cancel()
    assert turns >= 10


async def test_a_write_that_takes_too_long_is_an_error() -> None:
    blobs = Slow()
    service, store = a_service(blobs)
    blobs.takes_s = 10.0

    with pytest.raises(TimedOut):
        await service.set(
            pb.SetFeaturesRequest(rows=[a_row(store, "profile", "1", age=1)]), a_call(0.5)
        )
    assert now() == pytest.approx(0.5, abs=0.01)


async def test_a_stream_takes_a_request_when_the_one_before_is_stored() -> None:
    blobs = Slow()
    service, store = a_service(blobs)
    blobs.takes_s = 1.0
    taken: list[float] = []

    async def requests() -> AsyncIterator[pb.SetFeaturesRequest]:
        for number in range(3):
            taken.append(now())
            row = a_row(store, "profile", "1", ago_s=3 - number, age=number)
            yield pb.SetFeaturesRequest(rows=[row])

    answered = [now() async for _ in service.push(requests(), a_call(math.inf))]

    assert taken == pytest.approx([0.0, 1.0, 2.0])
    assert answered == pytest.approx([1.0, 2.0, 3.0])


async def test_what_is_counted_is_told() -> None:
    blobs = Slow()
    service, store = a_service(blobs)
    sizes = Histogram([1, 10])
    sizes.observe(7)
    row = a_row(store, "profile", "1", ago_s=20, age=None, income=1.0)
    await service.set(pb.SetFeaturesRequest(rows=[row, row]), a_call())
    await service.get(pb.GetFeaturesRequest(entity="user", id="1"), a_call())
    blobs.raises = BROKEN
    await service.get(READ, a_call())
    store.features.corrupt["profile"] += 3
    metrics = Metrics(list, loads=LoadStatistics(), process=False)
    metrics.registry.register(FeatureMetrics(store.features, sizes))

    told = metrics.exposition()[0].decode().splitlines()

    for line in (
        'inferd_feature_reads_total{status="PRESENT",view="profile"} 1',
        'inferd_feature_reads_total{status="NULL",view="profile"} 1',
        'inferd_feature_reads_total{status="MISSING",view="profile"} 4',
        'inferd_feature_reads_total{status="MISSING",view="activity"} 1',
        'inferd_feature_reads_total{status="TIMED_OUT",view="profile"} 1',
        'inferd_feature_writes_total{status="STORED",view="profile"} 1',
        'inferd_feature_writes_total{status="SAME",view="profile"} 1',
        'inferd_feature_age_seconds_bucket{le="15.0",view="profile"} 0',
        'inferd_feature_age_seconds_count{view="profile"} 1',
        'inferd_feature_corrupt_total{view="profile"} 3',
        'inferd_feature_batch_rows_bucket{le="10.0"} 1',
    ):
        assert line in told
