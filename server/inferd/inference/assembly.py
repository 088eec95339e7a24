"""From warm sessions to a version that answers: threads, statistics and a batcher around them."""

import math
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from inferd.config import Inference
from inferd.config.resilience import Resilience
from inferd.deadline import Clock
from inferd.errors import LoadFailed
from inferd.inference.batcher import Batcher, BatchTracer
from inferd.inference.control import Control
from inferd.inference.faulty import Point
from inferd.inference.finite import FiniteOutputs
from inferd.inference.instances import Instances, Thread
from inferd.inference.loading import Loaded, Source
from inferd.inference.permits import CorePermits
from inferd.inference.scheduling import Turns, discipline_for
from inferd.inference.session_settings import CPU_DEVICE, Placement
from inferd.inference.version import ModelVersion, State
from inferd.inference.worker import Worker
from inferd.resilience.breaker import Breaker
from inferd.resilience.outliers import Outliers
from inferd.runtime.session import Session
from inferd.telemetry.statistics import ModelStatistics

Another = Callable[[Placement], Awaitable[Session]]
"""Returns one more session of a version, warm, or raises `LoadFailed`."""

Cores = tuple[int, ...]

DEFAULT = Resilience()


class Points(Protocol):
    """Where things can be broken on purpose: `inferd.resilience.faults.FaultPoints`."""

    def point(self, name: str) -> Point:
        """Return the point of that name."""


class Assembler:
    """Builds model versions on the event loop."""

    def __init__(
        self,
        inference: Inference,
        *,
        latency_bounds_s: Sequence[float],
        clock: Clock,
        tracer: BatchTracer | None,
        niceness: int = 0,
        permits: CorePermits | None = None,
        resilience: Resilience = DEFAULT,
        points: Points | None = None,
    ) -> None:
        self._permits = permits
        self._inference = inference
        self._resilience = resilience
        self._points = points
        self._niceness = niceness
        self._latency_bounds_s = latency_bounds_s
        self._clock = clock
        self._tracer = tracer

    def build(
        self, source: Source, loaded: Loaded, *, another: Another, changed: Callable[[], None]
    ) -> ModelVersion:
        """Return a version that is ready, with a running thread per instance.

        `another` makes sessions for instances that have to be replaced; `changed` is called when
        the last has gone, or the first is back.
        """
        statistics = ModelStatistics(
            source.name,
            str(source.number),
            latency_bounds_s=self._latency_bounds_s,
            batch_bounds=loaded.latency.buckets,
            tags=loaded.config.metric_tags,
        )
        statistics.state = State.READY
        workers = self._workers(source, loaded)
        instances = Instances(
            workers,
            statistics,
            Outliers(self._resilience.outliers),
            trial=loaded.trial,
            outputs=_outputs(loaded),
            latency=loaded.latency,
            session_bytes=loaded.session_bytes,
            build=self._builder(source, loaded, another),
            points=[point for at in range(len(workers)) for point in self._points_of(source, at)],
            changed=changed,
            clock=self._clock,
        )
        turns = Turns()
        batcher = Batcher(
            discipline_for(loaded.policy, loaded.latency, turns),
            workers,
            statistics,
            run_time=loaded.run_time,
            inline_below_s=self._inference.inline_below_us * 1e-6,
            guard_s=loaded.policy.guard_s,
            clock=self._clock,
            tracer=self._tracer,
            permits=self._permits,
            threads=_threads(loaded),
            turns=turns,
            watch=instances,
        )
        instances.service = batcher
        deadline_ms = loaded.config.options.default_deadline_ms
        return ModelVersion(
            name=source.name,
            number=source.number,
            config=loaded.config,
            signature=loaded.signature,
            policy=loaded.policy,
            packing=loaded.packing,
            latency=loaded.latency,
            batcher=batcher,
            instances=instances,
            breaker=self._breaker(),
            statistics=statistics,
            default_deadline_s=(deadline_ms or self._inference.default_deadline_ms) / 1000,
            clock=self._clock,
        )

    def _breaker(self) -> Breaker:
        """Return a version's breaker. What is slow, nobody need learn: the scheduler predicts."""
        config = self._resilience.model_breaker
        if not config.slow_ms:
            config = config.model_copy(update={"slow_ms": math.inf})
        return Breaker(config, random=random.random)

    def _workers(self, source: Source, loaded: Loaded) -> list[Worker]:
        workers: list[Worker] = []
        try:
            for index, (session, _, cores) in enumerate(_places(loaded)):
                workers.append(self._worker(source, loaded, index, session, cores))
        except LoadFailed:
            for worker in workers:
                worker.close(timeout_s=0.0)
            raise
        return workers

    def _worker(
        self, source: Source, loaded: Loaded, index: int, session: Session, cores: Cores
    ) -> Worker:
        """Return an instance on a thread of its own, or raise `LoadFailed`."""
        finite = None
        if loaded.config.options.finite_outputs:
            finite = FiniteOutputs(loaded.signature)
        packing, clock = loaded.packing, self._clock
        try:
            return Worker(
                f"{source.name}/{source.number}#{index}",
                session,
                clock,
                packing=packing,
                finite=finite,
                control=Control(
                    loaded.trial, _outputs(loaded), packing=packing, finite=finite, clock=clock
                ),
                points=self._points_of(source, index),
                niceness=self._niceness,
                cores=cores[:1],
            )
        except RuntimeError as error:
            raise LoadFailed(f"cannot start a thread for instance {index}") from error

    def _points_of(self, source: Source, index: int) -> list[Point]:
        """Return where an instance can be broken: of its model, or of its version only."""
        if self._points is None:
            return []
        name, number = source.name, source.number
        names = (f"model.{name}#{index}", f"model.{name}/{number}#{index}")
        return [self._points.point(each) for each in names]

    def _builder(
        self, source: Source, loaded: Loaded, another: Another
    ) -> Callable[[int], Awaitable[Thread]]:
        places = [(placement, cores) for _, placement, cores in _places(loaded)]
        loaded = loaded.without_sessions()

        async def build(index: int) -> Thread:
            placement, cores = places[index]
            session = await another(placement)
            return self._worker(source, loaded, index, session, cores)

        return build


def _places(loaded: Loaded) -> list[tuple[Session, Placement, Cores]]:
    """Return what each instance runs, and the cores that it is kept to."""
    return [
        (session, placement, cores)
        for session, placement in loaded.sessions
        for cores in (placement.cores or ((),) * placement.instances)
    ]


def _outputs(loaded: Loaded) -> tuple[str, ...]:
    return tuple(tensor.name for tensor in loaded.signature.outputs)


def _threads(loaded: Loaded) -> int:
    """Return the cores that one run keeps busy; 0 where another device does the work."""
    on_cpu = [each for _, each in loaded.sessions if each.device == CPU_DEVICE]
    return max([each.settings.intra_op_threads for each in on_cpu], default=0)
