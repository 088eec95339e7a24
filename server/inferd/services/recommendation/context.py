"""Where and when a list is shown."""

from typing import NamedTuple

HOUR_US = 3_600_000_000
HOURS, WEEKDAYS = 24, 7
_EPOCH_WEEKDAY = 3
"""1970 began on a Thursday; Monday is 0."""


class Context(NamedTuple):
    """Where a list is shown. Empty: not known."""

    session_id: str = ""
    page: str = ""
    #: Of the page, if it is an item's, or a category's.
    item_id: str = ""
    category: str = ""
    device_type: str = ""
    country: str = ""
    #: The newest last.
    recent_items: tuple[str, ...] = ()

    def said(self) -> dict[str, str]:
        """Return what is known of the page and of where it is shown, by name."""
        texts = zip(self._fields[:-1], self[:-1], strict=True)
        return {name: str(text) for name, text in texts if text}


def hour(now_us: int) -> float:
    """Return the hour of the day in UTC, with its fraction: 0 up to 24."""
    return now_us / HOUR_US % HOURS


def weekday(now_us: int) -> int:
    """Return the day of the week in UTC; Monday is 0."""
    return (now_us // (HOURS * HOUR_US) + _EPOCH_WEEKDAY) % WEEKDAYS


def part_of_day(now_us: int, parts: int) -> int:
    """Return which of so many equal parts of the day it is in UTC, from 0."""
    return int(hour(now_us) * parts / HOURS)


def bucket(context: Context, now_us: int, parts: int) -> tuple[object, ...]:
    """Return what of a context makes a difference to a list: equal for requests that are alike.

    The session itself does not, what was looked at in it does.
    """
    return (*context[1:], part_of_day(now_us, parts))
