"""The classification extension: an output as its highest classes instead of its numbers.

A class reads `value:index` or, where the model has labels, `value:index:label`, written as
Triton writes it. Equal values are in the order of their indices, NaN is below everything.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLASSIFIED = frozenset(
    ("UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64")
)
"""The datatypes of outputs that can be asked for as classes."""


def top_classes(
    array: NDArray[Any], count: int, labels: Sequence[str], *, batches: bool
) -> NDArray[np.object_]:
    """Return the `count` highest classes as BYTES, fewer where there are no more.

    With a batch dimension each row is classified by itself: shape [rows, classes], else
    [classes].
    """
    rows = array.shape[0] if batches else 1
    classes = array.size // rows if rows else 0
    shown = min(count, classes)
    result = np.empty((rows, shown), np.object_)
    for at, row in enumerate(array.reshape(rows, classes)):
        result[at] = list(_classes(row, shown, labels))
    return result if batches else result[0]


def _classes(row: NDArray[Any], count: int, labels: Sequence[str]) -> Iterator[bytes]:
    floating = row.dtype.kind == "f"
    keys = np.where(np.isnan(row), -np.inf, row) if floating else row
    last = len(row) - 1
    for index in (last - np.argsort(keys[::-1], kind="stable")[::-1][:count]).tolist():
        value = f"{float(row[index]):f}" if floating else str(int(row[index]))
        label = f":{labels[index]}" if index < len(labels) else ""
        yield f"{value}:{index}{label}".encode()
