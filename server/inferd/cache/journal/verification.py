"""Whether a chain is whole: every record as it was written, none missing, none too many.

The first record that is not is named. Segments that the chain itself says were removed are not
missed. That the last records are there is known from the head, or, better, from a link that
somebody noted elsewhere: whoever can change a file can change the head beside it, too.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from inferd.cache.journal import files
from inferd.cache.journal.chain import (
    BEGINNING,
    NOTE,
    Broken,
    Link,
    Record,
    following,
    mark_of,
    opened,
)
from inferd.errors import DependencyFailed


class Bad(NamedTuple):
    """The first record that is not as it should be."""

    seq: int
    file: str
    #: Where in the file it begins, in bytes.
    at: int
    why: str

    def __str__(self) -> str:
        return f"record {self.seq} ({self.file}, byte {self.at}): {self.why}"


class Verdict(NamedTuple):
    """What was found of a chain."""

    server: str
    #: Good records, up to the first bad one.
    records: int
    #: The last of them.
    head: Link
    bad: Bad | None
    #: What the journal noted of itself: of crashes, and of segments that were removed.
    notes: Sequence[str]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return self.bad is None


class _Note(msgspec.Struct):
    event: str
    through: int = 0
    hash: str = ""


def verify(directory: Path, server: str, *, expected: Link | None = None) -> Verdict:
    """Check a chain, which may be written meanwhile. Raises `OSError`.

    `expected`: a record that somebody knows to have been there.
    """
    walk = _Walk(directory, server)
    try:
        head = files.head_of(directory, server)
    except Broken as error:
        return walk.verdict(Bad(0, f"{server}.head", 0, str(error)))
    known = [each for each in (head, expected) if each is not None and each.seq > 0]
    bad = walk.through({each.seq: each.hash for each in known}, expected)
    if bad is None:
        bad = walk.unbegun() or walk.unfinished(known)
    if bad is None and head is None:
        bad = Bad(walk.link.seq, f"{server}.head", 0, "the head is missing")
    return walk.verdict(bad)


def found(directory: Path, id: str) -> list[Record]:
    """Return the records of an id, of all chains in a directory. Raises `DependencyFailed`."""
    mark = mark_of(id)
    try:
        return [
            record
            for server in files.servers(directory)
            for segment in files.segments(directory, server)
            for line in files.lines_with(segment.path, mark)
            if (record := opened(line)).id == id
        ]
    except (Broken, OSError) as error:
        raise DependencyFailed(f"the journal cannot be read: {error}") from error


def recorded_at(directory: Path, server: str, spot: files.Spot, id: str) -> Record | None:
    """Return the record of an id that is at a spot; None: its segment was removed.

    Raises `DependencyFailed`.
    """
    try:
        line = files.line_at(directory, server, spot)
        record = None if line is None else opened(line)
    except (Broken, OSError) as error:
        raise DependencyFailed(f"the journal cannot be read: {error}") from error
    if record is not None and record.id != id:
        raise DependencyFailed(f"the journal was changed: another record is in place of {id!r}'s")
    return record


class _Walk:
    """A way through a chain."""

    def __init__(self, directory: Path, server: str) -> None:
        self._server = server
        self._segments = files.segments(directory, server)
        self._before = BEGINNING
        self._retired: set[Link] = set()
        #: The file that the walk has come to, and where in it.
        self._file, self._at = f"{server}.head", 0
        #: An unfinished last line, if any.
        self._torn: int | None = None
        self._records = 0
        self._notes: list[str] = []
        self.link = BEGINNING

    def through(self, known: dict[int, str], expected: Link | None) -> Bad | None:
        """Follow the chain to its end, or to the first bad record."""
        for line, is_last in self._lines():
            try:
                record = following(line, self.link if self._records else None)
            except Broken as error:
                if is_last and not line.endswith(b"\n"):
                    self._torn = self._at  # nobody was told that it is safe, unless the head was
                    return None
                return self._bad(str(error))
            if known.get(record.seq, record.hash) != record.hash:
                return self._bad("it is another than was written")
            self._take(record)
        if expected is not None and self._records and expected.seq < self._before.seq:
            return Bad(expected.seq, self._file, 0, "it has been removed since, and cannot be told")
        return None

    def unbegun(self) -> Bad | None:
        """Return what is wrong with where the chain begins."""
        if not self._records or self._before == BEGINNING or self._before in self._retired:
            return None
        why = f"it is missing, and so are all up to record {self._before.seq}"
        return Bad(1, self._segments[0].path.name, 0, why)

    def unfinished(self, known: Sequence[Link]) -> Bad | None:
        """Return what is missing at the end."""
        last = max((each.seq for each in known), default=0)
        if last <= self.link.seq:
            return None
        if self._torn is not None:
            return self._bad("it is cut off")
        return self._bad(f"it is missing, and so are all up to record {last}")

    def verdict(self, bad: Bad | None) -> Verdict:
        """Return what was found."""
        return Verdict(self._server, self._records, self.link, bad, self._notes)

    def _bad(self, why: str) -> Bad:
        return Bad(self.link.seq + 1, self._file, self._at, why)

    def _take(self, record: Record) -> None:
        if not self._records:
            self._before = record.before
        self._records += 1
        self.link = record.link
        if record.kind == NOTE:
            self._notes.append(f"{record.seq}: {bytes(record.body).decode()}")
            with suppress(msgspec.MsgspecError):  # then the journal did not write it
                note = msgspec.json.decode(record.body, type=_Note)
                if note.event == "retired":
                    self._retired.add(Link(note.through, note.hash))

    def _lines(self) -> Iterator[tuple[bytes, bool]]:
        """Yield lines, and whether each is in the last segment."""
        for segment in self._segments:
            self._file, self._at = segment.path.name, 0
            for at, line in files.lines(segment.path):
                self._at = at
                yield line, segment is self._segments[-1]
                self._at = at + len(line)
