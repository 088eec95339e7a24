"""From warm sessions to a version that answers: threads, statistics and a batcher around them."""

from collections.abc import Sequence

from inferd.config import Inference
from inferd.deadline import Clock
from inferd.errors import LoadFailed
from inferd.inference.batcher import Batcher, BatchTracer
from inferd.inference.loading import Loaded, Source
from inferd.inference.permits import CorePermits
from inferd.inference.scheduling import Turns, discipline_for
from inferd.inference.session_settings import CPU_DEVICE
from inferd.inference.version import ModelVersion, State
from inferd.inference.worker import Worker
from inferd.telemetry.statistics import ModelStatistics


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
    ) -> None:
        self._permits = permits
        self._inference = inference
        self._niceness = niceness
        self._latency_bounds_s = latency_bounds_s
        self._clock = clock
        self._tracer = tracer

    def build(self, source: Source, loaded: Loaded) -> ModelVersion:
        """Return a version that is ready, with a running thread per instance."""
        statistics = ModelStatistics(
            source.name,
            str(source.number),
            latency_bounds_s=self._latency_bounds_s,
            batch_bounds=loaded.latency.buckets,
            tags=loaded.config.metric_tags,
        )
        statistics.state = State.READY
        statistics.memory_bytes = loaded.memory_bytes
        workers = self._workers(source, loaded)
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
        )
        deadline_ms = loaded.config.options.default_deadline_ms
        return ModelVersion(
            name=source.name,
            number=source.number,
            config=loaded.config,
            signature=loaded.signature,
            policy=loaded.policy,
            packing=loaded.packing,
            batcher=batcher,
            workers=workers,
            statistics=statistics,
            default_deadline_s=(deadline_ms or self._inference.default_deadline_ms) / 1000,
            clock=self._clock,
        )

    def _workers(self, source: Source, loaded: Loaded) -> list[Worker]:
        runners = [
            (session, cores)
            for session, each in loaded.sessions
            for cores in (each.cores or ((),) * each.instances)
        ]
        workers: list[Worker] = []
        try:
            for at, (runner, cores) in enumerate(runners):
                workers.append(
                    Worker(
                        f"{source.name}/{source.number}#{at}",
                        runner,
                        self._clock,
                        packing=loaded.packing,
                        niceness=self._niceness,
                        cores=cores[:1],
                    )
                )
        except RuntimeError as error:
            for worker in workers:
                worker.close(timeout_s=0.0)
            raise LoadFailed(f"cannot start a thread for instance {len(workers)}") from error
        return workers


def _threads(loaded: Loaded) -> int:
    """Return the cores that one run keeps busy; 0 where another device does the work."""
    on_cpu = [each for _, each in loaded.sessions if each.device == CPU_DEVICE]
    return max([each.settings.intra_op_threads for each in on_cpu], default=0)
