"""Pre-aggregates of equal spans of time: of each, what its events come to, whatever their number.

Tile i of size T is of the events in `(i * T, (i + 1) * T]`, so that a window that ends with a tile
begins with one, too. There are only tiles that have events.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from inferd.features.windows.reducers import Reducer
from inferd.features.windows.ring import Event

Partials = list[Any]
"""The states of the slots of a level; None: of nothing."""


class Slot(NamedTuple):
    """One partial of one field."""

    reducer: Reducer
    #: The field's cell; -1: the event itself.
    of: int

    def gather(self, events: Sequence[Event]) -> Any:
        """Return the state of events; None: they have nothing of it."""
        of = self.of
        known = [(at, cells[of]) for at, cells in events if cells[of] is not None]
        return self.reducer.gather(*zip(*known, strict=True)) if known else None

    def fold(self, states: Iterable[Any]) -> Any:
        """Return the state of several, any of which may be None."""
        known = [state for state in states if state is not None]
        if len(known) > 1:
            return self.reducer.fold(known)
        return known[0] if known else None


class Level:
    """Tiles of one size, and what they are for."""

    def __init__(self, tile_us: int, horizon_us: int, slots: Sequence[Slot]) -> None:
        self.tile_us = tile_us
        #: The longest window that is read by these tiles: they are kept for so long.
        self.horizon_us = horizon_us
        #: Finer levels have these, too, and first, so that their tiles can be put into these.
        self.slots = slots
        #: Of each slot its place, its field, and its reducer's `add` and `gather`.
        self.adders = [
            (place, slot.of, slot.reducer.add, slot.reducer.gather)
            for place, slot in enumerate(slots)
        ]


class Tiles:
    """The tiles of one level of one entity."""

    def __init__(self, level: Level, tiles: Iterable[tuple[int, Partials]] = ()) -> None:
        self._level = level
        self._size_us = level.tile_us
        self._tiles = dict(tiles)
        #: The first that any window can need.
        self._first = self._first_needed(0)

    def __len__(self) -> int:
        return len(self._tiles)

    @property
    def start_us(self) -> int:
        """Nothing of this time or earlier is kept."""
        return self._first * self._size_us

    @property
    def due_us(self) -> int:
        """The time at which the first tile will have become too old."""
        return self.start_us + self._size_us + self._level.horizon_us

    def add(self, event: Event) -> bool:
        """Add an event to its tile, and return True; False: it is too old."""
        event_us, cells = event
        index = (event_us - 1) // self._size_us
        if index < self._first:
            return False
        tile = self._tiles.get(index)
        if tile is None:
            tile = self._tiles[index] = [None] * len(self._level.adders)
        for place, of, add, gather in self._level.adders:
            value = cells[of]
            if value is None:
                continue
            state = tile[place]
            if state is None:
                tile[place] = gather((event_us,), (value,))
            else:
                tile[place] = add(state, event_us, value)
        return True

    def put(self, start_us: int, partials: Partials) -> bool:
        """Put a finer tile, which is used up, into the one around it; False: it is too old."""
        index = start_us // self._size_us
        if index < self._first:
            return False
        there = self._tiles.get(index)
        if there is not None:
            # A finer level may have slots after those of this one.
            pairs = zip(self._level.slots, there, partials, strict=False)
            partials = [slot.fold(pair) for slot, *pair in pairs]
        self._tiles[index] = partials[: len(self._level.slots)]
        return True

    def pop_old(self, as_of_us: int) -> list[tuple[int, Partials]]:
        """Take out the tiles that no window needs at a time, and return them with their starts."""
        tiles = self._tiles
        first = self._first_needed(as_of_us)
        if not tiles:
            self._first = first
            return []
        passed = range(self._first, first)
        # Whichever are fewer: those that can have become too old, or all that there are.
        old = [index for index in (passed if len(passed) < len(tiles) else tiles) if index < first]
        self._first = first
        return [(index * self._size_us, tiles.pop(index)) for index in old if index in tiles]

    def between(self, after_us: int, until_us: int) -> list[Partials]:
        """Return the tiles that have to do with the time after one and up to another."""
        low, high = after_us // self._size_us, (until_us - 1) // self._size_us
        return [tile for index, tile in self._tiles.items() if low <= index <= high]

    def all(self) -> list[tuple[int, Partials]]:
        """Return all tiles with their numbers."""
        return list(self._tiles.items())

    def _first_needed(self, as_of_us: int) -> int:
        return (as_of_us - self._level.horizon_us) // self._size_us
