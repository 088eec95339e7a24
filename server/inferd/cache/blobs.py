"""What every store of blobs promises: the newer of two blobs stays, in whichever order they come.

How new a blob is, its *stamp*, is in the blob: it is a msgpack array of two, whose first is the
stamp, an unsigned integer of eight bytes. So a store need not understand more of it than ten bytes,
and may be asked by several servers at once.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

HEAD = b"\x92\xcf"
"""What a blob begins with: an array of two, and an integer of eight bytes, which is its stamp."""
STAMPED = len(HEAD) + 8
EARLIEST_STAMP = 2**32
"""Smaller ones would be written in fewer bytes."""
LATEST_STAMP = 2**53
"""Stamps are smaller. Larger ones are not integers everywhere: in Lua, which has floats, the one
after this would be as new."""


class Entry(NamedTuple):
    """A blob to be kept."""

    key: str
    blob: bytes
    #: From now on. It may be kept for longer. None: for ever.
    keep_s: float | None


class Written(IntEnum):
    """What became of an entry."""

    #: What is there is newer.
    OLDER = -1
    #: What is there is as new; it may be the same.
    SAME = 0
    STORED = 1


class Blobs(Protocol):
    """A store of blobs. Raises `DependencyFailed` where it can neither read nor write."""

    #: One word, e.g. `redis`.
    name: str

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return the blobs of keys, in their order; None for what is not there."""

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep blobs unless newer ones are there, and return when they are safe."""

    async def close(self) -> None:
        """Let go of what it holds."""


def stamp_of(blob: bytes) -> int:
    """Return how new a blob is."""
    return int.from_bytes(blob[len(HEAD) : STAMPED])


def verdict(stamp: int, there: int | None) -> Written:
    """Return what becomes of a blob, given the stamp of the one that is there."""
    if there is None or stamp > there:
        return Written.STORED
    return Written.SAME if stamp == there else Written.OLDER
