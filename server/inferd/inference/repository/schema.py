"""What `config.pbtxt` may say, in Triton's field names: the part of it that inferd does.

The types say what one field may hold; what fields may not say together is in
`contradictions`, and what inferd does not do at all is in `unsupported`. A field that is
left out stays out here: `completion` fills it in from the graph.

Two things are accepted and change nothing, because tools write them and no answer
depends on them: the names of instance groups, and Triton's hints about copying
(`input_pinned_memory`, `output_pinned_memory`, `gather_kernel_buffer_threshold`,
`eager_batching`).
"""

from functools import cached_property
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from inferd.inference.repository.accelerators import Accelerators, accelerators_from
from inferd.inference.repository.parameters import Options, options_from
from inferd.inference.repository.problems import Problem
from inferd.runtime.datatypes import BY_CONFIG

PLATFORM = "onnxruntime_onnx"
BACKEND = "onnxruntime"
MODEL_FILENAME = "model.onnx"

#: More sessions of one model, or more priority levels, than any machine has use for.
MAX_INSTANCES = 256
MAX_PRIORITY_LEVELS = 256

T = TypeVar("T")
Many = Annotated[tuple[T, ...], Strict(False)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
UInt32 = Annotated[int, Field(ge=0, lt=2**32)]
UInt64 = Annotated[int, Field(ge=0, lt=2**64)]


def _known_data_type(name: str) -> str:
    if name not in BY_CONFIG:
        raise ValueError(f"should be one of {', '.join(BY_CONFIG)}")
    return name


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("should be valid Unicode") from None
    return text


Text = Annotated[str, AfterValidator(_encodable)]
DataTypeName = Annotated[str, AfterValidator(_known_data_type)]


class Part(BaseModel):
    """The manners that all parts share."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )


class Input(Part):
    """One input of the graph."""

    name: Text = ""
    data_type: DataTypeName | None = None
    """None: the graph's."""
    dims: Many[Int64] = ()
    """Without the batch dimension, -1 is any. Empty: the graph's."""
    optional: bool = False
    """Requests may leave it out; the graph must have a default for it."""
    allow_ragged_batch: bool = False
    """Requests of different shapes share a batch: the graph gets all elements in one flat list."""


class Output(Part):
    """One output of the graph that is served."""

    name: Text = ""
    data_type: DataTypeName | None = None
    """None: the graph's."""
    dims: Many[Int64] = ()
    """Without the batch dimension, -1 is any. Empty: the graph's."""
    label_filename: Text = ""
    """A file in the model's directory, one label per line, for the classification extension."""


class BatchInput(Part):
    """An input of the graph that no request carries: it tells of the requests in a batch."""

    kind: Literal[
        "BATCH_ELEMENT_COUNT",
        "BATCH_ACCUMULATED_ELEMENT_COUNT",
        "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO",
        "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE",
        "BATCH_ITEM_SHAPE",
        "BATCH_ITEM_SHAPE_FLATTEN",
    ] = "BATCH_ELEMENT_COUNT"
    target_name: Many[Text] = ()
    """Inputs of the graph; all get the same."""
    data_type: DataTypeName | None = None
    """TYPE_INT32 or TYPE_FP32."""
    source_input: Many[Text] = ()
    """The one input that it tells of."""


class BatchOutput(Part):
    """An output of the graph that is one flat list, to be cut into the shapes of an input."""

    kind: Literal["BATCH_SCATTER_WITH_INPUT_SHAPE"] = "BATCH_SCATTER_WITH_INPUT_SHAPE"
    target_name: Many[Text] = ()
    source_input: Many[Text] = ()
    """The one input whose sizes replace the -1 in an output's dims."""


class Latest(Part):
    """Serve the highest version numbers."""

    num_versions: Annotated[UInt32, Field(ge=1)] = 1


class All(Part):
    """Serve every version."""


class Specific(Part):
    """Serve the versions that are listed."""

    versions: Many[Annotated[Int64, Field(ge=1)]] = ()


class VersionPolicy(Part):
    """Which of the versions on disk are served: one of the three."""

    latest: Latest | None = None
    all: All | None = None
    specific: Specific | None = None


class InstanceGroup(Part):
    """Sessions of the model on one kind of device."""

    name: Text = ""
    kind: Literal["KIND_AUTO", "KIND_GPU", "KIND_CPU"] = "KIND_AUTO"
    count: Annotated[Int32, Field(ge=0, le=MAX_INSTANCES)] = 1
    """Sessions per device. 0 is 1."""
    gpus: Many[Annotated[Int32, Field(ge=0)]] = ()
    """Device numbers. Empty: device 0, for ONNX Runtime does not say how many there are."""


class QueuePolicy(Part):
    """Limits of a priority level."""

    timeout_action: Literal["REJECT", "DELAY"] = "REJECT"
    """What becomes of a request that has waited too long: it is given up, or goes behind the
    others of its level."""
    default_timeout_microseconds: UInt64 = 0
    """How long a request may wait. 0: until its deadline."""
    allow_timeout_override: bool = False
    """Whether a request's `timeout` parameter may shorten that."""
    max_queue_size: UInt32 = 0
    """Requests that wait at most. 0: only the server's own bound."""


class DynamicBatching(Part):
    """How requests are grouped."""

    preferred_batch_size: Many[Int32] = ()
    max_queue_delay_microseconds: UInt64 = 0
    """How long the first request may wait for company."""
    preserve_ordering: bool = False
    priority_levels: Annotated[UInt64, Field(le=MAX_PRIORITY_LEVELS)] = 0
    """1 is the most urgent. 0: no priorities."""
    default_priority_level: UInt64 = 0
    default_queue_policy: QueuePolicy | None = None
    priority_queue_policy: dict[UInt64, QueuePolicy] = Field(default_factory=dict)


class WarmupInput(Part):
    """One made-up input. Exactly one of the last three."""

    data_type: DataTypeName | None = None
    dims: Many[Annotated[Int64, Field(ge=0)]] = ()
    """Without the batch dimension."""
    zero_data: bool = False
    random_data: bool = False
    input_data_file: Text = ""
    """A file in `warmup/` of the model's directory."""


class Warmup(Part):
    """A request that is run before the version is ready."""

    name: Text = ""
    batch_size: UInt32 = 0
    inputs: dict[Text, WarmupInput] = Field(default_factory=dict)
    count: Annotated[UInt32, Field(le=10_000)] = 0
    """How often. 0 is once."""


class GraphOptimization(Part):
    """How far ONNX Runtime rewrites the graph."""

    level: Literal[-1, 0, 1, 2] = 0
    """-1: basic. 0: all. 1: extended. 2: none."""


class PinnedMemory(Part):
    """A hint for Triton."""

    enable: bool = False


class Accelerator(Part):
    """An execution provider beside ONNX Runtime's own for CPUs, and its options."""

    name: Text = ""
    """`tensorrt` or `cuda`."""
    parameters: dict[Text, Text] = Field(default_factory=dict)


class ExecutionAccelerators(Part):
    """What `accelerators` understands. Asking for one is asking for a GPU."""

    gpu_execution_accelerator: Many[Accelerator] = ()
    """TensorRT is tried first, then CUDA, in whatever order they are listed."""
    cpu_execution_accelerator: Many[Accelerator] = ()

    def read(self) -> tuple[Accelerators, list[Problem]]:
        """Return what they ask for, and what is wrong with them."""
        gpu, cpu = (
            [(each.name, each.parameters) for each in listed]
            for listed in (self.gpu_execution_accelerator, self.cpu_execution_accelerator)
        )
        return accelerators_from(gpu, cpu)


class Optimization(Part):
    """Speed, without other answers than rounding gives."""

    graph: GraphOptimization | None = None
    execution_accelerators: ExecutionAccelerators | None = None
    input_pinned_memory: PinnedMemory | None = None
    output_pinned_memory: PinnedMemory | None = None
    gather_kernel_buffer_threshold: UInt32 = 0
    eager_batching: bool = False


class Parameter(Part):
    """A value of `parameters`."""

    string_value: Text = ""


class ModelConfig(Part):
    """Everything that a model says about how it is to be served."""

    name: Text = ""
    platform: Literal["", "onnxruntime_onnx"] = ""
    backend: Literal["", "onnxruntime"] = ""
    version_policy: VersionPolicy | None = None
    max_batch_size: Int32 | None = None
    """Rows in a batch at most. 0: the tensors have no batch dimension. None: the graph decides."""
    input: Many[Input] = ()
    output: Many[Output] = ()
    batch_input: Many[BatchInput] = ()
    batch_output: Many[BatchOutput] = ()
    optimization: Optimization | None = None
    dynamic_batching: DynamicBatching | None = None
    instance_group: Many[InstanceGroup] = ()
    default_model_filename: Text = ""
    metric_tags: dict[Text, Text] = Field(default_factory=dict)
    parameters: dict[Text, Parameter] = Field(default_factory=dict)
    model_warmup: Many[Warmup] = ()

    @cached_property
    def options(self) -> Options:
        """`parameters`, understood."""
        texts = {key: each.string_value for key, each in self.parameters.items()}
        return options_from(texts)[0]

    @cached_property
    def accelerators(self) -> Accelerators:
        """`optimization.execution_accelerators`, understood."""
        given = self.optimization and self.optimization.execution_accelerators
        return given.read()[0] if given else Accelerators()
