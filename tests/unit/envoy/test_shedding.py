"""Who counts what comes, and tells Envoy every now and then what to refuse."""

import asyncio

from inferd.call import Criticality
from inferd.config import Log
from inferd.services.pipeline import Pipeline
from inferd.services.status import Code
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.envoy.shares import MOST, NOTHING, Shares
from inferd.transport.envoy.shedding import TICK_S, Arrivals, shedding

NO_CALLS = dict.fromkeys(Criticality, 0)


async def test_envoy_is_told_of_changes_and_at_the_end() -> None:
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    lost = pipeline.statistics.method("/a/B").of(Code.UNAVAILABLE.name)
    told: list[Shares] = []
    arrivals = Arrivals()
    async with shedding(1e-9, pipeline, arrivals, told.append):  # any work at all is too much
        await asyncio.sleep(1.5 * TICK_S)
        for _ in range(100):
            lost.observe(0.001)
            arrivals.note("SHEDDABLE")
        await asyncio.sleep(TICK_S)
        assert len(told) == 1
        assert told[0][Criticality.SHEDDABLE] > 0.2
        assert told[0][Criticality.CRITICAL] == 0.0
        await asyncio.sleep(100 * TICK_S)  # nobody calls any more
        assert told[-1] == NOTHING
        quiet = len(told)
        await asyncio.sleep(10 * TICK_S)
        assert len(told) == quiet

    assert told[-1] == NOTHING


async def test_calls_that_name_no_class_are_critical() -> None:
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    lost = pipeline.statistics.method("/a/B").of(Code.UNAVAILABLE.name)
    told: list[Shares] = []
    async with shedding(1e-9, pipeline, Arrivals(), told.append):
        await asyncio.sleep(1.5 * TICK_S)
        for _ in range(100):
            lost.observe(0.001)
        await asyncio.sleep(TICK_S)

        assert 0.2 < told[0][Criticality.CRITICAL] <= MOST


def test_arrivals_are_counted_by_what_they_say() -> None:
    arrivals = Arrivals()

    for said in ("SHEDDABLE", "sheddable", "Critical_Plus", b"SHEDDABLE", "important", ""):
        arrivals.note(said)

    expected = {Criticality.SHEDDABLE: 2, Criticality.CRITICAL_PLUS: 1}
    assert arrivals.take() == {**NO_CALLS, **expected}
    assert arrivals.take() == NO_CALLS
