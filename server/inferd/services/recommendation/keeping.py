"""What keeps the catalogue over restarts, and the loop free meanwhile.

Changes of the catalogue are made one after the other: written, then seen. A change that was begun
is finished, whether its caller waits for it or not: else the files would know what the server does
not. Large changes are made a few items at a time, so that others have their turn in between.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from inferd.errors import DependencyFailed
from inferd.services.recommendation.catalogue import Catalogue, Item, Upserted, unit
from inferd.services.recommendation.items import Vectors, encoded
from inferd.services.recommendation.snapshot import CatalogueFiles, Change, Gone, rows_of

#: Items that are taken before others have their turn: about half a millisecond.
AT_A_TIME: Final = 50

T = TypeVar("T")
log = logging.getLogger(__name__)


class KeptCatalogue:
    """Changes a catalogue, and keeps the changes. Lives on the event loop."""

    def __init__(
        self, catalogue: Catalogue, files: CatalogueFiles | None, *, snapshot_changes: int
    ) -> None:
        """Go on where the files were loaded. None: nothing is kept."""
        self.catalogue = catalogue
        self._files = files
        self._snapshot_changes = snapshot_changes
        #: Since the last snapshot.
        self._changes = 0 if files is None else files.changes
        self._closed = False
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._snapshots: asyncio.Task[None] | None = None

    async def upsert(self, items: Sequence[Item], vectors: Vectors, now_us: int) -> list[Upserted]:
        """Add items, or replace those of the same id; all or none. Returns when they are safe.

        `vectors` as in `Catalogue.upsert`. Raises `CatalogueFull`, and `DependencyFailed` if they
        cannot be written.
        """
        self._check_open()
        return await self._finished(self._upsert(items, vectors, now_us))

    async def delete(self, ids: Sequence[str]) -> list[bool]:
        """Take items away; return of each whether it was there, when that is safe.

        Raises `DependencyFailed`.
        """
        self._check_open()
        return await self._finished(self._delete(ids))

    async def close(self) -> None:
        """Finish what was begun, and let go of the files."""
        self._closed = True
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._files is not None:
            await asyncio.to_thread(self._files.close)

    async def _upsert(self, items: Sequence[Item], vectors: Vectors, now_us: int) -> list[Upserted]:
        async with self._turn:
            self.catalogue.check_room(items)
            units = unit(vectors)
            blobs = list[bytes]()
            for some in _slices(len(items)):
                blobs += map(encoded, items[some])
                await asyncio.sleep(0)
            if self._files is not None:
                rows = [*rows_of(blobs, units, now_us)]
                await self._write(self._files, self._files.put(rows), len(rows))
            done = list[Upserted]()
            for some in _slices(len(items)):
                each = zip(items[some], blobs[some], units[some], strict=True)
                done += [self.catalogue.put(*one, now_us) for one in each]
                await asyncio.sleep(0)
            return done

    async def _delete(self, ids: Sequence[str]) -> list[bool]:
        async with self._turn:
            if self._files is not None:
                await self._write(self._files, Gone(ids), len(ids))
            return self.catalogue.delete(ids)

    async def _write(self, files: CatalogueFiles, change: Change, count: int) -> None:
        if self._changes >= self._snapshot_changes and self._snapshots is None:
            await self._begin_snapshot(files)
        try:
            await asyncio.to_thread(files.append, change)
        except OSError as error:
            log.warning("the catalogue cannot be written: %s", error)
            raise DependencyFailed("the catalogue cannot be written") from error
        self._changes += count

    async def _begin_snapshot(self, files: CatalogueFiles) -> None:
        """Have a snapshot written beside what goes on. Rows never change, so a thread may read."""
        table = self.catalogue.table
        rows = np.flatnonzero(table.alive)
        try:
            number = await asyncio.to_thread(files.begin)
        except OSError as error:  # the journal that there is goes on
            log.warning("no new journal of the catalogue could be begun: %s", error)
            return
        self._changes = 0
        work = asyncio.to_thread(files.write_snapshot, number, table, rows)
        self._snapshots = self._owned(self._snapshot(work))

    async def _snapshot(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except OSError as error:  # the journals have everything, and the next one may be written
            log.warning("no snapshot of the catalogue could be written: %s", error)
        finally:
            self._snapshots = None

    def _check_open(self) -> None:
        if self._closed:
            raise DependencyFailed("the catalogue is closed")

    async def _finished(self, change: Coroutine[Any, Any, T]) -> T:
        return await asyncio.shield(self._owned(change))

    def _owned(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_heard)
        return task


def _slices(count: int) -> list[slice]:
    return [slice(begin, begin + AT_A_TIME) for begin in range(0, count, AT_A_TIME)]


def _heard(task: asyncio.Task[Any]) -> None:
    """Take note of a failure that nobody waited for."""
    if not task.cancelled():
        task.exception()
