"""What can be recommended, in memory: items come, are replaced and go.

Pure but for its memory: `now` comes in, and nothing here waits or writes (`snapshot` does). Dead
rows are cleared away little by little: while there are too many of them every change also moves a
few living ones to the next table, which takes the place of this one when all are there. So no
change takes longer for it, whatever the size of the catalogue.
"""

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final

import numpy as np

from inferd.errors import Exhausted
from inferd.services.recommendation.codes import Vocabulary
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.items import Item, Vectors, decoded, encoded

__all__ = ["Catalogue", "CatalogueFull", "Item", "Upserted"]

MAX_ATTRIBUTES: Final = 256
"""Names of attributes, of all items there ever were since the start: each is a column."""
#: So many rows move at a time, once for every eighth as many changes: were it not fewer changes
#: than rows, the next table would never catch up.
_MOVED: Final = 256
#: So few dead rows are never worth a move.
_LITTER: Final = 1024


class Upserted(IntEnum):
    """What became of an item. The numbers are the protocol's."""

    ADDED = 1
    REPLACED = 2
    UNCHANGED = 3


class CatalogueFull(Exhausted):
    """There are as many items as the configuration allows."""

    reason = "CATALOGUE_FULL"
    retry_after_s = -1.0


class Catalogue:
    """The items. Lives on the event loop."""

    def __init__(self, *, dimensions: int, max_items: int) -> None:
        """Be empty, for at most so many items, with vectors of so many dimensions."""
        self.dimensions, self.max_items = dimensions, max_items
        #: Grows with every change.
        self.epoch = 0
        self._vocabulary = Vocabulary()
        #: What there is now. It may be another after a change.
        self.table = self._empty()
        #: The table that is being made, and how many rows of this one were moved there.
        self._next: Table | None = None
        self._moved = 0
        #: Which rows those were: one array for each time.
        self._origins: list[Ints] = []

    def __len__(self) -> int:
        """Return how many items there are."""
        return self.table.living

    def get(self, id: str) -> Item | None:
        """Return an item."""
        row = self.table.row(id)
        return None if row is None else decoded(self.table.blobs[row])

    def check_room(self, items: Sequence[Item]) -> None:
        """Raise `CatalogueFull` if these items, or attributes of theirs, would be too many."""
        new = sum(self.table.row(id) is None for id in {item.id for item in items})
        if new and len(self) + new > self.max_items:
            raise CatalogueFull(f"the catalogue holds at most {self.max_items} items")
        names = {name for item in items for name in item.attributes}
        if len(names | self._vocabulary.attributes.keys()) > MAX_ATTRIBUTES:
            raise CatalogueFull(f"items have at most {MAX_ATTRIBUTES} different attributes")

    def upsert(self, items: Sequence[Item], vectors: Vectors, now_us: int) -> list[Upserted]:
        """Add items, or replace those of the same id. All or none.

        `vectors` is float32 [n, d], of any length; a row of zeros: nobody knows. Raises
        `CatalogueFull`.
        """
        self.check_room(items)
        units = unit(vectors)
        return [
            self.put(item, encoded(item), units[place], now_us) for place, item in enumerate(items)
        ]

    def put(self, item: Item, blob: bytes, vector: Vectors, now_us: int) -> Upserted:
        """Add an item, or replace one. There must be room.

        `blob` is what `encoded` makes of it, `vector` float32 [d], of length 1 or 0.
        """
        table = self.table
        row = table.row(item.id)
        if row is not None:
            if table.blobs[row] == blob and np.array_equal(table.vectors[row], vector):
                return Upserted.UNCHANGED
            now_us = int(table.added_us[row])
            table.bury(row)
        if table.size == table.capacity:
            self._tidy(table.capacity)
        self.table.append(item, blob, vector, now_us)
        self._changed()
        return Upserted.ADDED if row is None else Upserted.REPLACED

    def delete(self, ids: Iterable[str]) -> list[bool]:
        """Take items away; return of each whether it was there."""
        return [self._take(id) for id in ids]

    def _take(self, id: str) -> bool:
        row = self.table.row(id)
        if row is None:
            return False
        self.table.bury(row)
        self._changed()
        return True

    def _changed(self) -> None:
        self.epoch += 1
        if self.epoch % (_MOVED // 8) == 0:
            self._tidy(_MOVED)

    def _tidy(self, rows: int) -> None:
        """Move so many rows to the next table, if there should be one."""
        table = self.table
        if self._next is None:
            if table.size - table.living <= max(_LITTER, table.living // 2):
                return
            self._next, self._moved, self._origins = self._empty(), 0, []
        end = min(self._moved + rows, table.size)
        self._origins.append(self._next.move(table, self._moved, end))
        self._moved = end
        if end == table.size:
            # What died since it was moved is to be dead there, too.
            self._next.keep_only(table.alive[np.concatenate(self._origins)])
            self.table, self._next = self._next, None

    def _empty(self) -> Table:
        return Table(2 * self.max_items + 2 * _LITTER, self.dimensions, self._vocabulary)


def unit(vectors: Vectors) -> Vectors:
    """Return vectors, float32 [n, d], with a length of 1; those of length 0 as they are."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units: Vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return units
