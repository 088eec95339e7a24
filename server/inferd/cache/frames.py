"""Records in a file, one after the other, of which the last may be cut off.

A record is its length and its CRC-32, four bytes each, and its bytes, of which there are some. What
a crash leaves of a record that was being written has another length, or another sum, or is nothing
but zeros, and is not read.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import Struct
from zlib import crc32

from inferd.cache.journal.files import sync_directory

_HEAD = Struct("<II")


def framed(record: bytes) -> bytes:
    """Return a record as it is written."""
    return _HEAD.pack(len(record), crc32(record)) + record


def read(path: Path) -> Iterator[tuple[bytes, int]]:
    """Yield all whole records of a file, and where each ends. Raises `OSError`."""
    with path.open("rb") as file:
        at = 0
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            record = file.read(length)
            if not length or len(record) != length or crc32(record) != checksum:
                return
            at += _HEAD.size + length
            yield record, at


def locked(path: Path) -> int:
    """Return a file that no other process has so opened. Raises `OSError`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        text = f"{path.with_suffix('')} is written by another process"
        raise OSError(error.errno, text) from error
    return file


class NewFile:
    """A file that is written beside the one whose place it takes when it is whole. Blocks."""

    def __init__(self, path: Path) -> None:
        """Begin it. Raises `OSError`, as all below."""
        self._path, self._beside = path, path.with_name(f"{path.name}.new")
        self._file = self._beside.open("wb")

    def write(self, records: Iterable[bytes]) -> None:
        """Add records."""
        self._file.writelines(map(framed, records))

    def finish(self) -> None:
        """Have the disk know it, and then by its name."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        self._beside.replace(self._path)
        sync_directory(self._path.parent)

    def abandon(self) -> None:
        """Leave nothing of it."""
        self._file.close()
        self._beside.unlink(missing_ok=True)
