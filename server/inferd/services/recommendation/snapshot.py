"""The catalogue's files: all items as they were once, and every change since.

Changes are appended to a journal, and acknowledged when the disk has them. After many of them a new
journal is begun, and all items as they were at that moment are written to a snapshot beside it:

    catalogue.000000000003.snapshot     all items, at the beginning of
    catalogue.000000000003.journal      the changes after that

What is older is removed when the snapshot has its name, so whenever a crash comes there is a
snapshot and all journals after it (or, at first, all journals). A change that was being written is
cut off: nobody was told that it is safe. A snapshot that is damaged is never passed over in
silence: the server does not start.

Blocks; used by one thread at a time, but for `write_snapshot`.
"""

import logging
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from inferd.cache import frames
from inferd.cache.journal.files import sync_directory
from inferd.errors import LoadFailed
from inferd.services.recommendation.catalogue import Catalogue, unit
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.items import Item, Vectors, decoded

_NAME = re.compile(r"catalogue\.(\d{12})\.(snapshot|journal)")
#: Items in a record of a snapshot.
_RECORD: Final = 500

log = logging.getLogger(__name__)


class Row(msgspec.Struct, frozen=True, array_like=True):
    """An item."""

    #: As `items.encoded` makes it.
    blob: bytes
    #: Little-endian float32, of length 1 or 0.
    vector: bytes
    added_us: int


class Put(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """Items that came, or were replaced."""

    #: Which model made the vectors, of those that came with none.
    made_by: str
    rows: Sequence[Row]


class Gone(msgspec.Struct, frozen=True, array_like=True, tag="gone"):
    """Items that were deleted."""

    ids: Sequence[str]


class End(msgspec.Struct, frozen=True, array_like=True, tag="end"):
    """The end of a snapshot."""

    items: int


Change = Put | Gone
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Put | Gone | End).decode


