"""Requests made from a model's metadata, once, before the first one is sent.

What is sent again and again is bytes: the generator never builds or serialises a message
while it measures.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import DTypeLike

from inferd.oip import grpc_service_pb2 as pb

SERVICE_PATH = "/inference.GRPCInferenceService/"
INFER_PATH = SERVICE_PATH + "ModelInfer"

Data = Literal["random", "zero"]


class DoesNotFit(ValueError):
    """The model has no such input, shape or datatype."""


_INTEGERS: dict[str, DTypeLike] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
}
_FLOATS: dict[str, DTypeLike] = {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input as the model's metadata describes it; -1 marks a free dimension."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def inputs_of(metadata: pb.ModelMetadataResponse) -> list[Tensor]:
    """Return the model's inputs."""
    return [Tensor(i.name, i.datatype, tuple(i.shape)) for i in metadata.inputs]


def concrete_shape(tensor: Tensor, rows: int, chosen: Sequence[int] | None) -> tuple[int, ...]:
    """Return a shape without free dimensions: `chosen`, or `rows` first and 1 elsewhere.

    Raises DoesNotFit when the model has no such shape.
    """
    if chosen is not None:
        fits = len(chosen) == len(tensor.shape) and all(
            want in (-1, got) for want, got in zip(tensor.shape, chosen, strict=True)
        )
        if not fits:
            raise DoesNotFit(f"shape {list(chosen)} does not fit '{tensor.name}' {tensor.shape}")
        return tuple(chosen)
    if tensor.shape[:1] == (-1,):
        return rows, *(1 if dim == -1 else dim for dim in tensor.shape[1:])
    if rows != 1:
        raise DoesNotFit(f"'{tensor.name}' {tensor.shape} has no batch dimension for {rows} rows")
    return tuple(1 if dim == -1 else dim for dim in tensor.shape)


def tensor_bytes(datatype: str, shape: Sequence[int], rng: np.random.Generator | None) -> bytes:
    """Return a tensor's raw content: normal floats, integers 0 or 1; zeros without `rng`."""
    size = prod(shape)
    if datatype == "BYTES":
        texts = [b"" if rng is None else b"%d" % n for n in range(size)]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    if datatype == "BF16":
        # The upper half of an FP32, little-endian.
        halves = np.frombuffer(tensor_bytes("FP32", shape, rng), dtype="<u2")
        return halves[1::2].tobytes()
    if datatype in _FLOATS:
        floats = np.zeros(size) if rng is None else rng.standard_normal(size)
        return floats.astype(_FLOATS[datatype]).tobytes()
    if datatype in _INTEGERS:
        integers = np.zeros(size) if rng is None else rng.integers(0, 2, size)
        return integers.astype(_INTEGERS[datatype]).tobytes()
    raise DoesNotFit(f"no data for datatype '{datatype}'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to fill a model's inputs."""

    model: str
    #: Empty: the newest.
    version: str = ""
    rows: int = 1
    #: Full shapes of the inputs that do not get the default one, by name.
    shapes: Mapping[str, tuple[int, ...]]
    data: Data = "random"
    seed: int = 0
    #: Different requests, sent in turn.
    variants: int = 1


def infer_request(
    recipe: Recipe, tensors: Sequence[Tensor], rng: np.random.Generator | None
) -> pb.ModelInferRequest:
    """Return one request; the tensors travel as raw contents."""
    request = pb.ModelInferRequest(model_name=recipe.model, model_version=recipe.version)
    for tensor in tensors:
        shape = concrete_shape(tensor, recipe.rows, recipe.shapes.get(tensor.name))
        request.inputs.add(name=tensor.name, datatype=tensor.datatype, shape=shape)
        request.raw_input_contents.append(tensor_bytes(tensor.datatype, shape, rng))
    return request


def payloads(recipe: Recipe, metadata: pb.ModelMetadataResponse) -> list[bytes]:
    """Return the serialised requests of a recipe.

    Raises DoesNotFit when the recipe does not fit the model.
    """
    tensors = inputs_of(metadata)
    unknown = recipe.shapes.keys() - {tensor.name for tensor in tensors}
    if unknown:
        raise DoesNotFit(f"model '{recipe.model}' has no input {sorted(unknown)}")
    rng = np.random.default_rng(recipe.seed) if recipe.data == "random" else None
    return [infer_request(recipe, tensors, rng).SerializeToString() for _ in range(recipe.variants)]


def defect(answer: bytes) -> str | None:
    """Return what is wrong with a serialised ModelInferResponse; None: it has its outputs."""
    try:
        response = pb.ModelInferResponse.FromString(answer)
    except DecodeError:
        return "not a ModelInferResponse"
    if not response.outputs:
        return "no outputs"
    raw = len(response.raw_output_contents)
    if raw and raw != len(response.outputs):
        return f"{len(response.outputs)} outputs with {raw} raw contents"
    if not raw and not all(output.HasField("contents") for output in response.outputs):
        return "an output without contents"
    return None


def framed(message: bytes) -> bytes:
    """Return a message as gRPC puts it into an HTTP/2 body: not compressed, with its length."""
    return b"\0" + len(message).to_bytes(4, "big") + message
