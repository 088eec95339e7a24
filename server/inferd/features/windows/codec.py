"""What is kept of an entity as bytes and back.

A blob is as the stores have it (`inferd.cache.blobs`), a msgpack array of two: the stamp, and
bytes. These are a checksum and, again in msgpack, what is kept. The checksum begins with the plan's
fingerprint, so that neither broken bytes nor those of another plan are taken for one's own.
"""

from collections.abc import Sequence
from types import GenericAlias
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from inferd.cache.blobs import HEAD, STAMPED
from inferd.features.windows.newest import Columns, Dated
from inferd.features.windows.ring import Event
from inferd.features.windows.tiles import Level, Partials

_CRC_BYTES = 4


class Kept(NamedTuple):
    """All there is to a state."""

    newest_us: int
    #: Hashes of ids, the oldest first.
    recent: list[int]
    #: Sorted by event time.
    events: list[Event]
    #: Of each level the tiles, with their numbers.
    tiles: Sequence[Sequence[tuple[int, Partials]]]
    #: As `Latest` sorts them. Of plans without lists it is not in the bytes.
    newest: Sequence[Dated] = ()


class Codec:
    """Writes and reads what is kept for one plan."""

    def __init__(
        self, levels: Sequence[Level], fingerprint: int, columns: Columns | None = None
    ) -> None:
        self._fingerprint = fingerprint
        self._decode_blob = msgspec.msgpack.Decoder(tuple[int, bytes]).decode
        self._decode: Any = msgspec.msgpack.Decoder(_type_of(levels, columns)).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._parts = 4 if columns is None else 5

    def encode(self, stamp: int, kept: Kept) -> bytes:
        """Return a blob."""
        body = self._encode(kept[: self._parts])
        checksum = crc32(body, self._fingerprint).to_bytes(_CRC_BYTES)
        return HEAD + stamp.to_bytes(STAMPED - len(HEAD)) + self._encode(checksum + body)

    def decode(self, blob: bytes) -> Kept | None:
        """Return what is kept; None for bytes that are not of this plan."""
        try:
            _, summed = self._decode_blob(blob)
            body = summed[_CRC_BYTES:]
            if crc32(body, self._fingerprint) != int.from_bytes(summed[:_CRC_BYTES]):
                return None
            newest_us, recent, events, tiles, *newest = self._decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return Kept(
            newest_us,
            recent,
            events,
            [[(index, list(partials)) for index, partials in level] for level in tiles],
            *newest,
        )


def _type_of(levels: Sequence[Level], columns: Columns | None) -> Any:
    # Cells not by their types: msgspec cannot tell texts from bytes in a union.
    events = list[tuple[int, tuple[Any, ...]]]
    tiles = [
        _list_of(_tuple_of(int, _tuple_of(*(slot.reducer.state | None for slot in level.slots))))
        for level in levels
    ]
    newest = (
        [] if columns is None else [_list_of(_tuple_of(int, _tuple_of(*[str] * len(columns.of))))]
    )
    return _tuple_of(int, list[int], events, _tuple_of(*tiles), *newest)


def _tuple_of(*types: Any) -> Any:
    return GenericAlias(tuple, types)


def _list_of(each: Any) -> Any:
    return GenericAlias(list, (each,))
