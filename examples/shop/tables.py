"""Columns of one length, of which rows are taken, and which are put one under the other."""

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    T = TypeVar("T", bound=DataclassInstance)


def taken(table: "T", rows: Any) -> "T":
    """Return some rows: places, or a flag for each row."""
    columns = {each.name: getattr(table, each.name)[rows] for each in fields(table)}
    return type(table)(**columns)


def joined(tables: "Sequence[T]") -> "T":
    """Return the rows of all, in the order of the tables."""
    names = [each.name for each in fields(tables[0])]
    columns = {name: np.concatenate([getattr(each, name) for each in tables]) for name in names}
    return type(tables[0])(**columns)
