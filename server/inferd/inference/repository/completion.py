"""A configuration and a graph, brought together: each completes the other, and must agree.

The graph decides everything the configuration leaves out. In Triton's spirit: a model
whose tensors all have a dynamic first dimension can batch; `dims` leave that dimension
out when it does; the outputs that are listed are the outputs that are served. What both
say must agree, and every disagreement is told at once.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from inferd.errors import LoadFailed
from inferd.inference.repository.contradictions import contradictions
from inferd.inference.repository.lengths import length_problems
from inferd.inference.repository.model_config import ModelConfig
from inferd.inference.repository.parameters import BATCH_BUCKETS
from inferd.inference.repository.problems import Problems, path_of, shown
from inferd.inference.repository.ragged import made, ragged_problems, scattered
from inferd.inference.repository.schema import (
    BACKEND,
    MODEL_FILENAME,
    PLATFORM,
    DynamicBatching,
    Input,
    InstanceGroup,
    Latest,
    Output,
    VersionPolicy,
)
from inferd.inference.repository.warmups import warmup_problems
from inferd.runtime.datatypes import BY_CONFIG, BY_ONNX, DataType
from inferd.runtime.graph import Graph, GraphTensor
from inferd.runtime.signature import Signature, Tensor

Dims = tuple[int, ...]
BLANK: dict[str, Input | Output] = {"input": Input(), "output": Output()}
"""What a configuration says of a tensor that it does not mention."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """A tensor as the configuration has it (perhaps empty) and as the graph has it."""

    path: str
    given: Input | Output
    graph: GraphTensor
    #: The graph's shape, with -1 for every dimension that is not fixed.
    shape: Dims
    #: In the graph it is one flat list, whatever the requests' shapes.
    flat: bool = False

    @property
    def optional(self) -> bool:
        return isinstance(self.given, Input) and self.given.optional


def complete(
    config: ModelConfig | None,
    graph: Graph,
    *,
    model: str,
    default_max_batch_size: int,
    labels: Callable[[str], tuple[str, ...]],
) -> tuple[ModelConfig, Signature]:
    """Return the whole configuration, and the signature that requests are checked against.

    `labels` reads a `label_filename`. Raises `LoadFailed` naming every disagreement, and
    every tensor whose type has no name in the protocol.
    """
    given = config or ModelConfig(name=model)
    problems = Problems()
    inputs = _inputs(given, graph, problems)
    outputs = _outputs(given, graph, problems)
    max_batch_size = _max_batch_size(given, [*inputs, *outputs], default_max_batch_size)

    signature = Signature(
        inputs=_tensors(inputs, max_batch_size, problems),
        outputs=_labelled(outputs, _tensors(outputs, max_batch_size, problems), labels, problems),
        max_batch_size=max_batch_size,
        batch_sizes=_batch_sizes(given, [*inputs, *outputs], max_batch_size, problems),
    )
    completed = _filled(given, signature, model)
    problems.extend(warmup_problems(completed, signature))
    problems.extend(contradictions(completed))
    problems.extend(ragged_problems(completed, signature, graph))
    problems.extend(length_problems(completed.options, signature, graph))
    problems.raise_for(model)
    return completed, signature


def _inputs(config: ModelConfig, graph: Graph, problems: Problems) -> list[_Pair]:
    """All inputs the graph needs, and those it can do without that are listed."""
    required = {each.name for each in graph.inputs}
    known = (*graph.inputs, *graph.optional_inputs)
    pairs = _pairs("input", config.input, known, problems)
    ours = made(config)
    pairs += _unlisted("input", pairs, [each for each in graph.inputs if each.name not in ours])
    for pair in pairs:
        if pair.optional and pair.graph.name in required:
            problems.add(f"{pair.path}.optional", "must be false: the graph has no default for it")
        if 0 in pair.shape:
            problems.add(pair.path, f"has no elements: its shape in the graph is {[*pair.shape]}")
    return pairs


def _outputs(config: ModelConfig, graph: Graph, problems: Problems) -> list[_Pair]:
    """Only what is listed; without a list, all."""
    pairs = _pairs("output", config.output, graph.outputs, problems)
    pairs = pairs if config.output else _unlisted("output", (), graph.outputs)
    flat = scattered(config)
    return [replace(pair, flat=pair.graph.name in flat) for pair in pairs]


def _pairs(
    field: str,
    listed: Sequence[Input | Output],
    known: Sequence[GraphTensor],
    problems: Problems,
) -> list[_Pair]:
    tensors = {each.name: each for each in known}
    pairs = []
    for index, each in enumerate(listed):
        if each.name in tensors:
            pairs.append(_pair(path_of((field, index)), each, tensors[each.name]))
        else:
            names = ", ".join(shown(name) for name in tensors) or "none"
            problems.add(
                f"{field}[{index}].name",
                f"unexpected inference {field} {shown(each.name)}, allowed {field}s are: {names}",
            )
    return pairs


def _unlisted(field: str, listed: Iterable[_Pair], wanted: Iterable[GraphTensor]) -> list[_Pair]:
    names = {pair.graph.name for pair in listed}
    return [
        _pair(path_of((field, each.name)), BLANK[field], each)
        for each in wanted
        if each.name not in names
    ]


def _pair(path: str, given: Input | Output, graph: GraphTensor) -> _Pair:
    shape = tuple(dim if isinstance(dim, int) and dim >= 0 else -1 for dim in graph.shape)
    if isinstance(given, Output):  # 0 is how some exporters write "any" there
        shape = tuple(dim or -1 for dim in shape)
    return _Pair(path, given, graph, shape, isinstance(given, Input) and given.allow_ragged_batch)


def _max_batch_size(config: ModelConfig, pairs: Sequence[_Pair], default: int) -> int:
    """Rows in a batch. Dims that are given without `max_batch_size` are all there are."""
    if config.max_batch_size is not None:
        return config.max_batch_size
    if any(pair.given.dims for pair in pairs):
        return 0
    sizes = {pair.shape[:1] for pair in pairs}
    if sizes == {(-1,)}:
        return max(config.options.batch_buckets, default=default)
    # A constant may be anything; it counts rows if somebody says that there are batches.
    (fixed,) = sizes.pop() if len(sizes) == 1 and () not in sizes else (0,)
    return fixed if config.dynamic_batching or config.options.batch_buckets else 0


def _batch_sizes(
    config: ModelConfig, pairs: Iterable[_Pair], max_batch_size: int, problems: Problems
) -> Dims:
    """Return the rows that a run may have, if not any: declared, or what the graph fixes."""
    declared = config.options.batch_buckets if max_batch_size else ()
    if max_batch_size < 2 or all(pair.flat or pair.shape[:1] == (-1,) for pair in pairs):
        return declared
    if any(not pair.flat and pair.shape[:1] == (max_batch_size,) for pair in pairs):
        if declared not in ((), (max_batch_size,)):
            text = f"must be {max_batch_size}, at which the graph fixes the batch dimension"
            problems.add(f"parameters['{BATCH_BUCKETS}']", text)
        return (max_batch_size,)
    return declared


def _tensors(pairs: Iterable[_Pair], max_batch_size: int, problems: Problems) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=pair.graph.name,
            datatype=_datatype(pair, problems),
            shape=_shape(pair, max_batch_size, problems),
            optional=pair.optional,
            ragged=pair.flat and isinstance(pair.given, Input),
        )
        for pair in pairs
    )


def _datatype(pair: _Pair, problems: Problems) -> DataType:
    found = BY_ONNX.get(pair.graph.onnx_type)
    given = pair.given.data_type
    if found is None:
        way_out = "; list the outputs you need" if isinstance(pair.given, Output) else ""
        problems.add(
            pair.path,
            f"{shown(pair.graph.name)} has the type {shown(pair.graph.onnx_type)} in the graph,"
            f" which no request or response can carry{way_out}",
        )
        return BY_CONFIG["TYPE_FP32"]
    if given is not None and given != found.config:
        problems.add(f"{pair.path}.data_type", f"is {given}, but the graph has {found.config}")
    return found


def _shape(pair: _Pair, max_batch_size: int, problems: Problems) -> Dims:
    """Return the shape that requests are checked against, batch dimension included."""
    rows: Dims = (-1,) if max_batch_size else ()
    if pair.flat:
        _check_flat(pair, problems)
        return (-1, *pair.given.dims)
    if max_batch_size and not _can_batch(pair, max_batch_size, problems):
        return pair.shape
    if not pair.given.dims:
        return (*rows, *pair.shape[len(rows) :])
    shape = (*rows, *pair.given.dims)
    _check_dims(pair, shape, max_batch_size, problems)
    return shape


def _can_batch(pair: _Pair, max_batch_size: int, problems: Problems) -> bool:
    name, shape = shown(pair.graph.name), [*pair.shape]
    if not shape and not pair.given.dims:
        text = f"the graph says no shape of {name}: set its dims, or max_batch_size to 0"
    elif shape and shape[0] not in (-1, max_batch_size):
        text = (
            f"the graph fixes the batch dimension of {name} at {shape[0]} (its shape is {shape}):"
            f" set max_batch_size to {shape[0]}, which smaller batches are filled up to, or to 0,"
            " or export it with a dynamic first dimension"
        )
    else:
        return True
    problems.add(pair.path, text)
    return False


def _check_flat(pair: _Pair, problems: Problems) -> None:
    """Tell of a ragged input that is not one list of any length in the graph."""
    if isinstance(pair.given, Input) and pair.shape not in ((-1,), ()):
        problems.add(
            f"{pair.path}.allow_ragged_batch",
            f"needs one variable dimension in the graph, which has {[*pair.shape]}",
        )


def _check_dims(pair: _Pair, shape: Dims, max_batch_size: int, problems: Problems) -> None:
    """Compare with the graph, which may know more dimensions than it says: those are -1."""
    graph = pair.shape
    if not graph:
        if not max_batch_size and any(dim != 1 for dim in shape):
            problems.add(f"{pair.path}.dims", f"are {[*shape]}, but the graph has a scalar")
        return
    free = isinstance(pair.given, Output)
    rows = 1 if max_batch_size else 0  # how many leading dimensions have been looked at already
    if len(graph) == len(shape) and all(
        known in (-1, dim) or (free and dim == -1)
        for known, dim in zip(graph[rows:], shape[rows:], strict=True)
    ):
        return
    how = (
        f"with the batch dimension (max_batch_size is {max_batch_size}) {[*shape]}"
        if max_batch_size
        else f"{[*shape]} (max_batch_size is 0, so they have every dimension)"
    )
    problems.add(f"{pair.path}.dims", f"are {how}, but the graph has {[*graph]}")


def _labelled(
    pairs: Iterable[_Pair],
    tensors: Iterable[Tensor],
    read: Callable[[str], tuple[str, ...]],
    problems: Problems,
) -> tuple[Tensor, ...]:
    labelled = []
    for pair, tensor in zip(pairs, tensors, strict=True):
        labels: tuple[str, ...] = ()
        filename = pair.given.label_filename if isinstance(pair.given, Output) else ""
        if filename:
            try:
                labels = read(filename)
            except LoadFailed as failure:
                problems.add(f"{pair.path}.label_filename", str(failure))
        labelled.append(replace(tensor, labels=labels))
    return tuple(labelled)


def _filled(given: ModelConfig, signature: Signature, model: str) -> ModelConfig:
    """Return the configuration with everything in it, as `ModelConfig` RPCs show it."""
    batching = given.dynamic_batching
    if batching is None and given.max_batch_size is None and signature.max_batch_size > 1:
        batching = DynamicBatching()
    groups = given.instance_group or (InstanceGroup(name=model),)
    return given.model_copy(
        update={
            "name": model,
            "platform": PLATFORM,
            "backend": BACKEND,
            "version_policy": given.version_policy or VersionPolicy(latest=Latest()),
            "max_batch_size": signature.max_batch_size,
            "input": tuple(
                Input(
                    name=each.name,
                    data_type=each.datatype.config,
                    dims=_dims(each, signature),
                    optional=each.optional,
                    allow_ragged_batch=each.ragged,
                )
                for each in signature.inputs
            ),
            "output": tuple(
                Output(
                    name=each.name,
                    data_type=each.datatype.config,
                    dims=_dims(each, signature),
                    label_filename=_label_filename(given, each.name),
                )
                for each in signature.outputs
            ),
            "dynamic_batching": batching,
            "instance_group": tuple(
                group.model_copy(
                    update={"name": group.name or f"{model}_{index}", "count": group.count or 1}
                )
                for index, group in enumerate(groups)
            ),
            "default_model_filename": given.default_model_filename or MODEL_FILENAME,
        }
    )


def _dims(tensor: Tensor, signature: Signature) -> Dims:
    return tensor.shape[1:] if signature.batches else tensor.shape


def _label_filename(config: ModelConfig, output: str) -> str:
    return next((each.label_filename for each in config.output if each.name == output), "")