class CatalogueFiles:
    """The files of one catalogue, which no other process writes."""

    def __init__(self, directory: Path, *, made_by: str) -> None:
        """Take the directory, which is made if it is not there. Raises `OSError`.

        `made_by` says which model makes vectors now.
        """
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._made_by = directory, made_by
        self._lock = frames.locked(directory / "catalogue.lock")
        self._journal = -1
        self._number = 0
        #: Bytes of the journal that are whole.
        self._size = 0
        #: Whether there may be something behind them.
        self._untidy = False
        #: Changes in journals that were loaded: what the next snapshot is to spare another start.
        self.changes = 0

    def load(self, catalogue: Catalogue) -> list[str]:
        """Fill an empty catalogue, and go on with the journal.

        Returns the ids of items that lack a vector of the model that makes them now. Raises
        `OSError`, and `LoadFailed` for what is damaged.
        """
        try:
            return self._load(catalogue)
        except msgspec.MsgspecError as error:
            raise LoadFailed(f"{self._directory} has records that nobody knows: {error}") from error

    def append(self, change: Change) -> None:
        """Return when the disk has a change: all, or nothing of it. Raises `OSError`."""
        self._tidy()
        record = frames.framed(_encode(change))
        try:
            self._write(record)
            os.fsync(self._journal)
        except OSError:
            self._untidy = True
            with suppress(OSError):
                self._tidy()
            raise
        self._size += len(record)

    def put(self, rows: Sequence[Row]) -> Put:
        """Return the change that these items come."""
        return Put(self._made_by, rows)

    def begin(self) -> int:
        """Begin a new journal, and return the number of the snapshot before it.

        Raises `OSError`.
        """
        self._tidy()
        before = self._journal
        self._open(self._number + 1, 0)
        os.close(before)
        return self._number

    def write_snapshot(self, number: int, table: Table, rows: Ints) -> None:
        """Write these rows as all there was when journal `number` began. Raises `OSError`.

        May run while others append.
        """
        file = frames.NewFile(self._path(number, "snapshot"))
        try:
            for begin in range(0, len(rows), _RECORD):
                some = [row_of(table, row) for row in rows[begin : begin + _RECORD].tolist()]
                file.write([_encode(self.put(some))])
            file.write([_encode(End(len(rows)))])
            file.finish()
        except OSError:
            file.abandon()
            raise
        self._remove_before(number)

    def close(self) -> None:
        """Let others have the directory."""
        if self._journal >= 0:
            os.close(self._journal)
        os.close(self._lock)

    def _load(self, catalogue: Catalogue) -> list[str]:
        numbers = {kind: self._numbers(kind) for kind in ("snapshot", "journal")}
        outdated = dict[str, None]()
        first = max(numbers["snapshot"], default=0)
        if first in numbers["snapshot"]:
            self._load_snapshot(catalogue, self._path(first, "snapshot"), outdated)
        journals = [each for each in numbers["journal"] if each >= first]
        for number in journals:
            self._size = 0
            path = self._path(number, "journal")
            for record, self._size in frames.read(path):
                change = _decode(record)
                self.changes += len(change.rows) if isinstance(change, Put) else 1
                self._apply(catalogue, change, outdated)
            if lost := path.stat().st_size - self._size:
                if number != journals[-1]:  # it was whole when the next one was begun
                    raise LoadFailed(f"{path} is damaged: its last {lost} bytes cannot be read")
                log.warning("%s: its last %d bytes are no whole change", path, lost)
        self._open(max(first, *numbers["journal"], 0), self._size)
        self._remove_before(first)
        for unfinished in self._directory.glob("*.snapshot.new"):
            unfinished.unlink()
        return [id for id in outdated if catalogue.table.row(id) is not None]

    def _load_snapshot(self, catalogue: Catalogue, path: Path, outdated: dict[str, None]) -> None:
        end: End | None = None
        for record, _ in frames.read(path):
            change = _decode(record)
            if isinstance(change, End):
                end = change
            else:
                self._apply(catalogue, change, outdated)
        if end is None or end.items != len(catalogue):
            raise LoadFailed(f"{path} is damaged: {len(catalogue)} items of it can be read")

    def _apply(
        self, catalogue: Catalogue, change: Put | Gone | End, outdated: dict[str, None]
    ) -> None:
        if isinstance(change, Gone):
            catalogue.delete(change.ids)
        elif isinstance(change, Put):
            for row in change.rows:
                item = decoded(row.blob)
                if len(catalogue) == catalogue.max_items and catalogue.table.row(item.id) is None:
                    raise LoadFailed(
                        f"{self._directory} has more items than"
                        f" recommendation.catalogue.max_items, {catalogue.max_items}"
                    )
                vector = self._vector(item, row, change.made_by, catalogue.dimensions)
                outdated.pop(item.id, None)
                if vector is None:
                    outdated[item.id] = None
                    vector = np.zeros(catalogue.dimensions, np.float32)
                catalogue.put(item, row.blob, vector, row.added_us)

    def _vector(self, item: Item, row: Row, made_by: str, dimensions: int) -> Vectors | None:
        """Return an item's vector; None: another model made it, or none has yet."""
        if item.vector is not None and len(item.vector) == dimensions:
            own: Vectors = unit(item.vector[None, :])[0]
            return own
        if made_by == self._made_by and len(row.vector) == 4 * dimensions:
            vector = np.frombuffer(row.vector, "<f4").astype(np.float32, copy=False)
            # A snapshot may have come before the model that was to make it anew.
            return vector if vector.any() or not made_by else None
        return None

    def _numbers(self, kind: str) -> list[int]:
        found = (_NAME.fullmatch(path.name) for path in self._directory.iterdir())
        return sorted(int(each[1]) for each in found if each and each[2] == kind)

    def _path(self, number: int, kind: str) -> Path:
        return self._directory / f"catalogue.{number:012d}.{kind}"

    def _open(self, number: int, size: int) -> None:
        """Go on with a journal behind its last whole change; or, if it cannot be, as before."""
        path = self._path(number, "journal")
        journal = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.ftruncate(journal, size)
            sync_directory(self._directory)
        except OSError:
            os.close(journal)
            raise
        self._journal, self._number, self._size = journal, number, size

    def _write(self, record: bytes) -> None:
        written = 0
        while written < len(record):
            written += os.pwrite(self._journal, record[written:], self._size + written)

    def _tidy(self) -> None:
        """Have nothing behind the last whole change."""
        if self._untidy:
            os.ftruncate(self._journal, self._size)
            os.fsync(self._journal)
            self._untidy = False

    def _remove_before(self, number: int) -> None:
        for kind in ("snapshot", "journal"):
            for each in self._numbers(kind):
                if each < number:
                    self._path(each, kind).unlink(missing_ok=True)


def row_of(table: Table, row: int) -> Row:
    """Return a row of a table as it is kept."""
    vector = table.vectors[row].astype("<f4").tobytes()
    return Row(table.blobs[row], vector, int(table.added_us[row]))


def rows_of(blobs: Sequence[bytes], vectors: Vectors, added_us: int) -> Iterator[Row]:
    """Yield items as they are kept."""
    for blob, vector in zip(blobs, vectors, strict=True):
        yield Row(blob, vector.astype("<f4").tobytes(), added_us)
