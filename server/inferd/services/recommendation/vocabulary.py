"""The words of recommendations. Their numbers are those of `recommendation.proto`."""

from enum import IntEnum
from typing import NamedTuple


class Act(IntEnum):
    """What a user did with an item."""

    IMPRESSION = 1
    """It was shown in a list."""
    VIEW = 2
    """Its page was looked at."""
    CLICK = 3
    CART = 4
    PURCHASE = 5
    DISLIKE = 6
    """It is not wanted."""


class Seen(NamedTuple):
    """One thing that a user did."""

    item_id: str
    type: Act
    at_us: int
    """Microseconds since 1970."""
