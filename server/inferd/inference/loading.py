"""Loading one model version: files in, warm sessions out. Blocks, and belongs on a thread."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inferd.config import Inference, Runtime
from inferd.deadline import Clock
from inferd.errors import InferdError, LoadFailed
from inferd.inference.cores import Cores
from inferd.inference.packing import Lengths, Packing
from inferd.inference.packing.chosen import packing_of
from inferd.inference.packing.latency import PaddedLatency
from inferd.inference.recordings import recordings
from inferd.inference.repository.completion import complete
from inferd.inference.repository.layout import VersionFiles, read_labels, require_unchanged
from inferd.inference.repository.model_config import ModelConfig
from inferd.inference.repository.schema import DynamicBatching, QueuePolicy
from inferd.inference.request import Tensors
from inferd.inference.scheduling import LatencyModel, Level, Mode, Policy, RunTime, buckets_of
from inferd.inference.session_settings import Placement, on_own_cores, placements
from inferd.inference.warmup import Sample, as_request, of_buckets, of_config, recorded, warm_up
from inferd.runtime.external_data import check_external_data
from inferd.runtime.session import Session, gpu_available, require_provider
from inferd.runtime.signature import Signature

log = logging.getLogger(__name__)

MICRO = 1e-6

Decode = Callable[[bytes, Signature, str], Tensors]
"""Turns a recorded request to the named model into its inputs, or raises an `InferdError`."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A version whose sessions have run at every size."""

    config: ModelConfig
    signature: Signature
    packing: Packing
    policy: Policy
    #: Each with the number of instances that share it.
    sessions: tuple[tuple[Session, Placement], ...]
    #: Seconds of a whole batch, and of the model alone.
    latency: LatencyModel
    run_time: RunTime
    #: Of one session.
    session_bytes: int
    #: A request that every session has answered.
    trial: Sample

    def without_sessions(self) -> "Loaded":
        """Return all that is known, for those who must not keep sessions alive."""
        return replace(self, sessions=())


