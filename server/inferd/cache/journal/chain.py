"""The chain: every record has the hash of the one before it, and so vouches for all before it.

A record is a line of JSON. Its hash is SHA-256 over the very bytes of the line that come before the
hash, so there is no question of what is canonical: what is on the disk is. Whoever changes,
removes, inserts or swaps anything would have to write all that follows anew, and what follows ends
in a hash that others know (`head`). Pure.
"""

from hashlib import blake2b, sha256
from typing import NamedTuple

import msgspec

from inferd.errors import InferdError

NOTE = "journal"
"""The kind of records that a journal writes about itself."""
_TAIL = len(',"hash":""}\n') + 64

_json = msgspec.json.Encoder().encode


class Entry(NamedTuple):
    """What is to be recorded."""

    kind: str
    #: Whose record it is, such as a transaction's; empty for notes.
    id: str
    #: Microseconds since 1970.
    at_us: int
    #: JSON, in one line.
    body: bytes


class Link(NamedTuple):
    """Where a chain has come to: the number of a record, and its hash."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


BEGINNING = Link(0, "0" * 64)
"""Before the first record."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record as it was read."""

    #: From 1 on, without a gap.
    seq: int
    prev: str
    at_us: int
    kind: str
    id: str
    body: msgspec.Raw
    hash: str

    @property
    def entry(self) -> Entry:
        """What was recorded."""
        return Entry(self.kind, self.id, self.at_us, bytes(self.body))

    @property
    def link(self) -> Link:
        """Where the chain is after it."""
        return Link(self.seq, self.hash)

    @property
    def before(self) -> Link:
        """Where it says that the chain was before it."""
        return Link(self.seq - 1, self.prev)


_decode = msgspec.json.Decoder(Record).decode


class Broken(InferdError):
    """A line is not the record that should be there. The message says why."""

    reason = "JOURNAL_BROKEN"
    retry_after_s = -1.0


def sealed(after: Link, entry: Entry) -> tuple[Link, bytes]:
    """Return the line of an entry that follows `after`, and where the chain is then."""
    if b"\n" in entry.body:
        raise ValueError("a record's body must be in one line")
    seq = after.seq + 1
    text = b'{"seq":%d,"prev":"%s","at_us":%d,"kind":%s,"id":%s,"body":%s' % (
        seq,
        after.hash.encode(),
        entry.at_us,
        _json(entry.kind),
        _json(entry.id),
        entry.body,
    )
    digest = sha256(text).hexdigest()
    return Link(seq, digest), b'%s,"hash":"%s"}\n' % (text, digest.encode())


def opened(line: bytes) -> Record:
    """Return a line's record, whichever it is. Raises `Broken`."""
    if not line.endswith(b"\n"):
        raise Broken("it is cut off")
    text = line[:-_TAIL]
    if line[-_TAIL:] != b',"hash":"%s"}\n' % sha256(text).hexdigest().encode():
        raise Broken("it was changed: its bytes do not have its hash")
    try:
        return _decode(line)
    except msgspec.MsgspecError as error:
        raise Broken(f"it is no record ({error})") from error


def following(line: bytes, after: Link | None) -> Record:
    """Return a line's record, which must follow `after`; None: it may be any. Raises `Broken`."""
    record = opened(line)
    if after is None:
        return record
    if record.seq != after.seq + 1:
        raise Broken(f"record {record.seq} is in its place")
    if record.prev != after.hash:
        raise Broken(f"it was written after another record {after.seq}")
    return record


def key_of(entry: Entry) -> bytes:
    """Return what tells an entry from all others but its repetitions, whenever they are made."""
    said = b"%s\0%s\0%s" % (entry.kind.encode(), entry.id.encode(), entry.body)
    return blake2b(said, digest_size=16).digest()


def mark_of(id: str) -> bytes:
    """Return bytes that are in every line of records with this id, and in few others."""
    return b',"id":%s,"body":' % _json(id)
