"""Everybody's behaviour on disk: written from time to time, read at the start.

It is a help, not a record: what a crash takes is what came since the last time, and a file that is
damaged is read as far as it is whole. A new file takes the place of the old one only when the disk
has all of it.
"""

import asyncio
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import BinaryIO
from zlib import crc32

import msgspec

from inferd.cache.journal.files import sync_directory
from inferd.services.search.behaviour import SearchBehaviour

_HEAD = Struct("<II")
"""Of a piece: its length and its CRC-32."""

log = logging.getLogger(__name__)


class KeptSearchBehaviour:
    """Writes everybody's behaviour to a file."""

    def __init__(self, behaviour: SearchBehaviour, path: Path, *, snapshot_s: float) -> None:
        """Keep it there."""
        self._behaviour, self._path, self._every_s = behaviour, path, snapshot_s

    def load(self) -> None:
        """Know what was kept, if there is any. Blocks."""
        try:
            self._behaviour.restore(_pieces(self._path))
        except FileNotFoundError:
            return
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read to its end: %s", self._path, error)

    async def run(self) -> None:
        """Write it whenever it is time, until cancelled; then once more."""
        try:
            while True:
                await asyncio.sleep(self._every_s)
                await self.save()
        finally:
            await self.save()

    async def save(self) -> None:
        """Write all of it, a piece at a time. What cannot be written is logged."""
        beside = self._path.with_name(f"{self._path.name}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                for piece in self._behaviour.pieces():
                    await asyncio.to_thread(_write, file, piece)
                await asyncio.to_thread(_finish, file)
            beside.replace(self._path)
            await asyncio.to_thread(sync_directory, self._path.parent)
        except OSError as error:
            log.warning("what everybody does cannot be written: %s", error)


def _write(file: BinaryIO, piece: bytes) -> None:
    file.write(_HEAD.pack(len(piece), crc32(piece)) + piece)


def _finish(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _pieces(path: Path) -> Iterator[bytes]:
    """Yield the pieces of a file. Raises `OSError`, `ValueError`."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            if len(head) < _HEAD.size:
                raise ValueError("it is cut off")
            length, checksum = _HEAD.unpack(head)
            piece = file.read(length)
            if len(piece) != length or crc32(piece) != checksum:
                raise ValueError("it is damaged")
            yield piece
