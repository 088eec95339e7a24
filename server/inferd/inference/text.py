"""Text on its way: BYTES on the wire, and `str` for ONNX Runtime."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd.errors import InvalidRequest
from inferd.inference.request import Tensors


def with_text(inputs: Tensors) -> Tensors:
    """Decode BYTES inputs: ONNX Runtime takes strings as text."""
    return {
        name: _decoded(name, index, array) if array.dtype.hasobject else array
        for index, (name, array) in enumerate(inputs.items())
    }


def _decoded(name: str, index: int, array: NDArray[Any]) -> NDArray[Any]:
    result = np.empty(array.size, np.object_)
    for at, element in enumerate(array.ravel()):
        try:
            result[at] = element.decode() if isinstance(element, bytes) else element
        except UnicodeDecodeError as error:
            text = f"element {at} of input '{name}' is not valid UTF-8 ({error.reason})"
            raise InvalidRequest(text, field=f"inputs[{index}]") from None
    return result.reshape(array.shape)


def with_bytes(outputs: Tensors) -> Tensors:
    """Encode text outputs: on the wire they are BYTES."""
    return {
        name: _encoded(array) if array.dtype.hasobject else array for name, array in outputs.items()
    }


def _encoded(array: NDArray[Any]) -> NDArray[Any]:
    result = np.empty(array.size, np.object_)
    result[:] = [element.encode() for element in array.ravel()]
    return result.reshape(array.shape)
