"""Writes a chain: groups of records, one after the other, and nothing of a group that failed.

When it begins it finds where the chain ends. A last line without its end is what a crash leaves of
a record that nobody was told is safe: it is cut off. Other damage is not mended but left as it is
for whoever verifies the chain, which goes on in a new segment. Either way a note in the chain says
so, and so does one about each segment that is removed because its time is over: it is the
checkpoint from which the rest can still be verified.
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec

from inferd.cache.journal import files
from inferd.cache.journal.chain import (
    BEGINNING,
    NOTE,
    Broken,
    Entry,
    Record,
    following,
    key_of,
    opened,
    sealed,
)
from inferd.config.journal import Journal as Settings

US = 1_000_000


class Before(NamedTuple):
    """A record that was there before."""

    #: As `chain.key_of` has it.
    key: bytes
    seq: int
    id: str
    spot: files.Spot


Known = Callable[[Before], None]
"""Is told of records, the first of them first."""

log = logging.getLogger(__name__)
_json = msgspec.json.Encoder().encode


class Writer:
    """Owns the files of one chain. Blocks; used by one thread at a time."""

    def __init__(self, settings: Settings, *, now_us: int, known: Known) -> None:
        """Open a chain, or begin one. Raises `OSError`.

        `known` is told of the records in the last segment.
        """
        self._settings = settings
        self._directory = settings.path
        #: Notes that could not be written yet.
        self._owed: list[Entry] = []
        self._file: int | None = None
        #: The number of the first record in it, and its bytes.
        self._first = self._size = 0
        self._since_us = now_us
        #: Whether there may be something behind `_size`.
        self._untidy = False
        #: Whether all in the last segment are notes.
        self._idle = True
        #: Where the chain is.
        self.link = BEGINNING
        #: Bytes of records that were written.
        self.bytes = 0
        self._directory.mkdir(parents=True, exist_ok=True)
        self._head = files.Head(self._directory, settings.server)
        try:
            wrong = self._recovered(known)
        except BaseException:
            self._head.close()
            raise
        self._owed = [_note(now_us, what) for what in wrong]
        with suppress(OSError):  # the disk may be full; then with the next record
            self.write([], now_us, sync=True)

    def write(self, entries: Sequence[Entry], now_us: int, *, sync: bool) -> Sequence[files.Spot]:
        """Write all or nothing, and return when it is on the disk; unless `sync`, in its memory.

        Return where each entry is. Raises `OSError`.
        """
        self._notice_removal(now_us)
        notes = len(self._owed)
        entries = [*self._owed, *entries]
        if not entries:
            return []
        link, made = self.link, list[bytes]()
        for entry in entries:
            link, line = sealed(link, entry)
            made.append(line)
        file = self._segment(now_us)
        group = b"".join(made)
        try:
            self._append(file, group)
            if sync:
                os.fsync(file)
        except OSError:
            self._untidy = True  # a part of a line may be there
            self._tidy(file)
            raise
        self.link, self._owed = link, []
        begins = [*accumulate(map(len, made), initial=self._size)]
        self._size = begins.pop()
        self.bytes += len(group)
        self._idle = self._idle and all(entry.kind == NOTE for entry in entries)
        self._head.write(link)
        return [files.Spot(self._first, at) for at in begins[notes:]]

    def sync(self) -> None:
        """Return when all that was written is on the disk. Raises `OSError`."""
        if self._file is not None:
            os.fsync(self._file)

    def tend(self, now_us: int) -> None:
        """Remove segments whose time is over. Raises `OSError`, `Broken`."""
        keep_s = self._settings.keep_s
        if not keep_s:
            return
        if self._is_old(now_us) and not self._idle:
            self.write([_note(now_us, {"event": "continued"})], now_us, sync=True)
        there = files.segments(self._directory, self._settings.server)
        for segment, next_one in pairwise(there):
            first = opened(files.first_line(next_one.path))
            if first.at_us > now_us - keep_s * US:
                return
            seq, hash = first.before
            what = {"event": "retired", "file": segment.path.name, "through": seq, "hash": hash}
            self.write([_note(now_us, what)], now_us, sync=True)
            segment.path.unlink()

    def close(self) -> None:
        """Have the disk know everything, and let go of the files. Raises `OSError`."""
        try:
            self.sync()
        finally:
            self._close_segment()
            self._head.close()

    def _recovered(self, known: Known) -> list[dict[str, Any]]:
        """Find where the chain ends; return what was found wrong."""
        wrong: list[dict[str, Any]] = []
        there = files.segments(self._directory, self._settings.server)
        while there:
            segment = there.pop()
            before = self._resumed(segment, wrong)
            if before:
                for each in (*(_records_in(there[-1]) if there else ()), *before):
                    known(each)
                break
            if segment.path.stat().st_size == 0:
                segment.path.unlink()  # it was made, and then there was a crash
        wrong += self._lost()
        for what in wrong:
            log.error("journal %s: %s", self._settings.server, what)
        return wrong

    def _resumed(self, segment: files.Segment, wrong: list[dict[str, Any]]) -> list[Before]:
        """Take up the chain where a segment ends; return what is recorded there."""
        before, end, link = list[Before](), 0, None
        for at, line in files.lines(segment.path):
            try:
                record = following(line, link)
            except Broken as error:
                what: dict[str, Any] = {"file": segment.path.name, "at": at}
                if line.endswith(b"\n"):
                    wrong.append({"event": "damaged", **what, "why": str(error)})
                else:
                    wrong.append({"event": "cut_off", **what, "bytes": len(line)})
                    os.truncate(segment.path, end)
                break
            if not before:
                self._since_us = record.at_us
            link, end = record.link, at + len(line)
            self._idle = self._idle and record.kind == NOTE
            before.append(_before(record, segment, at))
        if link is not None:
            self.link = link
            if all(each["event"] != "damaged" for each in wrong):
                self._file = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
                self._first, self._size = segment.first, end
        return before

    def _lost(self) -> Iterable[dict[str, Any]]:
        """Return what the head knows and the segments do not."""
        try:
            head = self._head.read()
        except Broken as error:
            return [
                {"event": "damaged", "file": f"{self._settings.server}.head", "why": str(error)}
            ]
        if head.seq > self.link.seq:
            what = {"event": "lost", "from": self.link.seq + 1, "through": head.seq}
            # Their numbers are not used again: so they are missing for good, to whoever verifies.
            self._close_segment()
            self.link = head
            return [what]
        if self._head.is_new and self.link != BEGINNING:
            why = "it was missing, and so may be the last records"
            return [{"event": "damaged", "file": f"{self._settings.server}.head", "why": why}]
        return []

    def _notice_removal(self, now_us: int) -> None:
        """Go on in a new segment where somebody removed the open one: that nobody would find."""
        if self._file is None or os.fstat(self._file).st_nlink:
            return
        what = {"event": "removed", "through": self.link.seq}
        log.error("journal %s: %s", self._settings.server, what)
        self._owed.append(_note(now_us, what))
        self._close_segment()

    def _segment(self, now_us: int) -> int:
        """Return the file to write to."""
        file = self._file
        full = self._size >= self._settings.segment_bytes or self._is_old(now_us)
        if file is not None and not full:
            self._tidy(file, must=True)
            return file
        self._close_segment(sync=True)
        there = files.segments(self._directory, self._settings.server)
        # Behind all that are there: one that is damaged may have the same first record.
        number = max(self.link.seq, there[-1].first if there else 0) + 1
        path = files.named(self._directory, self._settings.server, number).path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        self._first, self._size, self._since_us, self._idle = number, 0, now_us, True
        files.sync_directory(self._directory)
        return self._file

    def _is_old(self, now_us: int) -> bool:
        return self._size > 0 and now_us - self._since_us >= self._settings.segment_age_s * US

    def _append(self, file: int, group: bytes) -> None:
        written = 0
        while written < len(group):
            written += os.pwrite(file, group[written:], self._size + written)

    def _tidy(self, file: int, *, must: bool = False) -> None:
        """Have nothing behind the last whole group."""
        if not self._untidy:
            return
        try:
            os.ftruncate(file, self._size)
            self._untidy = False
        except OSError:
            if must:
                raise

    def _close_segment(self, *, sync: bool = False) -> None:
        if self._file is None:
            return
        if sync:
            self._tidy(self._file, must=True)
            os.fsync(self._file)
        file, self._file = self._file, None
        with suppress(OSError):
            os.close(file)


def _note(now_us: int, what: dict[str, Any]) -> Entry:
    return Entry(NOTE, "", now_us, _json(what))


def _records_in(segment: files.Segment) -> list[Before]:
    """Return what is recorded in a segment, as far as it can be read."""
    before = list[Before]()
    with suppress(Broken):
        for at, line in files.lines(segment.path):
            before.append(_before(opened(line), segment, at))
    return before


def _before(record: Record, segment: files.Segment, at: int) -> Before:
    return Before(key_of(record.entry), record.seq, record.id, files.Spot(segment.first, at))
