"""Faults that come by themselves."""

import asyncio
from typing import Any

import pytest

from inferd.config.faults import Faults, Scheduled
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.faults.schedule import follow


def scheduled(at_s: float, point: str, kind: str, **parameters: Any) -> Scheduled:
    return Scheduled.model_validate({"at_s": at_s, "point": point, "kind": kind, **parameters})


def points() -> FaultPoints:
    return FaultPoints(Faults(enabled=True), asyncio.get_running_loop().time)


async def test_faults_come_when_their_time_has_come_whatever_their_order() -> None:
    it = points()
    point = it.point("redis")
    there = []
    schedule = [
        scheduled(7, "redis", "error", for_s=1),
        scheduled(2, "redis", "latency", ms=1, for_s=3),
    ]

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(follow(schedule, it))
        for _ in range(9):
            await asyncio.sleep(1)
            there.append([each.fault.kind for each in point.fault or ()])

    assert there == [[], *[["latency"]] * 3, [], [], ["error"], [], []]


async def test_a_part_may_come_later_than_its_fault() -> None:
    it = points()

    await follow([scheduled(0, "model.a", "error")], it)

    assert it.point("model.a#0").fault is not None


async def test_what_cannot_be_is_said_and_the_rest_happens(
    caplog: pytest.LogCaptureFixture,
) -> None:
    it = points()
    point = it.point("redis")

    await follow([scheduled(1, "redis", "down"), scheduled(2, "redis", "error")], it)

    assert "faults.schedule, at 1 s: down is no fault for redis" in caplog.text
    assert point.fault is not None
