"""Answers that are wrong: recognisable as answers, and of no use."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from inferd.errors import FaultInjected


def corrupted(value: Any) -> Any:
    """Return `value` with NaN for its floats and its bytes flipped, at any depth.

    Raises `FaultInjected` for what has neither.
    """
    wrong = _corrupted(value)
    if wrong is value:
        raise FaultInjected("the answer was to be corrupted, and has no floats and no bytes")
    return wrong


def _corrupted(value: Any) -> Any:
    """Return the very `value` where there is nothing to corrupt."""
    match value:
        case float():
            return math.nan
        case bytes() if value:
            return bytes(each ^ 0xFF for each in value)
        case np.ndarray() | np.floating() if np.issubdtype(value.dtype, np.floating):
            return np.full_like(value, np.nan)
        case Mapping():
            wrong = {key: _corrupted(each) for key, each in value.items()}
            return wrong if any(wrong[key] is not value[key] for key in value) else value
        case list() | tuple():
            items = [_corrupted(each) for each in value]
            changed = any(new is not old for new, old in zip(items, value, strict=True))
            return (items if isinstance(value, list) else tuple(items)) if changed else value
    return value
