"""A row as bytes and back: a msgpack array of the event time and a map of the features by name.

The event time comes first and has always the same length, so that stores need not understand the
rest to tell which of two rows is newer (`inferd.cache.blobs`). The types of a view are compiled
into its decoder: what is not of them is not a row.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from inferd.cache.blobs import LATEST_STAMP
from inferd.features.kinds import Held, Kind

Cell = Held | None | UnsetType
"""A value, None where somebody wrote that there is none, `UNSET` where nobody wrote anything."""

_FIELD = "f_"
"""Goes before names, which may be keywords of Python."""


class Row(NamedTuple):
    """What a store has of one key."""

    event_us: int
    #: In the order of the view's features.
    cells: tuple[Cell, ...]
    #: Which store, or which level before it.
    source: str


class Codec:
    """Writes and reads the rows of one view."""

    def __init__(self, features: Sequence[tuple[str, Kind]]) -> None:
        self._names = [name for name, _ in features]
        fields = [
            (_FIELD + name, kind.stored_as | None | UnsetType, UNSET) for name, kind in features
        ]
        cells = msgspec.defstruct("Cells", fields, rename=_renamed, frozen=True, gc=False)
        self._decode = msgspec.msgpack.Decoder(tuple[int, cells]).decode  # type: ignore[valid-type]
        self._encode = msgspec.msgpack.Encoder().encode

    def encode(self, event_us: int, cells: Sequence[Cell]) -> bytes:
        """Return a row as bytes."""
        named: dict[str, Any] = {
            name: cell for name, cell in zip(self._names, cells, strict=True) if cell is not UNSET
        }
        return self._encode((event_us, named))

    def decode(self, blob: bytes, source: str) -> Row | None:
        """Return a row; None for bytes that are none."""
        try:
            event_us, cells = self._decode(blob)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        if not 0 <= event_us < LATEST_STAMP:
            return None
        return Row(event_us, astuple(cells), source)


def _renamed(field: str) -> str:
    return field.removeprefix(_FIELD)
