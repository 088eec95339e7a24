"""What there is to be recommended at first: vectors that are lacking, and items of a file.

Items are taken in a few at a time. That it was begun is on the disk until all of them are in, so a
start after a crash, or after the file was mended, goes on with those that are not there yet.
"""

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from inferd.cache.journal.files import sync_directory
from inferd.call import Call
from inferd.config.recommendation.catalogue import Catalogue as Settings
from inferd.deadline import NEVER, Clock, Deadline
from inferd.errors import DeadlineExceeded, Unavailable
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.seed import seed_items

AT_A_TIME: Final = 200
"""Items that the content tower is told at once."""
AGAIN_S: Final = 1.0
"""After which it is tried again to have vectors made."""

log = logging.getLogger(__name__)


class Stock(Protocol):
    """Where items are put: `Stocking`."""

    async def put(
        self, items: Sequence[Item], call: Call, deadline: Deadline, *, now_us: int
    ) -> object:
        """Add or replace items. Raises `InferdError`."""


class Seeding:
    """Adds what is to be there before anybody asks. Lives on the event loop."""

    def __init__(
        self, settings: Settings, catalogue: Catalogue, stock: Stock, *, clock: Clock
    ) -> None:
        self._settings = settings
        self._catalogue = catalogue
        self._stock = stock
        self._clock = clock
        self._mark = None if settings.path is None else _Mark(settings.path)

    async def make_vectors(self, ids: Sequence[str]) -> None:
        """Have vectors made of these items. Raises `InferdError` if that can never be done."""
        for begin in range(0, len(ids), AT_A_TIME):
            some = map(self._catalogue.get, ids[begin : begin + AT_A_TIME])
            await self._put([item for item in some if item is not None])

    async def take_in(self) -> None:
        """Take in what is not there of the file, if nothing is or not all of it was taken.

        Raises `OSError`, and `InferdError` for what is wrong with it.
        """
        path, mark = self._settings.seed, self._mark
        begun = mark is not None and mark.is_set()
        if path is None or (len(self._catalogue) and not begun):
            return
        if mark is not None:
            await asyncio.to_thread(mark.set)
        items = seed_items(path, dimensions=self._settings.dimensions)
        while some := await asyncio.to_thread(list, islice(items, AT_A_TIME)):
            await self._put([each for each in some if self._catalogue.table.row(each.id) is None])
        if mark is not None:
            await asyncio.to_thread(mark.clear)

    async def _put(self, items: Sequence[Item]) -> None:
        """Add items as soon as that can be done. Raises `InferdError` if it never can."""
        said = False
        while items:
            call = Call("seed", arrived=self._clock())
            try:
                await self._stock.put(items, call, NEVER, now_us=0)
            except (Unavailable, DeadlineExceeded) as error:
                if not said:
                    log.warning("items cannot be added yet: %s", error)
                said = True
                await asyncio.sleep(AGAIN_S)
            else:
                return


class _Mark:
    """Says in a catalogue's directory that not all of a seed may be there. Blocks."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "catalogue.seeding"

    def is_set(self) -> bool:
        """Return whether a seed was begun that is not all there."""
        return self._path.exists()

    def set(self) -> None:
        """Return when the disk knows that it was begun. Raises `OSError`."""
        self._path.touch()
        sync_directory(self._path.parent)

    def clear(self) -> None:
        """Return when the disk knows that all of it is there. Raises `OSError`."""
        self._path.unlink(missing_ok=True)
        sync_directory(self._path.parent)
