"""A file of events, one per line, replayed: as fast as can be, or as it happened.

How far it is done with is written beside it, so that a replay goes on where it was. That is a
little behind after a crash; what comes twice then is published once.
"""

import asyncio
import errno
import os
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from inferd.cache.streams import Delivery
from inferd.deadline import Clock
from inferd.errors import DependencyFailed
from inferd.streaming.offsets import Offsets

WAIT_S = 0.2
"""How long a reader is kept waiting for an event whose time has not come."""
READ_BYTES = 256 * 1024
"""Read at once: whole lines, until there are so many bytes."""


class _When(msgspec.Struct):
    timestamp: datetime


class _Line(NamedTuple):
    end: int
    body: bytes
    #: Monotonic seconds.
    due_at: float


class JsonlSource:
    """Replays a file."""

    def __init__(self, path: Path, *, speed: float, clock: Clock) -> None:
        """`speed`: how many times as fast as it happened; 0: as fast as can be.

        Raises `OSError` where the file cannot be read, and where it ends before the place that it
        was read to: it is another file, of which nothing would be read.
        """
        self._offset_path = path.with_name(path.name + ".offset")
        #: What the file beside it says.
        self._kept = self._kept_offset()
        self._offsets = Offsets(self._kept)
        self._file = path.open("rb")
        if self._file.seek(0, os.SEEK_END) < self._kept:
            self._file.close()
            raise OSError(
                errno.EINVAL,
                f"ends before byte {self._kept}; {self._offset_path.name} says it was read so far",
                str(path),
            )
        self._file.seek(self._kept)
        self._speed = speed
        self._clock = clock
        self._lines: deque[_Line] = deque()
        self._end = self._kept
        #: The time of the first event, and when it was read.
        self._began: tuple[float, float] | None = None

    async def read(self, most: int) -> Sequence[Delivery] | None:
        """Return events whose time has come; none after a while, None at the end of the file."""
        if not self._lines:
            await asyncio.to_thread(self._read_on)
        if not self._lines:
            return None
        wait_s = self._lines[0].due_at - self._clock()
        if wait_s > 0:
            await asyncio.sleep(min(wait_s, WAIT_S))
        now, deliveries = self._clock(), list[Delivery]()
        while self._lines and len(deliveries) < most and self._lines[0].due_at <= now:
            line = self._lines.popleft()
            self._offsets.handed_out(line.end)
            deliveries.append(Delivery(str(line.end), line.body, 1))
        return deliveries

    async def ack(self, positions: Sequence[str]) -> None:
        """Say that these need not come again."""
        self._offsets.finished(map(int, positions))
        done = self._offsets.done
        if done > self._kept:  # also where it could not be kept the last time
            await asyncio.to_thread(self._keep_offset, done)
            self._kept = done

    async def keep(self) -> None:
        """Do nothing: nobody else reads it."""

    async def lag(self) -> int | None:
        """Return nothing: nobody has counted the lines."""
        return None

    async def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_on(self) -> None:
        while not self._lines and (lines := self._file.readlines(READ_BYTES)):
            for line in lines:
                self._end += len(line)
                if body := line.rstrip(b"\r\n"):
                    self._lines.append(_Line(self._end, body, self._due_at(body)))

    def _due_at(self, body: bytes) -> float:
        if not self._speed:
            return 0.0
        try:
            happened_s = msgspec.json.decode(body, type=_When).timestamp.timestamp()
        except (msgspec.DecodeError, ValueError, RecursionError):
            return 0.0  # it is no event; somebody else will say so
        if self._began is None:
            self._began = happened_s, self._clock()
        first_s, read_at = self._began
        return read_at + (happened_s - first_s) / self._speed

    def _kept_offset(self) -> int:
        with suppress(OSError, ValueError):
            return max(0, int(self._offset_path.read_text()))
        return 0

    def _keep_offset(self, done: int) -> None:
        scratch = self._offset_path.with_name(self._offset_path.name + ".new")
        try:
            scratch.write_text(f"{done}\n")
            os.replace(scratch, self._offset_path)
        except OSError as error:
            raise DependencyFailed(f"{self._offset_path}: {error.strerror}") from error
