"""From a model's configuration to the ONNX Runtime sessions that serve it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from inferd.config import Runtime
from inferd.inference.cores import Cores
from inferd.inference.repository.accelerators import DIRECTORIES
from inferd.inference.repository.model_config import ModelConfig
from inferd.inference.repository.schema import InstanceGroup
from inferd.runtime.settings import CPU, Optimization, Provider, SessionSettings

#: Triton's numbers for `optimization.graph.level`.
LEVELS = {
    -1: Optimization.BASIC,
    0: Optimization.ALL,
    1: Optimization.EXTENDED,
    2: Optimization.OFF,
}

CPU_DEVICE = "cpu"
#: ONNX Runtime's name for which core each of a session's threads is kept to.
AFFINITIES = "session.intra_op_thread_affinities"


@dataclass(frozen=True, slots=True)
class Placement:
    """One session and the number of instances (threads) that run it."""

    settings: SessionSettings
    instances: int
    #: E.g. `cpu` or `gpu:1`.
    device: str
    #: Directories that a provider reads and writes.
    directories: tuple[Path, ...] = ()
    #: For each instance, the cores that are its own. Empty: none has any.
    cores: tuple[tuple[int, ...], ...] = ()


def placements(
    config: ModelConfig, runtime: Runtime, *, cores: int, gpus: bool, directory: Path
) -> list[Placement]:
    """Return the sessions to create for a model, whose directory is `directory`.

    Instances on the CPU share one session, and so its weights, when each runs on a single
    thread; a session with threads of its own serves one instance, or they would queue for
    the same threads. Instances on a GPU share that device's session.
    """
    groups = config.instance_group or (InstanceGroup(),)
    counted = [(group, max(group.count, 1)) for group in groups]
    gpus = gpus or config.accelerators.asked
    on_cpu = sum(count for group, count in counted if not _wants_gpu(group, gpus))
    threads = _threads(config, runtime, cores=cores, instances=on_cpu)
    placed: list[Placement] = []
    for group, count in counted:
        if _wants_gpu(group, gpus):
            placed += _on_gpus(config, runtime, group, count, directory)
        elif threads == 1:
            placed.append(Placement(_settings(config, runtime, 1, (CPU,)), count, CPU_DEVICE))
        else:
            settings = _settings(config, runtime, threads, (CPU,))
            placed += [Placement(settings, 1, CPU_DEVICE) for _ in range(count)]
    return placed


def on_own_cores(placed: Sequence[Placement], cores: Cores) -> list[Placement]:
    """Return the placements with cores for each instance on the CPU, where there are several.

    The first core of an instance is for its own thread, the others for its session's, which do
    the first part of the work on the thread that calls them. What a model's configuration says
    of its threads' cores goes first.
    """
    on_cpu = [each for each in placed if each.device == CPU_DEVICE]
    wanted = [each.settings.intra_op_threads for each in on_cpu for _ in range(each.instances)]
    if len(wanted) < 2 or any(AFFINITIES in each.settings.entries for each in on_cpu):
        return [*placed]
    dealt = iter(cores.deal(wanted))
    return [
        _kept_to(each, tuple(islice(dealt, each.instances))) if each in on_cpu else each
        for each in placed
    ]


def _kept_to(placement: Placement, cores: tuple[tuple[int, ...], ...]) -> Placement:
    others = cores[0][1:]  # a session with threads of its own serves one instance
    if not others:
        return replace(placement, cores=cores)
    # ONNX Runtime counts cores from 1.
    affinities = {AFFINITIES: ";".join(str(core + 1) for core in others)}
    settings = replace(placement.settings, entries={**placement.settings.entries, **affinities})
    return replace(placement, settings=settings, cores=cores)


def _wants_gpu(group: InstanceGroup, gpus: bool) -> bool:
    """Whether a group runs on a GPU; KIND_AUTO does where there is one, or should be."""
    return group.kind == "KIND_GPU" or (group.kind == "KIND_AUTO" and (gpus or bool(group.gpus)))


def _threads(config: ModelConfig, runtime: Runtime, *, cores: int, instances: int) -> int:
    """Return the threads of one run: what the model asks for, never above the cores there are."""
    asked = config.options.intra_op_threads or runtime.intra_op_threads
    return max(1, min(asked or cores // max(instances, 1), cores))


def _on_gpus(
    config: ModelConfig, runtime: Runtime, group: InstanceGroup, count: int, directory: Path
) -> list[Placement]:
    tensorrt = _absolute(config.accelerators.tensorrt or {}, directory)
    used = tuple(sorted({Path(value) for key, value in tensorrt.items() if key in DIRECTORIES}))
    cuda = {**config.options.cuda, **(config.accelerators.cuda or {})}
    placed = []
    for number in group.gpus or (0,):
        device = {"device_id": str(number)}
        providers = [Provider("CUDAExecutionProvider", cuda | device), CPU]
        if config.accelerators.tensorrt is not None:
            providers.insert(0, Provider("TensorrtExecutionProvider", tensorrt | device))
        settings = _settings(config, runtime, 1, providers)
        placed.append(Placement(settings, count, f"gpu:{number}", used))
    return placed


def _absolute(options: Mapping[str, str], directory: Path) -> dict[str, str]:
    return {
        key: str(directory.absolute() / value) if key in DIRECTORIES else value
        for key, value in options.items()
    }


def _settings(
    config: ModelConfig, runtime: Runtime, threads: int, providers: Sequence[Provider]
) -> SessionSettings:
    options = config.options
    graph = config.optimization.graph if config.optimization else None
    return SessionSettings(
        intra_op_threads=threads,
        inter_op_threads=options.inter_op_threads or runtime.inter_op_threads,
        parallel=options.parallel,
        optimization=LEVELS[graph.level if graph else 0],
        spinning=runtime.spinning,
        memory_arena=options.memory_arena,
        # ONNX Runtime plans memory for one order of operators only.
        memory_pattern=options.memory_pattern and not options.parallel,
        arena_shrinkage=options.arena_shrinkage,
        entries=options.session,
        providers=tuple(providers),
    )
