"""Sequences of different lengths in one batch: filled up to the next of a few lengths.

A model whose configuration declares the lengths has said that what is filled in does not
change what is not, by a mask or by its nature. All members of a batch are filled up to the
same bucket, whoever they are: the length of one decides nothing for another.
"""

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd.errors import InvalidRequest, ModelFailed
from inferd.inference.request import Tensors


@dataclass(frozen=True, slots=True)
class Lengths:
    """Pads inputs along the one dimension in which they vary, and cuts outputs back."""

    #: Ascending.
    buckets: Sequence[int]
    #: Of every input that varies, the dimension in which it does.
    inputs: Mapping[str, int]
    #: Of every output that varies, the dimensions in which it does.
    outputs: Mapping[str, Sequence[int]] = field(default_factory=dict)
    #: What an input is filled up with, if not with zeros, or with empty strings.
    fill: Mapping[str, int | float] = field(default_factory=dict)

    def key(self, inputs: Tensors) -> Hashable:
        """Return the bucket, and which inputs there are.

        Raises `InvalidRequest` for inputs of different lengths, and for too long ones.
        """
        return self._bucket(self._length(inputs)), frozenset(inputs)

    def padded(self, inputs: Tensors) -> Tensors:
        """Return the inputs with the length of their bucket."""
        length = self._length(inputs)
        bucket = self._bucket(length)
        if length == bucket:
            return inputs
        return {
            name: self._filled(name, array, bucket) if name in self.inputs else array
            for name, array in inputs.items()
        }

    def cut(self, inputs: Tensors, outputs: Tensors) -> Tensors:
        """Return the outputs as long as the inputs were, as views.

        Raises `ModelFailed` for an output that did not get the bucket's length.
        """
        length = self._length(inputs)
        bucket = self._bucket(length)
        return {
            name: self._shortened(name, array, length, bucket) for name, array in outputs.items()
        }

    def stretched(self, inputs: Tensors, length: int) -> Tensors:
        """Return inputs of this length that look like these, by repeating their elements."""
        if not self._length(inputs):
            inputs = self.padded(inputs)
        at = np.arange(length) % self._length(inputs)
        return {
            name: array.take(at, self.inputs[name]) if name in self.inputs else array
            for name, array in inputs.items()
        }

    def _length(self, inputs: Tensors) -> int:
        found = -1
        for name, dimension in self.inputs.items():
            array = inputs.get(name)
            if array is None:
                continue
            length = array.shape[dimension]
            if found not in (-1, length):
                text = f"the inputs must have one length, '{name}' has {length} and others {found}"
                raise InvalidRequest(text, field="inputs")
            found = length
        return max(found, 0)

    def _bucket(self, length: int) -> int:
        at = bisect_left(self.buckets, length)
        if at == len(self.buckets):
            text = f"the inputs have length {length}, the model takes at most {self.buckets[-1]}"
            raise InvalidRequest(text, field="inputs")
        return self.buckets[at]

    def _filled(self, name: str, array: NDArray[Any], bucket: int) -> NDArray[Any]:
        dimension = self.inputs[name]
        shape = list(array.shape)
        shape[dimension] = bucket
        fill: Any = "" if array.dtype.hasobject else self.fill.get(name, 0)
        result = np.full(shape, fill, array.dtype)
        result[(slice(None),) * dimension + (slice(array.shape[dimension]),)] = array
        return result

    def _shortened(self, name: str, array: NDArray[Any], length: int, bucket: int) -> NDArray[Any]:
        index = [slice(None)] * array.ndim
        for dimension in self.outputs.get(name, ()):
            if dimension >= array.ndim or array.shape[dimension] != bucket:
                raise ModelFailed(
                    f"output '{name}' has shape {list(array.shape)} for sequences of length"
                    f" {bucket}: dimension {dimension} cannot be cut back to {length}"
                )
            index[dimension] = slice(length)
        return array[tuple(index)]
