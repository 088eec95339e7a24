"""What is kept of one entity in one view: events come in, aggregates are read.

What is read depends, but for the rounding of floats, on the events alone and on the latest time
that was asked for: neither on the order in which they came nor on how often it has been bytes.
"""

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

from inferd.features.windows.aggregates import Answer
from inferd.features.windows.codec import Kept
from inferd.features.windows.newest import Latest
from inferd.features.windows.plan import RING_CAPACITY, Plan, Window
from inferd.features.windows.recent import Recent
from inferd.features.windows.ring import Event, Ring
from inferd.features.windows.tiles import Partials, Tiles


class Added(Enum):
    """What became of an event."""

    ADDED = auto()
    #: One with its id is among the last `recent.CAPACITY`.
    DUPLICATE = auto()
    #: It is in no window any more.
    TOO_OLD = auto()


class State:
    """The events of one entity, as far as the plan needs them."""

    def __init__(self, plan: Plan, kept: Kept | None = None) -> None:
        kept = kept or Kept(0, [], [], [()] * len(plan.levels))
        self._plan = plan
        #: The time of the newest event; 0: there was none.
        self.newest_us = kept.newest_us
        self._recent = Recent(kept.recent)
        self._ring = Ring(RING_CAPACITY, kept.events)
        self._levels = [Tiles(*each) for each in zip(plan.levels, kept.tiles, strict=True)]
        self._latest = None if plan.columns is None else Latest(plan.columns, kept.newest)
        self._as_of_us = 0
        #: When something will have become too old for its place.
        self._due_us = 0
        #: What was read last, and in which step of time; None: nothing since it changed.
        self._last: tuple[int, tuple[Answer, ...]] | None = None

    def add(
        self,
        event_us: int,
        event_id: str,
        values: Sequence[float | int | str | bytes | bool | None],
        *,
        now_us: int,
    ) -> Added:
        """Count an event, in the tile of its own time.

        Args:
            event_us: When it happened. It is the caller's to refuse what is in the future.
            event_id: An event that comes again is known by it; one with the id "" never is.
            values: In the order of the view's fields. None: every aggregate of the field skips it.
                Floats are finite, integers have up to 64 bits, texts have UTF-8.
            now_us: What time it is.
        """
        self.evict(now_us)
        if event_us <= self._as_of_us - self._plan.longest_us:
            return Added.TOO_OLD
        if event_id and not self._recent.is_new(event_id):
            return Added.DUPLICATE
        self.newest_us = max(self.newest_us, event_us)
        self._place((event_us, (*values, True)))
        if self._latest is not None:
            self._latest.add(event_us, values, self._as_of_us)
        return Added.ADDED

    def read(self, at_us: int) -> tuple[Answer, ...]:
        """Return the aggregates as of a time, in the order of the plan.

        As of a time before the latest that was asked for, the tails of windows are less exact, and
        events may be gone that would have been in them.
        """
        self.evict(at_us)
        step_us = self._plan.step_us
        # The microsecond at which a step ends is neither of it nor of the next.
        step = at_us // step_us if step_us and at_us % step_us and not self._ring else -1
        if self._last is not None and self._last[0] == step:
            return self._last[1]
        states: list[Any] = []
        for window in self._plan.windows:
            states += self._states(window, at_us)
        if self._latest is not None:
            for window_us in self._plan.list_windows_us:
                states.append(self._latest.between(at_us - window_us, at_us))
        answers = tuple([answer(states[at]) for at, answer in self._plan.answers])
        self._last = None if step < 0 else (step, answers)
        return answers

    def evict(self, at_us: int) -> None:
        """Let go of what no window needs at a time, and put into larger tiles what can be."""
        if at_us > self._as_of_us:
            self._as_of_us = at_us
            if at_us >= self._due_us:
                self._move_down()

    def encode(self, stamp: int) -> bytes:
        """Return it as a blob (`inferd.cache.blobs`)."""
        tiles = [level.all() for level in self._levels]
        newest = () if self._latest is None else self._latest.all()
        kept = Kept(self.newest_us, self._recent.all(), self._ring.all(), tiles, newest)
        return self._plan.codec.encode(stamp, kept)

    @classmethod
    def decode(cls, plan: Plan, blob: bytes) -> "State | None":
        """Return what was a blob; None for bytes that are none, or that are of another plan."""
        kept = plan.codec.decode(blob)
        return None if kept is None else cls(plan, kept)

    def _move_down(self) -> None:
        """Put what is too old for its place where it belongs now."""
        self._last = None
        if not self._levels:
            return
        old = [tiles.pop_old(self._as_of_us) for tiles in self._levels]
        self._due_us = min(tiles.due_us for tiles in self._levels)
        for event in self._ring.pop_until(self._levels[0].start_us):
            self._place(event)
        for number, popped in enumerate(old, start=1):
            for start_us, partials in popped:
                for tiles in self._levels[number:]:
                    if tiles.put(start_us, partials):
                        break

    def _place(self, event: Event) -> None:
        self._last = None
        if self._plan.has_ring and event[0] > self._levels[0].start_us:
            oldest = self._ring.add(event)
            if oldest is None:
                return
            event = oldest
        for tiles in self._levels:
            if tiles.add(event):
                return

    def _states(self, window: Window, at_us: int) -> list[Any]:
        """Return the states of a window's slots."""
        after_us = at_us - window.window_us
        events = self._ring.between(after_us, at_us) if self._ring else []
        tiles: list[Partials] = []
        for level in self._levels[: window.level + 1]:
            if level:
                tiles += level.between(after_us, at_us)
        if not events and len(tiles) < 2:  # as in most windows of most entities
            return [tiles[0][place] if tiles else None for place in window.places]
        slots = self._plan.slots
        return [
            slots[place].fold([tile[place] for tile in tiles] + [slots[place].gather(events)])
            for place in window.places
        ]
