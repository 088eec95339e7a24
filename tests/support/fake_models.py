"""Models for tests: they answer with what the test says, and remember what they were asked."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferd.call import Call
from inferd.errors import NotFound
from inferd.inference.repository.model_config import ModelConfig, config_from
from inferd.inference.version import State
from inferd.runtime.datatypes import BY_NAME
from inferd.runtime.signature import Signature, Tensor
from inferd.telemetry.statistics import ModelStatistics

Arrays = Mapping[str, NDArray[Any]]


def tensor(name: str, datatype: str, *shape: int, **options: Any) -> Tensor:
    """Return a tensor of the protocol's datatype of that name."""
    return Tensor(name, BY_NAME[datatype], shape, **options)


def config(name: str, **parameters: str) -> ModelConfig:
    """Return a configuration with these `inferd.*` parameters."""
    given = {f"inferd.{key}": {"string_value": value} for key, value in parameters.items()}
    return config_from({"parameters": given}, model=name)


class Asked(NamedTuple):
    """What one call of `infer` was given."""

    inputs: dict[str, NDArray[Any]]
    rows: int
    outputs: tuple[str, ...]
    call: Call
    priority: int
    timeout_s: float | None


class FakeInstances:
    """Instances that are all well."""

    def trouble(self) -> str:
        return ""


class FakeVersion:
    """A version that answers `run(inputs)`; by default each output is zeros for each row."""

    def __init__(
        self,
        name: str = "m",
        version: str = "1",
        *,
        inputs: Sequence[Tensor] = (tensor("x", "FP32", -1, 2),),
        outputs: Sequence[Tensor] = (tensor("y", "FP32", -1, 1),),
        max_batch_size: int = 4,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.number = int(version)
        self.labels: tuple[str, ...] = ()
        self.ready = self.in_service = True
        self.instances = FakeInstances()
        self.config = config(name, **(parameters or {}))
        self.signature = Signature(tuple(inputs), tuple(outputs), max_batch_size)
        self.statistics = ModelStatistics(
            name, version, latency_bounds_s=(0.001, 1.0), batch_bounds=(1, 2, 4)
        )
        self.statistics.state = "READY"
        self.asked: list[Asked] = []
        self.run: Callable[[Arrays], Any] = self.zeros

    def zeros(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        rows = next(iter(inputs.values())).shape[0]
        return {
            each.name: np.zeros((rows, *each.shape[1:]), each.datatype.numpy)
            for each in self.signature.outputs
        }

    async def infer(
        self,
        inputs: Arrays | Callable[[], Arrays],
        *,
        rows: int,
        outputs: Sequence[str],
        call: Call,
        priority: int = 0,
        timeout_s: float | None = None,
    ) -> Arrays:
        arrays = inputs() if callable(inputs) else inputs
        asked = Asked(dict(arrays), rows, tuple(outputs), call, priority, timeout_s)
        self.asked.append(asked)
        answer = self.run(arrays)
        arrays = await answer if hasattr(answer, "__await__") else answer
        return {name: arrays[name] for name in outputs}


class Entry(NamedTuple):
    """A line of the index."""

    name: str
    version: str
    state: State
    reason: str


class FakeModels:
    """The models of a server, all of them ready."""

    def __init__(self, *versions: FakeVersion) -> None:
        self.versions = list(versions)
        self.entries = [Entry(each.name, each.version, State.READY, "") for each in versions]
        self.serving = True
        self.listeners: list[Callable[[], None]] = []
        self.done: list[tuple[Any, ...]] = []

    def find(self, name: str, version: str = "", call: Call | None = None) -> FakeVersion | None:
        found = [
            each
            for each in self.versions
            if each.name == name and version in {"", each.version, *each.labels}
        ]
        return max(found, key=lambda each: each.number, default=None)

    async def get(self, name: str, version: str = "") -> FakeVersion:
        found = self.find(name, version)
        if found is None:
            raise NotFound(f"Request for unknown model: '{name}' is not found")
        return found

    def is_ready(self, name: str, version: str = "") -> bool:
        return self.find(name, version) is not None

    def index(self, *, ready_only: bool = False) -> list[Entry]:
        return [each for each in self.entries if not ready_only or each.state == State.READY]

    def statistics(self, name: str = "", version: str = "") -> list[FakeVersion]:
        return [
            each
            for each in self.versions
            if name in {"", each.name} and version in {"", each.version}
        ]

    async def load(
        self, name: str, *, config: str | None = None, files: Mapping[str, bytes] | None = None
    ) -> None:
        self.done.append(("load", name, config, files))

    async def unload(self, name: str) -> None:
        self.done.append(("unload", name))

    def watch(self, listener: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)
