"""All elements in one flat list, and more inputs that say which are whose.

The kinds are Triton's (`BatchInput.Kind` in its `model_config.proto`), and so is what they
count: requests, not rows, except for the two that list shapes. A model that answers a row per
count can only be asked for one row at a time; one that does not is told so.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd.errors import ModelFailed
from inferd.inference.packing.packing import Member
from inferd.inference.packing.rows import require_rows
from inferd.inference.request import Tensors

Array = NDArray[Any]


class Kind(StrEnum):
    """What a batch input says of one of the requests' inputs."""

    ELEMENT_COUNT = "BATCH_ELEMENT_COUNT"
    ACCUMULATED_ELEMENT_COUNT = "BATCH_ACCUMULATED_ELEMENT_COUNT"
    ACCUMULATED_ELEMENT_COUNT_WITH_ZERO = "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO"
    MAX_ELEMENT_COUNT_AS_SHAPE = "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE"
    ITEM_SHAPE = "BATCH_ITEM_SHAPE"
    ITEM_SHAPE_FLATTEN = "BATCH_ITEM_SHAPE_FLATTEN"


@dataclass(frozen=True, slots=True)
class BatchInput:
    """Inputs of the graph that no request carries."""

    kind: Kind
    targets: Sequence[str]
    source: str
    dtype: np.dtype[np.generic]

    def values(self, members: Sequence[Member]) -> Array:
        """Return what the graph gets to know of these members."""
        arrays = [member.inputs[self.source] for member in members]
        return _OF_KIND[self.kind](arrays).astype(self.dtype)


@dataclass(frozen=True, slots=True)
class Ragged:
    """The packing of models that know of more than one request's lengths."""

    #: Inputs that may have another shape in every request.
    flat: frozenset[str]
    batch_inputs: Sequence[BatchInput] = ()
    #: Outputs that come as one flat list: the input whose shape they are cut by, and their own
    #: shape, batch dimension included, in which -1 is the input's size of that dimension.
    scattered: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)

    def key(self, inputs: Tensors) -> Hashable:
        """Return which inputs there are, and the shapes of those that are not ragged."""
        return tuple(
            (name, () if name in self.flat else inputs[name].shape[1:]) for name in sorted(inputs)
        )

    def pack(self, members: Sequence[Member]) -> tuple[Tensors, int]:
        """Return the members' inputs and those that describe them. There is no padding."""
        inputs = {name: self._joined(name, members) for name in members[0].inputs}
        for each in self.batch_inputs:
            inputs |= dict.fromkeys(each.targets, each.values(members))
        return inputs, 0

    def unpack(self, members: Sequence[Member], outputs: Tensors) -> list[Tensors]:
        """Cut outputs into each member's rows, or into the shape that its input had."""
        plain = {name: array for name, array in outputs.items() if name not in self.scattered}
        require_rows(plain, sum([member.rows for member in members]))
        parts = {name: self._cut(name, array, members) for name, array in outputs.items()}
        return [
            {name: parts[name][at] for name in member.outputs} for at, member in enumerate(members)
        ]

    def _joined(self, name: str, members: Sequence[Member]) -> Array:
        arrays = [member.inputs[name] for member in members]
        if name in self.flat:
            arrays = [array.reshape(-1) for array in arrays]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def _cut(self, name: str, array: Array, members: Sequence[Member]) -> Sequence[Array]:
        if name not in self.scattered:
            return np.split(array, [*accumulate(member.rows for member in members)][:-1])
        source, shape = self.scattered[name]
        shapes = [_filled_in(shape, member.inputs[source].shape) for member in members]
        ends = [*accumulate(prod(each) for each in shapes)]
        if array.size != ends[-1]:
            raise ModelFailed(
                f"output '{name}' has {array.size} elements for a batch of {ends[-1]}"
            )
        parts = np.split(array.reshape(-1), ends[:-1])
        return [part.reshape(each) for part, each in zip(parts, shapes, strict=True)]


def _filled_in(shape: Sequence[int], source: Sequence[int]) -> tuple[int, ...]:
    return tuple(source[at] if size < 0 else size for at, size in enumerate(shape))


def _ends(arrays: Sequence[Array]) -> list[int]:
    return [*accumulate(array.size for array in arrays)]


def _item_shapes(arrays: Sequence[Array]) -> Array:
    """Return the shape of every row, as a matrix."""
    shapes = [array.shape[1:] for array in arrays for _ in range(array.shape[0])]
    return np.array(shapes, np.int64).reshape(len(shapes), -1)


_OF_KIND: Mapping[Kind, Callable[[Sequence[Array]], Array]] = {
    Kind.ELEMENT_COUNT: lambda arrays: np.array([array.size for array in arrays]),
    Kind.ACCUMULATED_ELEMENT_COUNT: lambda arrays: np.array(_ends(arrays)),
    Kind.ACCUMULATED_ELEMENT_COUNT_WITH_ZERO: lambda arrays: np.array([0, *_ends(arrays)]),
    # Only its shape means something; Triton leaves the values as they are in memory.
    Kind.MAX_ELEMENT_COUNT_AS_SHAPE: lambda arrays: np.zeros(max(each.size for each in arrays)),
    Kind.ITEM_SHAPE: _item_shapes,
    Kind.ITEM_SHAPE_FLATTEN: lambda arrays: _item_shapes(arrays).reshape(-1),
}
