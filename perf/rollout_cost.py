"""What rollouts cost a call: to find its version, and to be noted when it is answered.

    python perf/rollout_cost.py

Prints the median of rounds, in microseconds of the thread's time, so that other processes on the
machine take none of it, but for what they do to its caches.
"""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from inferd.app.rollouts import made
from inferd.call import Call
from inferd.config import Config
from inferd.inference.models import Models
from inferd.inference.request import Request
from inferd.inference.rollouts import Rollouts
from inferd.inference.version import ModelVersion
from inferd.telemetry.statistics import LoadStatistics

CALLS, ROUNDS = 2000, 25
ROLLOUT = {"models": {"m": {"stable": 1, "canary": 2, "percent": 10}}}


class Version:
    """All of a version that is looked at here."""

    def __init__(self) -> None:
        self.watcher: Any = None
        self.signature = self
        self.inputs = self.outputs = ()
        self.labels: tuple[str, ...] = ()


def models(rollouts: Rollouts | None) -> Models:
    """Return models of which two versions of one are ready."""
    unused = cast("Any", None)
    config = Config().repository
    there = Models(
        config,
        cast("Any", Loader()),
        unused,
        LoadStatistics(),
        parse_text=unused,
        parse_json=unused,
        clock=time.monotonic,
        wall_clock=time.monotonic,
        rollouts=rollouts,
    )
    registry = there._registry
    for number in (1, 2):
        registry.slot(("m", number)).version = cast("ModelVersion", Version())
    registry.publish()
    return there


class Loader:
    """Loads nothing."""

    niceness = 0


def seconds(way: Callable[[int], object]) -> float:
    """Return what one call takes."""
    began = time.thread_time()
    for number in range(CALLS):
        way(number)
    return (time.thread_time() - began) / CALLS


async def main() -> None:
    """Measure, and print."""
    config = Config.model_validate({"rollouts": ROLLOUT})
    rolled = made(config, time.monotonic)
    without, with_one = models(None), models(rolled)
    call = Call("/test", arrived=1.0)
    users = [Call("/test", arrived=1.0, metadata={"x-unit": f"u{n}"}) for n in range(CALLS)]
    request = Request(outputs=("y",), rows=1, deadline=9.0, arrived=1.0)
    said = {"y": np.zeros((1, 1), np.float32)}
    stable = with_one.find("m", "1")
    assert stable is not None
    assert stable.watcher is not None
    watcher = stable.watcher
    ways: dict[str, Callable[[int], object]] = {
        "find, as it was": lambda _: without._registry.find("m"),
        "find, nothing is rolled out": lambda _: without.find("m", "", call),
        "find, another model is": lambda _: with_one.find("n", "", call),
        "find, by chance": lambda _: with_one.find("m", "", call),
        "find, by x-unit": lambda number: with_one.find("m", "", users[number]),
        "an answer is noted": lambda _: watcher.answered(call, (request,), said, 2.0),
    }
    taken = {name: list[float]() for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            taken[name].append(seconds(way))
    for name, each in taken.items():
        print(f"{name:30} {statistics.median(each) * 1e6:6.2f} us {min(each) * 1e6:6.2f} us")


if __name__ == "__main__":
    asyncio.run(main())
