"""The last events as they came, sorted by event time: up to a number, from which the oldest goes.

A deque of tuples: events may hold texts and nothing at all, and come one by one, for which an array
of NumPy takes ten times as long.
"""

from collections import deque
from collections.abc import Sequence
from itertools import takewhile

Cells = tuple[float | int | str | bytes | bool | None, ...]
"""The values of an event, in the order of the fields that the view reads; the last is True, and
stands for the event itself."""


Event = tuple[int, Cells]
"""When it happened, and its cells. A named tuple takes several times as long to make."""


class Ring:
    """The last events."""

    def __init__(self, capacity: int, events: Sequence[Event] = ()) -> None:
        self._capacity = capacity
        self._events = deque(events)

    def __len__(self) -> int:
        return len(self._events)

    def add(self, event: Event) -> Event | None:
        """Add an event wherever it belongs, and return the oldest if there are now too many."""
        events = self._events
        place = len(events)
        # Most are the newest; of those of the same time, the first stays the first.
        while place and events[place - 1][0] > event[0]:
            place -= 1
        events.insert(place, event)
        if len(events) <= self._capacity:
            return None
        return events.popleft()

    def pop_until(self, until_us: int) -> list[Event]:
        """Take out the events up to a time, that included, and return them."""
        gone = []
        while self._events and self._events[0][0] <= until_us:
            gone.append(self._events.popleft())
        return gone

    def between(self, after_us: int, until_us: int) -> list[Event]:
        """Return the events after a time and up to another, that included, oldest first."""
        recent = takewhile(lambda event: event[0] > after_us, reversed(self._events))
        return [event for event in recent if event[0] <= until_us][::-1]

    def all(self) -> list[Event]:
        """Return all events, oldest first."""
        return list(self._events)
