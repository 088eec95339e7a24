"""What there is, in columns: a row for each item, and an array for each field.

Rows are only ever added. An item that is replaced gets another row and its old one dies, so whoever
holds row numbers finds under them what was there before. Space is taken for as many rows as there
may be; what is not written to costs nothing, for the system gives memory when it is touched. When
too many rows are dead, the living are moved to another table (`catalogue`), and whoever holds the
old one may go on with it.

Texts are numbers in columns: see `codes`.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.codes import Attribute, Codes, Vocabulary
from inferd.services.recommendation.items import Item, Vectors

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]

UNKNOWN_STOCK: Final = -1


class Table:
    """The columns. Lives on the event loop; all arrays are for reading only.

    They are views on the rows that there are when they are asked for; `alive` of them is kept up.
    """

    def __init__(self, capacity: int, dimensions: int, vocabulary: Vocabulary) -> None:
        """Take space for so many rows, and vectors of so many dimensions."""
        self.capacity, self.vocabulary = capacity, vocabulary
        #: How many rows there are, dead ones too.
        self.size = 0
        #: How many of them are alive.
        self.living = 0
        #: By row.
        self.ids: list[str] = []
        self.titles: list[str] = []
        #: Items as they are kept.
        self.blobs: list[bytes] = []
        self.attributes: dict[str, Attribute] = {}
        self._rows: dict[str, int] = {}
        self._alive = np.zeros(capacity, np.bool_)
        self._vectors = np.zeros((capacity, dimensions), np.float32)
        self._numbers = {
            name: np.zeros(capacity, np.int64)
            for name in ("price_minor", "stock", "released_us", "added_us")
        }
        self._codes = {
            name: np.zeros(capacity, np.int32)
            for name in ("category", "brand", "merchant", "currency")
        }
        self._tags = np.zeros((capacity, 0), np.int32)
        #: Int64 [capacity]: what `Behaviour.slots_of` found; 0: nothing yet. It is not ours.
        self.slots = np.zeros(capacity, np.int64)
        #: Which numbering of slots that is of.
        self.slots_of: object = None

    @property
    def dimensions(self) -> int:
        """How long vectors are."""
        return self._vectors.shape[1]

    @property
    def alive(self) -> Mask:
        """Bool [n]: whether the row is the one that its item has now."""
        return self._alive[: self.size]

    @property
    def vectors(self) -> Vectors:
        """Float32 [n, d], each of length 1; or 0: it is not known where the item is."""
        return self._vectors[: self.size]

    @property
    def price_minor(self) -> Ints:
        """Int64 [n]."""
        return self._numbers["price_minor"][: self.size]

    @property
    def stock(self) -> Ints:
        """Int64 [n]. `UNKNOWN_STOCK`: that is not known, and it can be had."""
        return self._numbers["stock"][: self.size]

    @property
    def released_us(self) -> Ints:
        """Int64 [n]: from when on it is recommended."""
        return self._numbers["released_us"][: self.size]

    @property
    def added_us(self) -> Ints:
        """Int64 [n]: when an item of this id was first there."""
        return self._numbers["added_us"][: self.size]

    @property
    def category(self) -> Small:
        """Int32 [n], of `categories`."""
        return self._codes["category"][: self.size]

    @property
    def brand(self) -> Small:
        """Int32 [n], of `brands`."""
        return self._codes["brand"][: self.size]

    @property
    def merchant(self) -> Small:
        """Int32 [n], of `merchants`."""
        return self._codes["merchant"][: self.size]

    @property
    def currency(self) -> Small:
        """Int32 [n], of `vocabulary.currencies`."""
        return self._codes["currency"][: self.size]

    @property
    def tags(self) -> Small:
        """Int32 [n, most tags of an item], of `vocabulary.tags`; 0 where there is none."""
        return self._tags[: self.size]

    @property
    def categories(self) -> Codes:
        """The texts of `category`."""
        return self.vocabulary.categories

    @property
    def brands(self) -> Codes:
        """The texts of `brand`."""
        return self.vocabulary.brands

    @property
    def merchants(self) -> Codes:
        """The texts of `merchant`."""
        return self.vocabulary.merchants

    def row(self, id: str) -> int | None:
        """Return the living row of an item."""
        row = self._rows.get(id)
        return row if row is not None and self._alive[row] else None

    def rows(self, ids: Iterable[str]) -> Ints:
        """Return the living rows of items, int64 [k]; -1 for those that there are not."""
        found = np.fromiter((self._rows.get(id, -1) for id in ids), np.int64)
        found[~self._alive[found]] = -1
        return found

    def append(self, item: Item, blob: bytes, vector: Vectors, added_us: int) -> int:
        """Write an item to another row, which is alive, and return it. There must be room."""
        row = self.size
        self.size += 1
        self.living += 1
        words, numbers, codes = self.vocabulary, self._numbers, self._codes
        self.ids.append(item.id)
        self.titles.append(item.title)
        self.blobs.append(blob)
        self._vectors[row] = vector
        numbers["price_minor"][row] = item.price_minor
        numbers["stock"][row] = UNKNOWN_STOCK if item.stock is None else item.stock
        numbers["released_us"][row] = item.released_us
        numbers["added_us"][row] = added_us
        codes["category"][row] = words.categories.code(item.category)
        codes["brand"][row] = words.brands.code(item.brand)
        codes["merchant"][row] = words.merchants.code(item.merchant)
        codes["currency"][row] = words.currencies.code(item.currency)
        if item.tags:
            self._tag(row, item.tags)
        for name, value in item.attributes.items():
            self._attribute(name).set(row, value)
        self._rows[item.id] = row
        self._alive[row] = True
        return row

    def bury(self, row: int) -> None:
        """Have a row be alive no more."""
        self.living -= int(self._alive[row])
        self._alive[row] = False

    def keep_only(self, alive: Mask) -> None:
        """Have only these rows be alive, bool [n]."""
        self._alive[: self.size] = alive
        self.living = int(np.count_nonzero(alive))

    def move(self, old: "Table", begin: int, end: int) -> Ints:
        """Append the living among these rows of another table, and return which those are.

        There must be room.
        """
        rows = begin + np.flatnonzero(old._alive[begin:end])
        at, count = self.size, len(rows)
        here = slice(at, at + count)
        self.size += count
        self.living += count
        for mine, theirs in self._paired(old):
            mine[here, ...] = theirs[rows]
        moved = rows.tolist()
        self.ids += (ids := [old.ids[row] for row in moved])
        self.titles += [old.titles[row] for row in moved]
        self.blobs += [old.blobs[row] for row in moved]
        self._rows.update(zip(ids, range(at, at + count), strict=True))
        self._alive[here] = True
        return rows

    def _paired(self, old: "Table") -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        yield self._vectors, old._vectors
        for name, numbers in self._numbers.items():
            yield numbers, old._numbers[name]
        for name, codes in self._codes.items():
            yield codes, old._codes[name]
        width = old._tags.shape[1]
        self._widen(width)
        yield self._tags[:, :width], old._tags
        for name, theirs in old.attributes.items():
            mine = self._attribute(name)
            yield mine.kinds, theirs.kinds
            yield mine.values, theirs.values

    def _attribute(self, name: str) -> Attribute:
        found = self.attributes.get(name)
        if found is None:
            codes = self.vocabulary.attributes.setdefault(name, Codes())
            found = self.attributes[name] = Attribute(self.capacity, codes)
        return found

    def _tag(self, row: int, tags: Sequence[str]) -> None:
        self._widen(len(tags))
        self._tags[row, : len(tags)] = [self.vocabulary.tags.code(tag) for tag in tags]

    def _widen(self, width: int) -> None:
        """Have room for so many tags of an item: at least twice as many as before."""
        there = self._tags.shape[1]
        if width > there:
            wider = np.zeros((self.capacity, max(width, 2 * there)), np.int32)
            wider[: self.size, :there] = self._tags[: self.size]
            self._tags = wider
