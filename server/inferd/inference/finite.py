"""Whether numbers are finite: NumPy's own, and BF16, which NumPy does not know.

A model that has gone wrong says NaN of everything, and promptly. Where its configuration says
that outputs must be finite, such an answer is none.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd.errors import InvalidRequest, ModelFailed
from inferd.inference.request import Tensors
from inferd.runtime.datatypes import DataType
from inferd.runtime.signature import Signature

_BF16_EXPONENT = np.uint16(0x7F80)


def is_finite(array: NDArray[Any], datatype: DataType) -> bool:
    """Whether there is neither NaN nor infinity in it. BF16 is an array of its bits."""
    if datatype.name == "BF16":
        return not ((array & _BF16_EXPONENT) == _BF16_EXPONENT).any()
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def require_finite_inputs(
    signature: Signature, model: str, inputs: Mapping[str, NDArray[Any]]
) -> None:
    """Raise `InvalidRequest` naming the input with NaN or infinity in it, if there is one."""
    for tensor in signature.inputs:
        array = inputs.get(tensor.name)
        if array is not None and not is_finite(array, tensor.datatype):
            text = f"input '{tensor.name}' for model '{model}' is not finite"
            raise InvalidRequest(text, field=f"inputs[{tensor.name}]")


class FiniteOutputs:
    """Looks for NaN and infinity in what a model says. Has no state; any thread may use it."""

    def __init__(self, signature: Signature) -> None:
        self._datatypes = {tensor.name: tensor.datatype for tensor in signature.outputs}

    def all_in(self, outputs: Tensors) -> bool:
        """Whether all of them are finite."""
        return all(is_finite(array, self._datatypes[name]) for name, array in outputs.items())

    def checked(self, outputs: Tensors) -> Tensors | ModelFailed:
        """Return one request's outputs, or the error that it gets in their place."""
        return outputs if self.all_in(outputs) else ModelFailed("the model's answer is not finite")
