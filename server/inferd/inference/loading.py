"""Loading one model version: files in, warm sessions out. Blocks, and belongs on a thread."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inferd.config import Inference, Runtime
from inferd.deadline import Clock
from inferd.errors import LoadFailed
from inferd.inference.repository.completion import complete
from inferd.inference.repository.layout import VersionFiles, read_labels
from inferd.inference.repository.model_config import ModelConfig
from inferd.inference.repository.schema import DynamicBatching, QueuePolicy
from inferd.inference.scheduling import LatencyModel, Level, Policy, RunTime, buckets_of
from inferd.inference.session_settings import Placement, placements
from inferd.inference.warmup import Sample, samples, warm_up
from inferd.runtime.external_data import check_external_data
from inferd.runtime.session import Session, gpu_available
from inferd.runtime.signature import Signature

MICRO = 1e-6


@dataclass(frozen=True, slots=True)
class Source:
    """What to load."""

    name: str
    number: int
    files: VersionFiles
    #: Nothing that belongs to the model lies outside of it.
    directory: Path
    #: None: everything comes from the graph.
    config: ModelConfig | None

    def model_path(self) -> Path:
        """Return the ONNX file, or raise `LoadFailed`."""
        return self.files.model_path(self.config.default_model_filename if self.config else "")

    def size(self) -> int:
        """Return the bytes on disk: what a session of it takes in memory, about."""
        return sum(size for _, size, _, _ in self.files.stamp)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A version whose sessions have run at every size."""

    config: ModelConfig
    signature: Signature
    policy: Policy
    #: Each with the number of instances that share it.
    sessions: tuple[tuple[Session, Placement], ...]
    #: Seconds of a whole batch, and of the model alone.
    latency: LatencyModel
    run_time: RunTime
    memory_bytes: int


class Loader:
    """Loads versions as the server's configuration says."""

    def __init__(self, inference: Inference, runtime: Runtime, *, cores: int, clock: Clock) -> None:
        self._inference = inference
        self._runtime = runtime
        self._cores = cores
        self._clock = clock

    def load(self, source: Source, warming: Callable[[], None]) -> Loaded:
        """Load and warm up a version; `warming` is called in between.

        Raises `LoadFailed`, naming the file or the field, and why.
        """
        model = source.model_path()
        size = check_external_data(model, within=source.directory)
        placed = placements(
            source.config or ModelConfig(),
            self._runtime,
            cores=self._cores,
            gpus=gpu_available(),
        )
        sessions = tuple((Session(model, each.settings), each) for each in placed)
        config, signature = complete(
            source.config,
            sessions[0][0].graph,
            model=source.name,
            default_max_batch_size=self._inference.default_max_batch_size,
            labels=lambda filename: read_labels(source.directory, filename),
        )
        policy = policy_of(config, signature, self._inference, sum(e.instances for e in placed))
        warming()
        buckets = buckets_of(policy.max_batch, policy.preferred)
        latency, run_time = LatencyModel(buckets), RunTime(buckets)
        requests = list(samples(signature, config.model_warmup, source.directory, buckets))
        for session, _ in sessions:
            self._warm(session, signature, requests, latency, run_time)
        return Loaded(config, signature, policy, sessions, latency, run_time, size * len(sessions))

    def _warm(
        self,
        session: Session,
        signature: Signature,
        requests: list[Sample],
        latency: LatencyModel,
        run_time: RunTime,
    ) -> None:
        warm_up(
            session,
            signature,
            requests,
            runs=self._inference.warmup_runs,
            latency=(latency, run_time),
            clock=self._clock,
        )


def policy_of(
    config: ModelConfig, signature: Signature, inference: Inference, instances: int
) -> Policy:
    """Return how a model's requests are scheduled, from its configuration and the server's."""
    batching = config.dynamic_batching or DynamicBatching()
    queues = batching.priority_queue_policy
    if any(each.timeout_action == "DELAY" for each in (*queues.values(), _default(batching))):
        raise LoadFailed(
            "dynamic_batching.timeout_action: DELAY is not supported; a request that waited"
            " too long is dropped"
        )
    default = _default(batching)
    return Policy(
        max_batch=max(signature.max_batch_size, 1),
        instances=instances,
        max_queue=config.options.max_queue or inference.max_queue,
        max_delay_s=batching.max_queue_delay_microseconds * MICRO,
        preferred=batching.preferred_batch_size,
        guard_s=inference.guard_ms / 1000,
        preserve_ordering=batching.preserve_ordering,
        levels=batching.priority_levels,
        default_level=batching.default_priority_level,
        default_limits=_level(default) if batching.default_queue_policy else Level(),
        limits={level: _level(each) for level, each in queues.items()},
    )


def _default(batching: DynamicBatching) -> QueuePolicy:
    return batching.default_queue_policy or QueuePolicy()


def _level(policy: QueuePolicy) -> Level:
    return Level(
        max_queue=policy.max_queue_size,
        timeout_s=policy.default_timeout_microseconds * MICRO,
        allow_timeout_override=policy.allow_timeout_override,
    )
