"""What the server answers, as plain frozen values.

No protobuf leaves this package but what a caller of `Client.call` brought along.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from inferd_client._errors import RequestFailed
from inferd_client._tensors import Array
from inferd_client._trailing import Degradation, Trailing, degradations

Message = TypeVar("Message")

ParameterValue = bool | int | float | str
Parameters = Mapping[str, ParameterValue]
"""Named values beside the tensors: `bool`, `int` (64 bits, signed or not), `float`, `str`."""

_LATENCY = "x-latency-"


@dataclass(frozen=True, slots=True, eq=False)
class InferResult:
    """A model's answer to one request."""

    model_name: str
    model_version: str
    #: The request's id, echoed.
    id: str
    #: Each output by name, in the shape and datatype that the server gave it. Read-only views.
    outputs: Mapping[str, Array]
    #: Each output's datatype in the protocol's words, e.g. `FP32`.
    datatypes: Mapping[str, str]
    parameters: Parameters
    #: The trailing metadata. Empty for answers on a stream: that has one trailer for them all.
    trailing: Trailing = field(default_factory=dict)

    def __getitem__(self, name: str) -> Array:
        return self.outputs[name]

    @property
    def degraded(self) -> tuple[Degradation, ...]:
        """What the answer had to do without; empty if it is as good as was asked for."""
        return degradations(self.trailing)

    @property
    def latency(self) -> Mapping[str, float]:
        """Where the time went, if the call was made with `explain=True` and the server tells.

        The numbers among the trailing metadata called `x-latency-...`, by the rest of that
        name, which ends in their unit: `{"queue-ms": 1.5}`.
        """
        stages: dict[str, float] = {}
        for key, value in self.trailing.items():
            number = _number(value) if str(key).startswith(_LATENCY) else None
            if number is not None:
                stages[key.removeprefix(_LATENCY)] = number
        return stages


@dataclass(frozen=True, slots=True)
class Answer(Generic[Message]):
    """The answer to `Client.call`."""

    message: Message
    trailing: Trailing

    @property
    def degraded(self) -> tuple[Degradation, ...]:
        """What the answer had to do without; empty if it is as good as was asked for."""
        return degradations(self.trailing)


@dataclass(frozen=True, slots=True, eq=False)
class StreamAnswer:
    """An answer on a stream: a result, or the server's words for why there is none."""

    #: The request's id, as far as the server echoed it.
    id: str
    #: Empty if there is a result.
    error: str
    #: None if there is an error.
    value: InferResult | None

    def result(self) -> InferResult:
        """Return the result.

        Raises:
            RequestFailed: This request failed. The stream goes on.
        """
        if self.value is None:
            raise RequestFailed(self.error)
        return self.value


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """Who answers, and which of the protocol's extensions it implements."""

    name: str
    version: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """An input or output of a model. A size of -1 in the shape may be any."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """A model's inputs and outputs, and the versions of it that are ready."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    #: What else the server says of it. Servers other than inferd leave it empty.
    properties: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ModelState:
    """One version of a model in the repository: `READY`, `LOADING`, `UNAVAILABLE` and why."""

    name: str
    version: str
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something happened and how long that took, all told."""

    count: int
    total_ns: int

    @property
    def mean_s(self) -> float:
        """The mean duration in seconds; zero if it never happened."""
        return self.total_ns / self.count / 1e9 if self.count else 0.0


@dataclass(frozen=True, slots=True)
class BatchStatistics:
    """What the executions of one batch size took."""

    batch_size: int
    compute_input: Tally
    compute_infer: Tally
    compute_output: Tally


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """What one version of a model has done since it was loaded."""

    name: str
    version: str
    #: Milliseconds since the epoch; zero if there was none.
    last_inference_ms: int
    #: Rows inferred, and executions that it took: their ratio is the mean batch size.
    inference_count: int
    execution_count: int
    success: Tally
    fail: Tally
    queue: Tally
    compute_input: Tally
    compute_infer: Tally
    compute_output: Tally
    cache_hit: Tally
    cache_miss: Tally
    batches: tuple[BatchStatistics, ...]


def _number(value: str | bytes) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
