"""NumPy arrays to the protocol's bytes and back, for all of its 14 datatypes.

On the wire a tensor is its elements in row-major order, little-endian, without padding.
Two datatypes have no NumPy dtype of their own:

BYTES   any array of `bytes` or `str` (dtype object, S, U or StringDType; text is sent as
        UTF-8). Each element is framed by its length in 4 bytes. Comes back as an object
        array of `bytes`. Mind that NumPy's S dtype drops trailing zero bytes; object does not.
BF16    an array of `ml_dtypes.bfloat16`, or a `BFloat16`, which needs no package. Comes back
        as `ml_dtypes.bfloat16` if that package is installed, and else as its bits (uint16).

Arrays that come back are read-only views of the answer (BYTES apart): copy before writing.
"""

import functools
import importlib
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd_client._errors import Details, FieldViolation, InvalidRequest, MalformedAnswer

Array = NDArray[Any]

_WIRE: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
_BITS = np.dtype("<u2")
_DATATYPE = {(dtype.kind, dtype.itemsize): name for name, dtype in _WIRE.items()}
_TEXT_KINDS = "OSUT"
_LENGTH = struct.Struct("<I")

DATATYPES = frozenset({*_WIRE, "BF16", "BYTES"})
"""The names that the protocol has for what an element can be."""


@dataclass(frozen=True, slots=True, eq=False)
class BFloat16:
    """A BF16 tensor for programs without `ml_dtypes`: the upper halves of float32s."""

    #: Any shape, uint16.
    bits: NDArray[np.uint16]

    def __post_init__(self) -> None:
        if self.bits.dtype != np.uint16:
            raise TypeError(f"bits must be uint16, not {self.bits.dtype}; see BFloat16.of()")

    @classmethod
    def of(cls, values: Array) -> "BFloat16":
        """Round numbers of any shape to the nearest BF16, ties to even. NaN stays NaN."""
        exact = np.asarray(values, dtype=np.float32)
        wide = exact.view(np.uint32).astype(np.uint64)
        rounded = ((wide + 0x7FFF + ((wide >> 16) & 1)) >> 16).astype(np.uint16)
        return cls(np.where(np.isnan(exact), np.uint16(0x7FC0), rounded))

    def to_float32(self) -> NDArray[np.float32]:
        """Return the same numbers as float32. Exact; same shape."""
        return (self.bits.astype(np.uint32) << 16).view(np.float32)


Tensor = Array | BFloat16
"""What can be sent."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tensor as the protocol describes and carries it."""

    datatype: str
    shape: tuple[int, ...]
    raw: bytes


def encode(name: str, tensor: Tensor) -> Encoded:
    """Return a tensor's wire form.

    Raises:
        InvalidRequest: It is no array, or its dtype has no counterpart in the protocol.
    """
    if isinstance(tensor, BFloat16):
        return Encoded("BF16", tensor.bits.shape, _bits(tensor.bits))
    if not isinstance(tensor, np.ndarray):
        raise _unfit(name, f"expected a NumPy array, got {type(tensor).__name__}")
    dtype = tensor.dtype
    if dtype.kind in _TEXT_KINDS:
        return Encoded("BYTES", tensor.shape, b"".join(_framed(name, tensor)))
    if dtype.name == "bfloat16":
        return Encoded("BF16", tensor.shape, _bits(tensor.view(np.uint16)))
    datatype = _DATATYPE.get((dtype.kind, dtype.itemsize))
    if datatype is None:
        raise _unfit(name, f"dtype {dtype} has no counterpart among {sorted(DATATYPES)}")
    return Encoded(datatype, tensor.shape, tensor.astype(_WIRE[datatype], copy=False).tobytes())


def decode(name: str, datatype: str, shape: Sequence[int], raw: bytes) -> Array:
    """Return the array of the given shape whose elements are `raw`.

    Raises:
        MalformedAnswer: The bytes are too many, too few or badly framed for the shape.
    """
    count = _count(name, shape)
    if datatype == "BYTES":
        return _objects(list(_unframed(name, raw)), name, shape)
    dtype = _BITS if datatype == "BF16" else _dtype(name, datatype)
    if len(raw) != count * dtype.itemsize:
        raise MalformedAnswer(
            f"output {name!r} {datatype}{list(shape)} should have "
            f"{count * dtype.itemsize} bytes, has {len(raw)}"
        )
    flat: Array = np.frombuffer(raw, dtype)
    if datatype == "BF16" and (bfloat16 := installed_bfloat16()) is not None:
        flat = flat.view(bfloat16)
    return flat.reshape(tuple(shape))


def gather(name: str, datatype: str, shape: Sequence[int], elements: Sequence[Any]) -> Array:
    """Return the array of the given shape from elements that came one by one (`contents`).

    Raises:
        MalformedAnswer: Their number is not the shape's, or the datatype only travels raw.
    """
    if datatype == "BYTES":
        return _objects(list(elements), name, shape)
    flat: Array = np.array(elements, dtype=_dtype(name, datatype))
    return _shaped(flat, name, shape)


@functools.cache
def installed_bfloat16() -> np.dtype[Any] | None:
    """Return the dtype of `ml_dtypes.bfloat16` if that package is installed."""
    try:
        package = importlib.import_module("ml_dtypes")
    except ImportError:
        return None
    dtype: np.dtype[Any] = np.dtype(package.bfloat16)
    return dtype


def _bits(array: NDArray[np.uint16]) -> bytes:
    return array.astype(_BITS, copy=False).tobytes()


def _framed(name: str, array: Array) -> Iterator[bytes]:
    for element in array.ravel().tolist():
        match element:
            case str():
                data = element.encode()
            case bytes():
                data = element
            case _:
                raise _unfit(name, f"an element is {type(element).__name__}, not bytes or str")
        yield _LENGTH.pack(len(data))
        yield data


def _unframed(name: str, raw: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(raw):
        start = at + _LENGTH.size
        end = start + _LENGTH.unpack_from(raw, at)[0] if start <= len(raw) else start
        if end > len(raw):
            raise MalformedAnswer(f"output {name!r} ends within an element of BYTES")
        yield raw[start:end]
        at = end


def _objects(elements: list[bytes], name: str, shape: Sequence[int]) -> Array:
    flat: Array = np.empty(len(elements), dtype=object)
    flat[:] = elements
    return _shaped(flat, name, shape)


def _shaped(flat: Array, name: str, shape: Sequence[int]) -> Array:
    if flat.size != _count(name, shape):
        raise MalformedAnswer(f"output {name!r} {list(shape)} has {flat.size} elements")
    return flat.reshape(tuple(shape))


def _count(name: str, shape: Sequence[int]) -> int:
    if any(size < 0 for size in shape):
        raise MalformedAnswer(f"output {name!r} has an impossible shape {list(shape)}")
    return math.prod(shape)


def _dtype(name: str, datatype: str) -> np.dtype[Any]:
    dtype = _WIRE.get(datatype)
    if dtype is None:
        raise MalformedAnswer(f"output {name!r} has an unknown or raw-only datatype {datatype!r}")
    return dtype


def _unfit(name: str, description: str) -> InvalidRequest:
    violation = FieldViolation(f"inputs[{name!r}]", description)
    return InvalidRequest(f"input {name!r}: {description}", details=Details((violation,)))
