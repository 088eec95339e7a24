"""The files of a chain: its segments, in order, and its head.

A segment is named after the first record in it (`inferd.000000000001.jsonl`). The head
(`inferd.head`) says which record was the last that is safe, and its hash; without it nobody would
see that the last records of a chain are missing. It is overwritten in place, a hundred bytes, so it
cannot fail for want of room, and whoever writes the chain holds its lock.
"""

import fcntl
import mmap
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from inferd.cache.journal.chain import BEGINNING, Broken, Link

_HEAD = re.compile(rb"(\d{20}) ([0-9a-f]{64})\n")
_SEGMENT = re.compile(r"([A-Za-z0-9_-]+)\.(\d{12,})\.jsonl")


class Spot(NamedTuple):
    """Where a line is."""

    #: The number of the first record in its segment.
    first: int
    #: Where in that it begins, in bytes.
    at: int


class Segment(NamedTuple):
    """A file with records that follow each other."""

    #: The number of its first record.
    first: int
    path: Path


def segments(directory: Path, server: str) -> list[Segment]:
    """Return the segments of a server's chain, in order."""
    return sorted(each for name, each in _all(directory) if name == server)


def servers(directory: Path) -> list[str]:
    """Return whose chains are in a directory."""
    heads = {path.stem for path in directory.glob("*.head")}
    return sorted(heads | {name for name, _ in _all(directory)})


def named(directory: Path, server: str, first: int) -> Segment:
    """Return the segment that would begin with a record."""
    return Segment(first, directory / f"{server}.{first:012d}.jsonl")


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a segment, with their ends, and where each begins."""
    at = 0
    with path.open("rb") as file:
        for line in file:
            yield at, line
            at += len(line)


def line_at(directory: Path, server: str, spot: Spot) -> bytes | None:
    """Return a line; None where the segment was removed. Raises `OSError`."""
    try:
        with named(directory, server, spot.first).path.open("rb") as file:
            file.seek(spot.at)
            return file.readline()
    except FileNotFoundError:
        return None


def first_line(path: Path) -> bytes:
    """Return the first line of a segment; empty if there is none."""
    with path.open("rb") as file:
        return file.readline()


def lines_with(path: Path, mark: bytes) -> Iterator[bytes]:
    """Yield the lines of a segment that contain `mark`."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            at = text.find(mark)
            while at >= 0:
                begin, end = text.rfind(b"\n", 0, at) + 1, text.find(b"\n", at)
                yield text[begin : end + 1] if end >= 0 else text[begin:]
                at = text.find(mark, end) if end >= 0 else -1


def head_of(directory: Path, server: str) -> Link | None:
    """Return what the head says; None where there is none. Raises `Broken`."""
    try:
        said = (directory / f"{server}.head").read_bytes()
    except FileNotFoundError:
        return None
    return _understood(said, server)


class Head:
    """The head of a chain that this process writes, and nobody else."""

    def __init__(self, directory: Path, server: str) -> None:
        """Take the chain's lock. Raises `OSError` where it, or the file, cannot be had."""
        path = directory / f"{server}.head"
        self._server = server
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            text = f"the journal of {server} in {directory} is written by another process"
            raise OSError(error.errno, text) from error
        #: Whether there was none before.
        self.is_new = not os.fstat(self._file).st_size
        if self.is_new:
            self.write(BEGINNING)
            os.fsync(self._file)

    def read(self) -> Link:
        """Return what it says. Raises `Broken`."""
        return _understood(os.pread(self._file, 4096, 0), self._server)

    def write(self, link: Link) -> None:
        """Have it say this. The disk hears of it when the system pleases."""
        os.pwrite(self._file, b"%020d %s\n" % (link.seq, link.hash.encode()), 0)

    def close(self) -> None:
        """Let others write the chain."""
        os.close(self._file)


def sync_directory(directory: Path) -> None:
    """Have the disk know which files there are."""
    opened = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some file systems have no such thing
            os.fsync(opened)
    finally:
        os.close(opened)


def _all(directory: Path) -> Iterator[tuple[str, Segment]]:
    for path in directory.glob("*.jsonl"):
        name = _SEGMENT.fullmatch(path.name)
        if name is not None:
            yield name[1], Segment(int(name[2]), path)


def _understood(said: bytes, server: str) -> Link:
    found = _HEAD.fullmatch(said)
    if found is None:
        raise Broken(f"{server}.head was changed: it names no record")
    return Link(int(found[1]), found[2].decode())
