"""Tensors on the wire and in memory: raw bytes or typed contents, for all 14 datatypes.

Raw bytes of fixed-size elements become an array without being copied. The protocol's rules:
little-endian, row-major; a BOOL is a byte, any but 0 is true; a BYTES element is its length
in four bytes and then itself; FP16 and BF16 have no typed contents; typed contents of the
small integers travel in the 32-bit fields and must fit their type.

Decoding raises `InvalidRequest` with Triton's texts, whatever the bytes are.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from inferd.errors import InvalidRequest
from inferd.inference.checks import Expected, Fit
from inferd.oip import grpc_service_pb2 as pb

CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field of `InferTensorContents` that holds each datatype; the others travel raw only."""

_HELD = {
    "bool_contents": "BOOL",
    "int_contents": "INT32",
    "int64_contents": "INT64",
    "uint_contents": "UINT32",
    "uint64_contents": "UINT64",
    "fp32_contents": "FP32",
    "fp64_contents": "FP64",
    "bytes_contents": "BYTES",
}

_LENGTH = Struct("<I")
_length_at = _LENGTH.unpack_from
_length_of = _LENGTH.pack

_BF16_EXPONENT = np.uint16(0x7F80)

Array = NDArray[Any]


class Place(NamedTuple):
    """Where in a request a tensor's data is, for messages."""

    model: str
    input: str
    #: The path in the request, `{}` being `at`.
    path: str
    at: int

    @property
    def field(self) -> str:
        """The path in the request, e.g. `raw_input_contents[0]`."""
        return self.path.format(self.at)

    def refuse(self, text: str) -> NoReturn:
        """Say what is wrong with the data."""
        raise InvalidRequest(text, field=self.field)

    def __str__(self) -> str:
        return f"'{self.input}' for model '{self.model}'"


def from_raw(data: bytes, expected: Expected, fit: Fit, place: Place) -> Array:
    """Return the array that raw bytes hold. It is read-only and looks at `data` itself."""
    if fit.nbytes < 0:
        elements = np.empty(fit.elements, np.object_)
        elements[:] = _split(data, fit.elements, place)
        return elements.reshape(fit.shape)
    if len(data) != fit.nbytes:
        place.refuse(_size_mismatch(place, fit.nbytes, len(data)))
    if expected.datatype == "BOOL":
        return np.ndarray(fit.shape, np.uint8, data).astype(np.bool_)
    return np.ndarray(fit.shape, expected.dtype, data)


def _split(data: bytes, count: int, place: Place) -> list[bytes]:
    elements: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        if len(elements) == count:
            place.refuse(
                f"unexpected number of string elements {count + 1} "
                f"for inference input {place}, expecting {count}"
            )
        if end - at < 4:
            place.refuse(
                f"incomplete string length indicator for inference input {place}, "
                f"expecting 4 bytes but only {end - at} bytes available"
            )
        size = _length_at(data, at)[0]
        at += 4
        if size > end - at:
            place.refuse(
                f"incomplete string data for inference input {place}, "
                f"expecting string of length {size} but only {end - at} bytes available"
            )
        elements.append(data[at : at + size])
        at += size
    if len(elements) != count:
        _wrong_count(place, count, len(elements))
    return elements


def from_contents(
    contents: pb.InferTensorContents, expected: Expected, fit: Fit, place: Place
) -> Array:
    """Return the array that typed contents hold."""
    datatype = expected.datatype
    field = CONTENTS.get(datatype)
    if field is None:
        place.refuse(
            f"input {place} of type '{datatype}' has no typed contents, send raw_input_contents"
        )
    for filled, _ in contents.ListFields():
        if filled.name != field:
            place.refuse(
                f"unexpected explicit tensor data for input tensor {place} "
                f"of type '{_HELD[filled.name]}', expected datatype '{datatype}'"
            )
    values: Sequence[Any] = getattr(contents, field)
    if datatype == "BYTES":
        if len(values) != fit.elements:
            _wrong_count(place, fit.elements, len(values))
        elements = np.empty(fit.elements, np.object_)
        elements[:] = values[:]
        return elements.reshape(fit.shape)
    if len(values) != fit.elements:
        size = expected.dtype.itemsize
        text = _size_mismatch(place, fit.nbytes, len(values) * size)
        place.refuse(f"{text}: {len(values)} elements in {field}, {fit.elements} in the shape")
    return _numbers(values, expected, place).reshape(fit.shape)


def _numbers(values: Sequence[Any], expected: Expected, place: Place) -> Array:
    dtype: Any = expected.dtype
    try:
        return np.array(values[:], dtype)
    except OverflowError:
        limits = np.iinfo(dtype)
        index, value = next(
            (index, value)
            for index, value in enumerate(values)
            if not limits.min <= value <= limits.max
        )
        place.refuse(
            f"element {index} of input {place} is {value}, "
            f"expected {expected.datatype} between {limits.min} and {limits.max}"
        )


def _size_mismatch(place: Place, expected: int, got: int) -> str:
    return f"input byte size mismatch for input {place}. Expected {expected}, got {got}"


def _wrong_count(place: Place, expected: int, got: int) -> NoReturn:
    place.refuse(
        f"expected {expected} string elements for inference input '{place.input}' "
        f"for model '{place.model}', got {got}"
    )


def check_finite(array: Array, datatype: str, place: Place) -> None:
    """Refuse NaN and infinity, naming where the first is."""
    if datatype == "BF16":
        bad = (array & _BF16_EXPONENT) == _BF16_EXPONENT
    elif array.dtype.kind == "f":
        bad = ~np.isfinite(array)
    else:
        return
    if bad.any():
        index = np.unravel_index(int(np.argmax(bad)), array.shape)
        where = ",".join(str(int(each)) for each in index)
        what = "NaN or infinite" if datatype == "BF16" else str(float(array[index]))
        place.refuse(f"element [{where}] of input {place} is {what}, expected a finite number")


def to_raw(array: Array) -> bytes:
    """Return an array's raw bytes; an array of objects is BYTES."""
    if not array.dtype.hasobject:
        return array.tobytes()
    parts: list[bytes] = []
    for element in array.ravel().tolist():
        parts.append(_length_of(len(element)))
        parts.append(element)
    return b"".join(parts)


def to_contents(array: Array, datatype: str, contents: pb.InferTensorContents) -> None:
    """Fill the typed contents of an array whose datatype has them (see `CONTENTS`)."""
    getattr(contents, CONTENTS[datatype]).extend(array.ravel().tolist())
