"""Something in memory that is kept in a file over restarts.

It is written from time to time, and read at the start: a help, not a record. What a crash takes is
what came since the last time, and a file that is damaged is read as far as it is whole. A new file
takes the place of the old one only when the disk has all of it. One process writes it.
"""

import asyncio
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from inferd.cache import frames

log = logging.getLogger(__name__)


class Changed(Exception):
    """What is being written is no more as it was when that began: the next time will do."""


class Subject(Protocol):
    """What is kept."""

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it, a piece at a time: others have their turn in between.

        Raises `Changed`.
        """

    def restore(self, pieces: Iterable[bytes]) -> None:
        """Be what was kept. Raises `ValueError` and `msgspec.MsgspecError` for what is damaged."""


class Kept:
    """Writes something to a file. Its `run` and `save` are the event loop's."""

    def __init__(self, subject: Subject, path: Path, *, snapshot_s: float) -> None:
        """Write it there every so many seconds."""
        self._subject, self._path, self._every_s = subject, path, snapshot_s
        self._lock: int | None = None

    def load(self) -> None:
        """Take the file, and know what was kept, if there is any. Blocks.

        What cannot be read is left out, and gone when the next is written. Raises `OSError` where
        there may be no file, or another process writes it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = frames.locked(self._path.with_name(f"{self._path.name}.lock"))
        try:
            self._subject.restore(self._pieces())
        except FileNotFoundError:
            return
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read to its end: %s", self._path, error)

    def _pieces(self) -> Iterator[bytes]:
        end = 0
        for piece, end in frames.read(self._path):  # noqa: B007 - it is looked at below
            yield piece
        if end < self._path.stat().st_size:
            raise ValueError(f"it is damaged at byte {end}")

    async def run(self) -> None:
        """Write it whenever it is time, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(self._every_s)
                await self.save()
        finally:
            await self.save()
            if self._lock is not None:
                os.close(self._lock)

    async def save(self) -> None:
        """Write all of it, a piece at a time. What cannot be written is logged."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = frames.NewFile(self._path)
            try:
                for piece in self._subject.pieces():
                    await asyncio.to_thread(file.write, [piece])
                await asyncio.to_thread(file.finish)
            except Changed:
                file.abandon()
            except BaseException:
                file.abandon()
                raise
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)
