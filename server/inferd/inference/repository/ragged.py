"""`allow_ragged_batch`, `batch_input` and `batch_output`: what they may say, and of which graph."""

from collections.abc import Iterator

from inferd.inference.repository.problems import Problem, shown
from inferd.inference.repository.schema import BatchInput, BatchOutput, ModelConfig
from inferd.runtime.datatypes import BY_ONNX
from inferd.runtime.graph import Graph
from inferd.runtime.signature import Signature, Tensor

DATA_TYPES = ("TYPE_INT32", "TYPE_FP32")


def is_ragged(config: ModelConfig) -> bool:
    """Whether batches are more than rows under rows."""
    flat = any(each.allow_ragged_batch for each in config.input)
    return bool(flat or config.batch_input or config.batch_output)


def made(config: ModelConfig) -> frozenset[str]:
    """Return the graph's inputs that no request carries."""
    return frozenset(name for each in config.batch_input for name in each.target_name)


def scattered(config: ModelConfig) -> frozenset[str]:
    """Return the graph's outputs that come as one flat list."""
    return frozenset(name for each in config.batch_output for name in each.target_name)


def ragged_contradictions(config: ModelConfig) -> Iterator[Problem]:
    """Yield what a configuration says of ragged batches that it cannot mean."""
    if is_ragged(config) and not (config.max_batch_size or 0) >= 1:
        yield "max_batch_size", "must be at least 1 where batches are ragged"
    for index, each in enumerate(config.input):
        if each.allow_ragged_batch and not each.dims:
            yield f"input[{index}].dims", "are needed where allow_ragged_batch is true"
        if each.name in made(config):
            yield f"input[{index}].name", f"{shown(each.name)} is a target of batch_input"
    seen: set[str] = set()
    for index, made_input in enumerate(config.batch_input):
        where = f"batch_input[{index}]"
        if made_input.data_type not in DATA_TYPES:
            said = made_input.data_type or "nothing"
            yield f"{where}.data_type", f"must be {' or '.join(DATA_TYPES)}, got {said}"
        yield from _of_names(where, made_input, seen)
    for index, output in enumerate(config.batch_output):
        yield from _of_names(f"batch_output[{index}]", output, seen)


def _of_names(where: str, entry: BatchInput | BatchOutput, seen: set[str]) -> Iterator[Problem]:
    if len(entry.source_input) != 1:
        yield f"{where}.source_input", f"must name one input, got {len(entry.source_input)}"
    if not entry.target_name:
        yield f"{where}.target_name", "is missing"
    for name in entry.target_name:
        if name in seen:
            yield f"{where}.target_name", f"{shown(name)} is named twice"
        seen.add(name)


def ragged_problems(config: ModelConfig, signature: Signature, graph: Graph) -> Iterator[Problem]:
    """Where a configuration of ragged batches and a graph do not fit."""
    inputs = {tensor.name: tensor for tensor in signature.inputs}
    outputs = {tensor.name: tensor for tensor in signature.outputs}
    for index, each in enumerate(config.batch_input):
        where = f"batch_input[{index}]"
        yield from _of_source(f"{where}.source_input", each.source_input, inputs)
        yield from _of_targets(f"{where}", each, graph)
    for index, entry in enumerate(config.batch_output):
        where = f"batch_output[{index}]"
        yield from _of_source(f"{where}.source_input", entry.source_input, inputs)
        for name in entry.target_name:
            if name not in outputs:
                yield f"{where}.target_name", f"{shown(name)} is not an output of the model"
                continue
            source = inputs.get(entry.source_input[0]) if entry.source_input else None
            shape = outputs[name].shape
            if len(shape) < 2:
                yield f"{where}.target_name", f"{shown(name)} needs an output with its dims"
            if source and any(size < 0 for size in shape[len(source.shape) :]):
                yield (
                    f"{where}.target_name",
                    f"{shown(name)} has the shape {[*shape]}, of which {shown(source.name)}"
                    f" with {[*source.shape]} cannot tell every size",
                )


def _of_source(where: str, names: tuple[str, ...], inputs: dict[str, Tensor]) -> Iterator[Problem]:
    for name in names:
        if name not in inputs:
            yield where, f"{shown(name)} is not an input of the model"
        elif inputs[name].optional:
            yield where, f"{shown(name)} must not be optional"


def _of_targets(where: str, entry: BatchInput, graph: Graph) -> Iterator[Problem]:
    known = {each.name: each for each in (*graph.inputs, *graph.optional_inputs)}
    rank = 2 if entry.kind == "BATCH_ITEM_SHAPE" else 1
    for name in entry.target_name:
        if name not in known:
            yield f"{where}.target_name", f"{shown(name)} is not an input of the graph"
            continue
        found = BY_ONNX.get(known[name].onnx_type)
        if found is None or found.config != entry.data_type:
            has = found.config if found else shown(known[name].onnx_type)
            yield f"{where}.data_type", f"is {entry.data_type}, but the graph has {has}"
        if known[name].shape and len(known[name].shape) != rank:
            yield (
                f"{where}.target_name",
                f"{shown(name)} has {len(known[name].shape)} dimensions in the graph, a batch"
                f" input of the kind {entry.kind} has {rank}",
            )
