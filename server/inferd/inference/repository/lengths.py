"""`inferd.sequence_buckets` and what goes with it: sequences of a few lengths instead of any."""

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from inferd.inference.repository.parameters import SEQUENCE_BUCKETS, SEQUENCE_PAD, Options
from inferd.inference.repository.problems import Problem, shown
from inferd.runtime.graph import Graph
from inferd.runtime.signature import Signature, Tensor

BUCKETS = f"parameters['{SEQUENCE_BUCKETS}']"
PAD = f"parameters['{SEQUENCE_PAD}']"

MOST = {"BF16": 3.3895313892515355e38, "FP16": 65504.0, "FP32": 3.4028234663852886e38}
"""The largest number that is not infinite, where that is not a double's."""

MASK = "mask"
"""Inputs with this in their name say what is padding: they are filled up with zeros."""


def pad_of(tensor: Tensor, pads: Mapping[str, float]) -> int | float:
    """Return what an input is filled up with; the key `""` is for those that are not named."""
    own = pads.get(tensor.name)
    if own is None:
        own = 0.0 if MASK in tensor.name.lower() else pads.get("", 0.0)
    return own if tensor.datatype.numpy.kind == "f" or not own.is_integer() else int(own)


def length_problems(options: Options, signature: Signature, graph: Graph) -> Iterator[Problem]:
    """Everything that speaks against filling up this model's sequences."""
    if not options.sequence_buckets:
        return
    varying = [tensor for tensor in signature.inputs if -1 in tensor.shape[1:]]
    if not varying:
        yield BUCKETS, "needs an input with a variable dimension, and the model has none"
    for tensor in varying:
        if tensor.shape[1:].count(-1) > 1:
            yield (
                BUCKETS,
                f"needs inputs with one variable dimension, but {shown(tensor.name)} has the"
                f" shape {[*tensor.shape]}",
            )
    names = _names(varying, graph)
    if len(names) > 1:
        listed = ", ".join(shown(name) for name in names)
        yield (
            BUCKETS,
            f"needs inputs of one length, but the graph calls their dimensions {listed}",
        )
    yield from _pad_problems(options.sequence_pad, varying)


def _names(varying: Iterable[Tensor], graph: Graph) -> list[str]:
    """Return what the graph calls the dimensions: different names may have different sizes."""
    shapes = {each.name: each.shape for each in (*graph.inputs, *graph.optional_inputs)}
    names = []
    for tensor in varying:
        at, shape = tensor.shape.index(-1, 1), shapes.get(tensor.name, ())
        name = shape[at] if at < len(shape) else None
        if isinstance(name, str) and name:
            names.append(name)
    return [*dict.fromkeys(names)]


def _pad_problems(pads: Mapping[str, float], varying: Iterable[Tensor]) -> Iterator[Problem]:
    tensors = {tensor.name: tensor for tensor in varying}
    for name in pads:
        if name and name not in tensors:
            yield PAD, f"{shown(name)} is not an input with a variable dimension"
    for tensor in tensors.values():
        value = pad_of(tensor, pads)
        if not _holds(tensor, value):
            yield PAD, f"{shown(tensor.name)} is {tensor.datatype.name} and cannot hold {value:g}"


def _holds(tensor: Tensor, value: int | float) -> bool:
    datatype = tensor.datatype
    if not datatype.fixed_size:
        return value == 0  # it is filled up with empty strings
    if datatype.name == "BOOL":
        return value in (0, 1)
    if datatype.name == "BF16" or datatype.numpy.kind == "f":
        return abs(value) <= MOST.get(datatype.name, math.inf)
    limits = np.iinfo(datatype.numpy.str)
    return isinstance(value, int) and limits.min <= value <= limits.max
