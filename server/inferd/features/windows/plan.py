"""What a view keeps of the events of an entity, so that its aggregates can be read.

Every event is in one place. At first it is kept as it came, in a ring, if there are windows of at
most `RING_US`: those are exact. Later, or when the ring would have more than `RING_CAPACITY`, it is
counted in a tile of the shortest windows; when it is too old for those, the tile is put into a
larger one of longer windows, and so on. To read a window is to put together what is in it of the
ring and of all tiles up to its own. (Chronon calls such windows sawtooth: their head slides, their
tail hops.) At its tail a window counts whole tiles, so it may have events that are up to a tile
too old: at most a sixtieth of the window or a second, whichever is more.

The sizes of tiles divide each other, so that a tile of one is within a tile of the next.

Lists of the newest events are kept beside all that (`newest`).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from inferd.features.windows.aggregates import SECOND_US, Aggregate, Answer
from inferd.features.windows.codec import Codec
from inferd.features.windows.newest import Columns, Newest
from inferd.features.windows.tiles import Level, Slot

RING_US = 60 * SECOND_US
"""Windows up to this are exact while the ring has room."""
RING_CAPACITY = 256
"""So many events are kept as they came."""
TILES_US = tuple(
    seconds * SECOND_US for seconds in (1, 5, 10, 30, 60, 300, 600, 1200, 3600, 7200, 14400, 43200)
)
"""The sizes that tiles can have; each divides the next."""
TILES_PER_WINDOW = 60
"""At least, of windows of a minute and more."""

_FORMAT = 2
"""Another one whenever a state looks different as bytes, or the same bytes mean something else."""


LISTS = -1
"""Stands for the place of a slot, where the rows of lists are meant."""


class Window(NamedTuple):
    """What is to be read of one window."""

    window_us: int
    #: The level of its tiles; finer ones are read, too.
    level: int
    #: The slots that are asked for.
    places: Sequence[int]


class Plan:
    """What is kept for some aggregates, at least one. Shared by the states of all entities."""

    def __init__(self, asked: Sequence[Aggregate | Newest], fields: Sequence[str] = ()) -> None:
        """`fields`: what the fields are called, by place; states of others are not one's own."""
        aggregates = [each for each in asked if isinstance(each, Aggregate)]
        lists = [each for each in asked if isinstance(each, Newest)]
        columns = Columns(lists) if lists else None
        order = _order(aggregates)
        lengths = sorted({each.window_us for each in aggregates})
        horizons = {_tile_us(length): length for length in lengths}
        sizes = [*horizons]
        #: From the finest to the coarsest.
        self.levels = [
            Level(size, horizon, [slot for slot, end in order.items() if _tile_us(end) >= size])
            for size, horizon in horizons.items()
        ]
        self.longest_us = max(each.window_us for each in asked)
        #: Whether there is a ring before the first level.
        self.has_ring = any(length <= RING_US for length in lengths)
        #: Of the finest level, of which the others have the first.
        self.slots = [*order]
        places = {slot: place for place, slot in enumerate(order)}
        #: What is kept for lists of the newest events, if there are any.
        self.columns = columns
        #: The windows of these lists.
        self.list_windows_us = sorted({each.window_us for each in lists})
        wanted = [(each.window_us, places[_slot(each)]) for each in aggregates]
        self.windows = [
            Window(
                length,
                sizes.index(_tile_us(length)),
                sorted({place for window_us, place in wanted if window_us == length}),
            )
            for length in lengths
        ]
        order_read = [(each.window_us, place) for each in self.windows for place in each.places]
        order_read += [(window_us, LISTS) for window_us in self.list_windows_us]
        #: Of each aggregate, which of what is read it is made of (the slots of all windows, and
        #: then the rows of lists), and what makes its value.
        self.answers: Sequence[tuple[int, Callable[[Any], Answer]]] = [
            (order_read.index((each.window_us, places[_slot(each)])), each.answer)
            if isinstance(each, Aggregate)
            else (
                order_read.index((each.window_us, LISTS)),
                each.answer(columns.of if columns else ()),
            )
            for each in asked
        ]
        #: Without a ring and lists, windows begin and end with tiles, and so their values change
        #: at most when a multiple of this has passed; 0: they may change at any time.
        self.step_us = 0 if lists or any(length % sizes[0] for length in lengths) else sizes[0]
        fingerprint = _fingerprint(self.levels, self.has_ring, columns, fields)
        self.codec = Codec(self.levels, fingerprint, columns)


def _slot(aggregate: Aggregate) -> Slot:
    return Slot(aggregate.reducer, -1 if aggregate.of is None else aggregate.of)


def _order(aggregates: Sequence[Aggregate]) -> dict[Slot, int]:
    """Return the slots and the longest window of each; the longest first.

    So what a level does not need, as it is of shorter windows only, is at the end.
    """
    ends: dict[Slot, int] = {}
    for each in aggregates:
        slot = _slot(each)
        ends[slot] = max(each.window_us, ends.get(slot, 0))

    def rank(slot: Slot) -> tuple[int, str, int]:
        return -ends[slot], slot.reducer.name, slot.of

    return {slot: ends[slot] for slot in sorted(ends, key=rank)}


def _tile_us(window_us: int) -> int:
    most = max(window_us // TILES_PER_WINDOW, TILES_US[0])
    return max(size for size in TILES_US if size <= most)


def _fingerprint(
    levels: Sequence[Level], has_ring: bool, columns: Columns | None, fields: Sequence[str]
) -> int:
    """Return what plans have in common that can read each other's states."""
    kept = [
        (level.tile_us, [(slot.reducer.name, slot.of) for slot in level.slots]) for level in levels
    ]
    lists = [] if columns is None else [columns.of]
    return crc32(repr((_FORMAT, has_ring, kept, [*fields], *lists)).encode())
