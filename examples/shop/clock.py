"""What time it is in the shop: microseconds since 1970, of days that begin on a Monday."""

from typing import Final

from shop.dice import Floats, Ints

S: Final = 1_000_000
"""Microseconds in a second."""
MINUTE: Final = 60 * S
HOUR: Final = 3600 * S
DAY: Final = 86_400 * S
BEGIN: Final = 1_767_571_200 * S
"""2026-01-05, a Monday, 00:00 UTC."""

BY_HOUR: Final = (
    *(5, 3, 2, 1, 1, 2, 5, 12, 20, 26, 30, 32),
    *(36, 34, 30, 30, 32, 38, 46, 54, 58, 50, 32, 14),
)
"""How much is done in each hour of the day, where one is."""
BY_WEEKDAY: Final = (0.95, 0.92, 0.95, 1.0, 1.1, 1.2, 1.0)


def day_of(at_us: Ints) -> Floats:
    """Return days since the beginning."""
    return (at_us - BEGIN) / float(DAY)


def at(day: Floats) -> Ints:
    """Return the point in time that is so many days after the beginning."""
    return BEGIN + (day * DAY).astype("int64")
