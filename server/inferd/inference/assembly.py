"""From warm sessions to a version that answers: threads, statistics and a batcher around them."""

from collections.abc import Sequence

from inferd.config import Inference
from inferd.deadline import Clock
from inferd.errors import LoadFailed
from inferd.inference.batcher import Batcher, BatchTracer
from inferd.inference.loading import Loaded, Source
from inferd.inference.scheduling import Scheduler
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
    ) -> None:
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
        batcher = Batcher(
            Scheduler(loaded.policy, loaded.latency),
            workers,
            statistics,
            run_time=loaded.run_time,
            inline_below_s=self._inference.inline_below_us * 1e-6,
            guard_s=loaded.policy.guard_s,
            clock=self._clock,
            tracer=self._tracer,
        )
        deadline_ms = loaded.config.options.default_deadline_ms
        return ModelVersion(
            name=source.name,
            number=source.number,
            config=loaded.config,
            signature=loaded.signature,
            policy=loaded.policy,
            batcher=batcher,
            workers=workers,
            statistics=statistics,
            default_deadline_s=(deadline_ms or self._inference.default_deadline_ms) / 1000,
            clock=self._clock,
        )

    def _workers(self, source: Source, loaded: Loaded) -> list[Worker]:
        runners = [session for session, each in loaded.sessions for _ in range(each.instances)]
        workers: list[Worker] = []
        try:
            for at, runner in enumerate(runners):
                name = f"{source.name}/{source.number}#{at}"
                workers.append(Worker(name, runner, self._clock, niceness=self._niceness))
        except RuntimeError as error:
            for worker in workers:
                worker.close(timeout_s=0.0)
            raise LoadFailed(f"cannot start a thread for instance {len(workers)}") from error
        return workers
