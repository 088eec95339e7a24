"""Rows under rows. Where a model takes only some batch sizes, copies of the last row fill up.

Copies and not zeros: whatever a model makes of a row that somebody sent, it can make twice,
while a row of zeros may divide by zero or be an index that is not there.
"""

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd.errors import ModelFailed
from inferd.inference.packing.lengths import Lengths
from inferd.inference.packing.packing import Member
from inferd.inference.request import Tensors


class Rows:
    """The packing of models whose first dimension counts rows, and of those without one."""

    def __init__(self, sizes: Sequence[int] = (), lengths: Lengths | None = None) -> None:
        """`sizes` are the rows that a run may have, ascending; empty: any number."""
        self._sizes = tuple(sizes)
        self._lengths = lengths
        self._plain = not sizes and lengths is None

    def key(self, inputs: Tensors) -> Hashable:
        """Return the shapes of the rows, or the bucket that their length falls into."""
        if self._lengths is not None:
            return self._lengths.key(inputs)
        return tuple((name, inputs[name].shape[1:]) for name in sorted(inputs))

    def pack(self, members: Sequence[Member]) -> tuple[Tensors, int]:
        """Return the inputs one below the other, and how many copies were added."""
        if self._plain and len(members) == 1:
            return members[0].inputs, 0
        tensors = [member.inputs for member in members]
        if self._lengths is not None:
            tensors = [self._lengths.padded(each) for each in tensors]
        padding = self._padding(members)
        if len(tensors) == 1 and not padding:
            return tensors[0], 0
        return {
            name: _stacked([each[name] for each in tensors], padding) for name in tensors[0]
        }, padding

    def unpack(self, members: Sequence[Member], outputs: Tensors) -> list[Tensors]:
        """Cut the outputs back into each member's rows, and rows to their own length."""
        if len(members) == 1 and not self._sizes:
            return [self._cut(members[0], outputs)]
        require_rows(outputs, sum([each.rows for each in members]) + self._padding(members))
        results: list[Tensors] = []
        start = 0
        for member in members:
            end = start + member.rows
            rows = {name: outputs[name][start:end] for name in member.outputs}
            results.append(self._cut(member, rows))
            start = end
        return results

    def _padding(self, members: Sequence[Member]) -> int:
        if not self._sizes:
            return 0
        rows = sum([member.rows for member in members])
        return self._sizes[bisect_left(self._sizes, rows)] - rows

    def _cut(self, member: Member, outputs: Tensors) -> Tensors:
        return outputs if self._lengths is None else self._lengths.cut(member.inputs, outputs)


def require_rows(outputs: Tensors, rows: int) -> None:
    """Raise `ModelFailed` unless every output has this many rows."""
    for name, array in outputs.items():
        if not array.ndim or array.shape[0] != rows:
            raise ModelFailed(
                f"output '{name}' has shape {list(array.shape)} for a batch of {rows} rows"
            )


def _stacked(arrays: list[NDArray[Any]], padding: int) -> NDArray[Any]:
    if padding:
        last = arrays[-1][-1:]
        arrays.append(np.broadcast_to(last, (padding, *last.shape[1:])))
    return np.concatenate(arrays)


ROWS = Rows()
"""The packing of models that take any number of rows of one shape."""
