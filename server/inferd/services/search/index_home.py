"""Where an index is on the disk: which generation of it counts, and who may write.

    index/current.json      which generation counts
    index/server.lock       held by the one server that writes
    index/3/                the generation: a tantivy index

A rebuild makes the next generation beside the one that counts; `current.json` is then replaced in
one step. Whatever else lies there was not finished, and is removed.
"""

import fcntl
import logging
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import msgspec

from inferd.errors import InferdError, LoadFailed, Unavailable

CURRENT = "current.json"
LOCK = "server.lock"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Current:
    """What counts."""

    generation: int = 1
    #: How often the index was opened: epochs of one time are never those of another.
    opened: int = 0
    #: Of the schema the generation was written with.
    fingerprint: str = ""


class Home:
    """The directory of an index, or none, if it is in memory.

    Raises `LoadFailed`: another server writes there, or it cannot be read; `Unavailable`: the disk
    is full.
    """

    def __init__(self, directory: Path | None, fingerprint: str) -> None:
        self._directory = directory
        self._lock: IO[bytes] | None = None
        #: Whether the disk may, after a loss of power, name another generation than it does now.
        self._unsure = False
        self.current = Current(fingerprint=fingerprint)
        try:
            if directory is not None:
                self._open(directory)
            self._keep(replace(self.current, opened=self.current.opened + 1))
        except InferdError:
            self.close()
            raise

    def path(self, generation: int) -> Path | None:
        """Return where a generation is, which is made if it is not there."""
        if self._directory is None:
            return None
        path = self._directory / str(generation)
        path.mkdir(exist_ok=True)
        return path

    def switch(self, generation: int, fingerprint: str) -> None:
        """Have another generation count, for good. Raises `Unavailable`: the disk is full."""
        self._keep(replace(self.current, generation=generation, fingerprint=fingerprint))

    def tidy(self) -> None:
        """Remove every generation but the one that counts, if that is sure."""
        if self._directory is None or self._unsure:
            return
        for path in self._directory.iterdir():
            if path.name.isdecimal() and path.name != str(self.current.generation):
                shutil.rmtree(path, ignore_errors=True)

    def size_bytes(self) -> int:
        """Return how large the files are."""
        path = self.path(self.current.generation)
        return 0 if path is None else sum(_size(each) for each in path.iterdir())

    def close(self) -> None:
        """Let another server write."""
        if self._lock is not None:
            self._lock.close()

    def _open(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = (directory / LOCK).open("wb")
        except OSError as error:
            raise LoadFailed(f"search.index.directory: {error}") from error
        try:
            # The system lets go of it when the process ends, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LoadFailed(
                f"search.index.directory: another server writes the index in {directory}"
            ) from None
        self.current = _read(directory / CURRENT) or self.current
        self.tidy()

    def _keep(self, current: Current) -> None:
        if self._directory is not None:
            try:
                _replace(self._directory / CURRENT, msgspec.json.encode(current))
            except OSError as error:
                raise Unavailable(f"the index cannot be written: {error}") from error
        self.current = current
        if self._directory is not None:
            self._sync(self._directory)

    def _sync(self, directory: Path) -> None:
        """Have the disk know which generation counts. The system knows already."""
        try:
            sync(directory)
        except OSError as error:
            log.warning("%s: %s; older generations of the index stay", directory, error)
            self._unsure = True
        else:
            self._unsure = False


def _read(path: Path) -> Current | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Current)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise LoadFailed(f"{path} cannot be read: {error}") from error


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def sync(directory: Path) -> None:
    """Have the disk know of the names in a directory."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0  # merged away meanwhile
