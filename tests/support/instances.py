"""A model version whose instances can fail and hang, in virtual time, with pretended threads."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.config.resilience import Outliers as Config
from inferd.errors import LoadFailed, ModelFailed, NotReady
from inferd.inference.batch import Batch
from inferd.inference.batcher import Batcher
from inferd.inference.instances import Instances
from inferd.inference.permits import CorePermits
from inferd.inference.request import Request, Tensors
from inferd.inference.scheduling import LatencyModel, Policy, RunTime, Scheduler, buckets_of
from inferd.inference.warmup import Sample
from inferd.inference.watch import Instance
from inferd.resilience.outliers import Outliers
from inferd.telemetry.statistics import ModelStatistics

RUN_S = 0.010
SETTINGS = Config(
    consecutive_failures=3, hung_factor=10, hung_min_ms=100, rebuild_s=0.2, rebuild_max_s=1.0
)
HUNG_S = 0.1
PAUSE_S, BUILD_S = 0.2, 0.05


class Stop:
    stopped = False

    def __init__(self) -> None:
        self.then: Callable[[], object] = lambda: None

    def now(self) -> None:
        self.stopped = True
        self.then()


class Thread:
    """Takes `RUN_S` and adds one; 13 is poison.

    It can fail at everything, or hang, be it for good or until it is stopped.
    """

    def __init__(self) -> None:
        self.session = object()
        self.fails = self.hangs = self.endless = self.left = False
        self.ran: list[list[float]] = []
        self.stops: list[Stop] = []
        #: What a hung thread does when it comes to itself.
        self.wake: Callable[[], None] = lambda: None

    def stopper(self) -> Stop:
        self.stops.append(Stop())
        return self.stops[-1]

    def submit(self, batch: Batch, done: Callable[[], None]) -> None:
        def finish() -> None:
            self.run_here(batch)
            done()

        if self.endless:
            self.fails = True
            self.stops[-1].then = lambda: asyncio.get_running_loop().call_soon(finish)
        elif self.hangs:
            self.wake = finish
        else:
            asyncio.get_running_loop().call_later(RUN_S, finish)

    def run_here(self, batch: Batch) -> None:
        self.ran.append([float(each.inputs["x"][0]) for each in batch.requests])
        batch.run(self, asyncio.get_running_loop().time)
        if batch.failed and not self.fails:
            batch.acquit()  # as its control would

    def stop(self) -> Stop:
        return Stop()

    def run(self, inputs: Tensors, outputs: object, stop: object) -> list[NDArray[Any]]:
        if self.fails or (inputs["x"] == 13).any():
            raise ModelFailed("out of order")
        return [inputs["x"] + 1]

    def leave(self) -> None:
        self.left = True

    def close(self, *, timeout_s: float) -> None:
        raise AssertionError("only the end closes threads")


class Unwatched:
    """The watch over instances that nobody watches."""

    broken = False
    all_well = True

    def limit_s(self, predicted_s: float) -> float:
        return math.inf

    def overdue_s(self, predicted_s: float) -> float:
        return math.inf

    def passes(self, instance: Instance, *, good: bool) -> bool:
        return True

    def replace(self, instance: Instance, why: str) -> None:
        raise AssertionError("whatever happened, it passes")

    def absence(self) -> NotReady:
        raise AssertionError("it is always there")


class Version:
    def __init__(
        self,
        count: int = 1,
        *,
        max_batch: int = 1,
        settings: Config = SETTINGS,
        permits: CorePermits | None = None,
        inline_below_s: float = 0.0,
        points: tuple[Any, ...] = (),
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.delay_s = 0.0
        buckets = buckets_of(max_batch)
        latency = LatencyModel(buckets)
        latency.seed(1, RUN_S)
        self.statistics = ModelStatistics("m", "1", latency_bounds_s=(0.1,), batch_bounds=buckets)
        self.threads = [Thread() for _ in range(count)]
        #: What was built since, and why it cannot be.
        self.built: list[Thread] = []
        self.problem = ""
        self.successors_fail = False
        self.changes: list[bool] = []
        self.instances = Instances(
            self.threads,
            self.statistics,
            Outliers(settings),
            trial=Sample("trial", {"x": np.array([0.0])}, 1),
            outputs=("y",),
            latency=latency,
            session_bytes=100,
            build=self.build,
            points=points,
            changed=lambda: self.changes.append(self.statistics.instances > 0),
            clock=self.clock,
        )
        self.batcher = Batcher(
            Scheduler(Policy(max_batch=max_batch, instances=count), latency),
            self.threads,
            self.statistics,
            run_time=RunTime(buckets),
            inline_below_s=inline_below_s,
            guard_s=0.001,
            clock=self.clock,
            permits=permits,
            watch=self.instances,
        )
        self.instances.service = self.batcher

    def clock(self) -> float:
        return self.loop.time() + self.delay_s

    async def build(self, index: int) -> Thread:
        await asyncio.sleep(BUILD_S)
        if self.problem:
            raise LoadFailed(self.problem)
        self.built.append(Thread())
        self.built[-1].fails = self.successors_fail
        return self.built[-1]

    def ask(self, value: float = 1.0, *, within_s: float = 5.0) -> Request:
        now = self.clock()
        request = Request(outputs=("y",), rows=1, deadline=now + within_s, arrived=now)
        request.inputs = {"x": np.array([value])}
        self.batcher.admit(request)
        request.future = self.loop.create_future()
        return request

    async def answer(self, value: float = 1.0) -> float:
        return float((await self.ask(value).future)["y"][0])

    async def fail(self, times: int, value: float = 1.0) -> None:
        for _ in range(times):
            with pytest.raises(ModelFailed):
                await self.ask(value).future
