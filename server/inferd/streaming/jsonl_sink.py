"""A file with one record per line, each batch safe on the disk before anybody hears of it.

The file is its own memory: whoever opens it reads which keys there have been. A last line without
its end was never acknowledged, and is cut off.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from inferd.cache.streams import Record
from inferd.errors import DependencyFailed
from inferd.streaming.seen import Seen

KeyOf = Callable[[bytes], str]
"""Returns the key of a line."""


class JsonlSink:
    """Appends to a file that nobody else writes."""

    def __init__(self, path: Path, *, remember_keys: int, key_of: KeyOf) -> None:
        """Know the keys of the last `remember_keys` lines again.

        Raises `OSError` where the file cannot be written, or another process does.
        """
        self._path = path
        self._file = path.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise OSError(error.errno, f"{path} is written by another process") from error
        self._seen = Seen(remember_keys)
        self._size = self._read(key_of)
        self._file.truncate(self._size)

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        """Append records whose key is new, and return when they are on the disk."""
        new: dict[str, bytes] = {}
        for key, body in records:
            if key not in self._seen:
                new.setdefault(key, body)
        if new:
            lines = b"".join(body + b"\n" for body in new.values())
            await asyncio.to_thread(self._append, lines)
        return [each.key in new and self._seen.add(each.key) for each in records]

    async def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, key_of: KeyOf) -> int:
        """Remember what there is, and return where its last whole line ends."""
        end = 0
        with self._path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    end += len(line)
                    self._seen.add(key_of(line))
        return end

    def _append(self, lines: bytes) -> None:
        try:
            written = 0
            while written < len(lines):
                written += self._file.write(lines[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(self._size)  # a part of a line may be there
            raise DependencyFailed(f"{self._path}: {error.strerror}") from error
        self._size += len(lines)
