"""What is on record: read back for backtests, and to explain. Blocks; for a thread."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from inferd.cache.journal import files
from inferd.cache.journal.chain import Broken, Record, opened
from inferd.errors import DependencyFailed
from inferd.services.fraud.audit_record import KIND, AuditRecord, decoded
from inferd.services.fraud.intake import derived
from inferd.services.fraud.redaction import HASHED
from inferd.services.fraud.rules import Values

Span = tuple[int | None, int | None]
"""From when (inclusive) until when (exclusive), in microseconds since 1970; None: without end."""


class Past(NamedTuple):
    """A decision that is on record."""

    at_us: int
    record: AuditRecord

    @property
    def values(self) -> Values:
        """What was known of the transaction, by the names of variables, as far as it is told."""
        it = self.record
        inputs = {
            name: value
            for name, value in it.inputs.items()
            if not (isinstance(value, str) and value.startswith(HASHED))
        }
        features = {
            each.name: tuple(each.value) if isinstance(each.value, list) else each.value
            for each in it.features
            if not each.redacted
        }
        return {**derived(inputs), **inputs, **features, **it.lists}

    @property
    def scores(self) -> dict[str, float | None]:
        """What models said; None: nothing."""
        return {each.name: each.raw for each in self.record.models}


def latest(directory: Path, span: Span, most: int) -> list[Past]:
    """Return the latest decisions of a time, the first of them first; none that are for tests.

    Raises `DependencyFailed`.
    """
    try:
        found = [
            past
            for server in files.servers(directory)
            for past in _of(directory, server, span, most)
        ]
    except (OSError, Broken, msgspec.MsgspecError) as error:
        raise DependencyFailed(f"the journal cannot be read: {error}") from error
    return sorted(found, key=_time)[-most:]


def _of(directory: Path, server: str, span: Span, most: int) -> list[Past]:
    """Return the latest of one server: segments are read from the last to the first."""
    found: list[Past] = []
    for segment in reversed(files.segments(directory, server)):
        found = [*deque(_in(segment, span), maxlen=most - len(found)), *found]
        if len(found) >= most:
            break
    return found


def _in(segment: files.Segment, span: Span) -> Iterator[Past]:
    begin, end = span
    for _, line in files.lines(segment.path):
        if not line.endswith(b"\n"):
            return  # it is being written
        record = opened(line)
        after = begin is None or record.at_us >= begin
        if record.kind == KIND and after and (end is None or record.at_us < end):
            past = past_of(record)
            if not past.record.test:
                yield past


def past_of(record: Record) -> Past:
    """Return what a record tells. Raises `msgspec.MsgspecError`."""
    return Past(record.at_us, decoded(record.body))


def _time(past: Past) -> int:
    return past.at_us
