"""The 14 datatypes of the Open Inference Protocol, and what each is called elsewhere."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class DataType:
    """One element type under its four names."""

    #: The protocol's name, e.g. `FP32`.
    name: str
    #: Triton's name in a model's configuration, e.g. `TYPE_FP32`.
    config: str
    #: ONNX Runtime's name, e.g. `tensor(float)`.
    onnx: str
    #: What an array of it is in memory. BF16 travels as its bits, BYTES as objects.
    numpy: np.dtype[np.generic]
    #: ONNX's number in `TensorProto.DataType`.
    onnx_number: int

    @property
    def fixed_size(self) -> bool:
        """Whether every element takes `numpy.itemsize` bytes on the wire (all but BYTES)."""
        return self.name != "BYTES"


_TABLE = (
    DataType("BOOL", "TYPE_BOOL", "tensor(bool)", np.dtype(np.bool_), 9),
    DataType("UINT8", "TYPE_UINT8", "tensor(uint8)", np.dtype("<u1"), 2),
    DataType("UINT16", "TYPE_UINT16", "tensor(uint16)", np.dtype("<u2"), 4),
    DataType("UINT32", "TYPE_UINT32", "tensor(uint32)", np.dtype("<u4"), 12),
    DataType("UINT64", "TYPE_UINT64", "tensor(uint64)", np.dtype("<u8"), 13),
    DataType("INT8", "TYPE_INT8", "tensor(int8)", np.dtype("<i1"), 3),
    DataType("INT16", "TYPE_INT16", "tensor(int16)", np.dtype("<i2"), 5),
    DataType("INT32", "TYPE_INT32", "tensor(int32)", np.dtype("<i4"), 6),
    DataType("INT64", "TYPE_INT64", "tensor(int64)", np.dtype("<i8"), 7),
    DataType("FP16", "TYPE_FP16", "tensor(float16)", np.dtype("<f2"), 10),
    DataType("FP32", "TYPE_FP32", "tensor(float)", np.dtype("<f4"), 1),
    DataType("FP64", "TYPE_FP64", "tensor(double)", np.dtype("<f8"), 11),
    DataType("BF16", "TYPE_BF16", "tensor(bfloat16)", np.dtype("<u2"), 16),
    DataType("BYTES", "TYPE_STRING", "tensor(string)", np.dtype(np.object_), 8),
)

BY_NAME = {each.name: each for each in _TABLE}
BY_CONFIG = {each.config: each for each in _TABLE}
BY_ONNX = {each.onnx: each for each in _TABLE}