class Loader:
    """Loads versions as the server's configuration says. Without `decode`, records are left."""

    def __init__(
        self,
        inference: Inference,
        runtime: Runtime,
        *,
        cores: int,
        clock: Clock,
        own_cores: Sequence[int] = (),
        decode: Decode | None = None,
    ) -> None:
        """Take what the machine has: `cores` in number, `own_cores` to keep threads to, if any."""
        self._inference = inference
        self._runtime = runtime
        #: How far the threads of a model give way to others.
        self.niceness = runtime.niceness
        self._cores = cores
        self._own_cores = Cores(own_cores)
        self._clock = clock
        self._decode = decode

    def memory_of(self, source: Source) -> int:
        """Return the bytes that a version will take, about, before it is loaded."""
        return source.size() * len(self._placements(source))

    def load(self, source: Source, warming: Callable[[], None]) -> Loaded:
        """Load and warm up a version; `warming` is called in between.

        Raises `LoadFailed`, naming the file or the field, and why.
        """
        model = source.model_path()
        # Links may lead wherever the rest of the repository's may: within it.
        size = check_external_data(model, within=source.directory.parent)
        placed = self._placed(source)
        for placement in placed:
            _prepare(placement, source.directory)
        sessions = tuple((Session(model, each.settings), each) for each in placed)
        config, signature = complete(
            source.config,
            sessions[0][0].graph,
            model=source.name,
            default_max_batch_size=self._inference.default_max_batch_size,
            labels=lambda filename: read_labels(source.directory, filename),
        )
        packing, lengths = packing_of(config, signature)
        policy = policy_of(config, signature, self._inference, sum(e.instances for e in placed))
        warming()
        buckets = signature.batch_sizes or buckets_of(policy.max_batch, policy.preferred)
        padded = PaddedLatency if signature.batch_sizes else LatencyModel
        latency, run_time = padded(buckets), RunTime(buckets)
        requests = self._requests(source, config, signature, buckets, lengths)
        doubts = [
            doubt
            for session, _ in sessions
            for doubt in warm_up(
                session,
                signature,
                requests,
                packing=packing,
                runs=self._inference.warmup_runs,
                largest=buckets[-1],
                latency=latency,
                run_time=run_time,
                clock=self._clock,
            )
        ]
        if doubts and config.options.finite_outputs:
            raise LoadFailed(
                f"{doubts[0]}, and inferd.finite_outputs is true; declare a model_warmup that"
                " makes sense to it"
            )
        if doubts:
            name, number = source.name, source.number
            text = "%s/%d: %s; the inputs were made up, so it may mean nothing"
            log.warning(text, name, number, doubts[0])
        return Loaded(
            config=config,
            signature=signature,
            packing=packing,
            policy=policy,
            sessions=sessions,
            latency=latency,
            run_time=run_time,
            session_bytes=size,
            trial=as_request(requests[0], signature),
        )

    def another(self, source: Source, loaded: Loaded, placement: Placement) -> Session:
        """Return one more session of a version, as warm as those that it was loaded with.

        Raises `LoadFailed`, also when its files are not those any more.
        """
        require_unchanged(source.files, root=source.directory.parent)
        _prepare(placement, source.directory)
        session = Session(source.model_path(), placement.settings)
        buckets = loaded.latency.buckets
        _, lengths = packing_of(loaded.config, loaded.signature)
        warm_up(
            session,
            loaded.signature,
            self._requests(source, loaded.config, loaded.signature, buckets, lengths),
            packing=loaded.packing,
            runs=0,  # how long they take is known
            largest=buckets[-1],
            latency=loaded.latency,
            run_time=loaded.run_time,
            clock=self._clock,
        )
        return session

    def _requests(
        self,
        source: Source,
        config: ModelConfig,
        signature: Signature,
        buckets: Sequence[int],
        lengths: Lengths | None,
    ) -> list[Sample]:
        """Return everything that a session must have run before it serves."""
        requests = [*self._written(source, config, signature)]
        requests += of_buckets(signature, buckets, like=requests, lengths=lengths)
        return requests

    def _placed(self, source: Source) -> list[Placement]:
        """Return the placements, with cores for each instance if that is wanted and possible."""
        placed = self._placements(source)
        if not self._runtime.pin_cores or sum(each.instances for each in placed) < 2:
            return placed
        placed = on_own_cores(placed, self._own_cores)
        cores = [each for placement in placed for each in placement.cores if each]
        text = "%s/%d: cores of the instances, each its own: %s"
        log.info(text, source.name, source.number, cores or "none, there are too few")
        return placed

    def _placements(self, source: Source) -> list[Placement]:
        return placements(
            source.config or ModelConfig(),
            self._runtime,
            cores=self._cores,
            gpus=gpu_available(),
            directory=source.directory,
        )

    def _written(
        self, source: Source, config: ModelConfig, signature: Signature
    ) -> Iterator[Sample]:
        """Return the requests to warm up with that somebody wrote down: recorded or declared."""
        yield from self._recorded(source, config, signature)
        yield from of_config(signature, config.model_warmup, source.directory)

    def _recorded(
        self, source: Source, config: ModelConfig, signature: Signature
    ) -> Iterable[Sample]:
        if self._decode is None:
            return
        data = {
            each.input_data_file
            for warmup in config.model_warmup
            for each in warmup.inputs.values()
        }
        for name, content in recordings(source.directory, but=data):
            try:
                inputs = self._decode(content, signature, source.name)
            except InferdError as error:
                raise LoadFailed(f"warmup/{name}: {error}") from error
            yield from recorded(f"warmup/{name}", signature, inputs)


def _prepare(placement: Placement, directory: Path) -> None:
    """See to it that a session's providers are there, and the directories they need."""
    for provider in placement.settings.providers:
        require_provider(provider)
    for path in placement.directories:
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise LoadFailed(f"cannot make {path.name}: {error.strerror}") from error
        if Path(os.path.realpath(path)).parent != Path(os.path.realpath(directory)):
            raise LoadFailed(f"{path.name} is a link that leads out of the model's directory")


def policy_of(
    config: ModelConfig, signature: Signature, inference: Inference, instances: int
) -> Policy:
    """Return how a model's requests are scheduled, from its configuration and the server's."""
    batching = config.dynamic_batching or DynamicBatching()
    default = batching.default_queue_policy
    queues = batching.priority_queue_policy
    return Policy(
        mode=Mode(config.options.scheduling or inference.scheduling),
        max_batch=max(signature.max_batch_size, 1),
        instances=instances,
        max_queue=config.options.max_queue or inference.max_queue,
        max_delay_s=batching.max_queue_delay_microseconds * MICRO,
        preferred=batching.preferred_batch_size,
        guard_s=inference.guard_ms / 1000,
        preserve_ordering=batching.preserve_ordering,
        levels=batching.priority_levels,
        default_level=batching.default_priority_level,
        default_limits=_level(default) if default else Level(),
        limits={level: _level(each) for level, each in queues.items()},
        shares=dict(inference.client_weights.items()),
    )


def _level(policy: QueuePolicy) -> Level:
    return Level(
        max_queue=policy.max_queue_size,
        timeout_s=policy.default_timeout_microseconds * MICRO,
        delays=policy.timeout_action == "DELAY",
        allow_timeout_override=policy.allow_timeout_override,
    )
