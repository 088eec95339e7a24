"""The newest events as they came: what one did last, the newest first.

Only so many are kept, and not by tiles: an event that is older than all of them is in no answer
ever again. So one that comes late finds its place, or is too old. Clocks differ, so there may be
some that are ahead of the time. As many again are kept of these: until their time has come, they
are in no answer, and push nothing out.

What is kept of an event is a row of texts, one for each field that is asked for; integers are
written out. An event that lacks one of them has no row: so the lists of several fields go together,
place by place. Of rows of the same time, the larger text comes first, whichever came first.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inferd.features.windows.aggregates import SECOND_US

Row = tuple[str, ...]
"""Of each field its text."""

Dated = tuple[int, Row]
"""When an event happened, and its row."""


@dataclass(frozen=True)
class Newest:
    """One field of the newest events of a window. Raises `ValueError` naming what is wrong."""

    #: The field's place among those the view reads. Its values are texts or integers.
    of: int
    window_us: int
    #: At most so many.
    count: int

    def __post_init__(self) -> None:
        if self.window_us < SECOND_US:
            raise ValueError(f"window_us: at least {SECOND_US}, not {self.window_us}")
        if self.count < 1:
            raise ValueError(f"count: at least 1, not {self.count}")

    def answer(self, of: Sequence[int]) -> Callable[[Sequence[Row]], tuple[str, ...]]:
        """Return what makes the list of the rows of the window, the newest first.

        `of` are the places of the fields of a row.
        """
        at, count = of.index(self.of), self.count
        return lambda rows: tuple([row[at] for row in rows[:count]])


class Columns:
    """What is kept for all lists of a view, at least one."""

    def __init__(self, lists: Sequence[Newest]) -> None:
        #: The places of the fields of a row.
        self.of = sorted({each.of for each in lists})
        #: So many rows are kept, and for so long.
        self.capacity = max(each.count for each in lists)
        self.longest_us = max(each.window_us for each in lists)


class Latest:
    """The newest rows of one entity."""

    def __init__(self, columns: Columns, rows: Sequence[Dated] = ()) -> None:
        self._columns = columns
        #: Sorted by time, and then by their texts.
        self._rows = list(rows)

    def add(self, event_us: int, values: Sequence[Any], as_of_us: int) -> None:
        """Add the row of an event, if it has one. As of `as_of_us`, older ones may have to go."""
        said = [values[place] for place in self._columns.of]
        if None not in said:
            insort(self._rows, (event_us, tuple(map(str, said))))
            self._evict(as_of_us)

    def between(self, after_us: int, until_us: int) -> list[Row]:
        """Return the rows after a time and up to another, that included, the newest first."""
        rows = self._rows[self._until(after_us) : self._until(until_us)]
        return [row for _, row in reversed(rows)]

    def all(self) -> list[Dated]:
        """Return all rows, sorted."""
        return list(self._rows)

    def _evict(self, as_of_us: int) -> None:
        """Let go of what no list needs from a time on."""
        rows, most = self._rows, self._columns.capacity
        surplus = max(self._until(as_of_us) - most, len(rows) - 2 * most)
        del rows[: max(surplus, self._until(as_of_us - self._columns.longest_us))]

    def _until(self, at_us: int) -> int:
        """Return how many rows there are up to a time, that included."""
        return bisect_left(self._rows, (at_us + 1,))
