"""An item, as it is said and as it is kept.

What is kept of an item is one blob of MessagePack, made when it comes: columns answer what filters
and sources ask, and all else is read from the blob of the few items that somebody looks at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Value = str | float | bool
"""Of an attribute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Something that can be recommended. Texts that are not known are empty."""

    id: str
    title: str = ""
    description: str = ""
    category: str = ""
    brand: str = ""
    merchant: str = ""
    #: In minor units of the currency.
    price_minor: int = 0
    #: ISO 4217.
    currency: str = ""
    #: None: not known, and it can be had.
    stock: int | None = None
    #: From when on it is recommended, in microseconds since 1970. 0: always.
    released_us: int = 0
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, Value] = field(default_factory=dict)
    #: Float32 [d], if whoever wrote the item said where it is in the space of users' vectors.
    vector: Vectors | None = field(default=None, compare=False)


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    id: str
    title: str
    description: str
    category: str
    brand: str
    merchant: str
    price_minor: int
    currency: str
    stock: int | None
    released_us: int
    tags: tuple[str, ...]
    attributes: dict[str, Value]
    #: Little-endian float32.
    vector: bytes | None


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


def encoded(item: Item) -> bytes:
    """Return an item as it is kept: equal items have equal bytes."""
    vector = None if item.vector is None else item.vector.astype("<f4").tobytes()
    return _encode(
        _Kept(
            item.id,
            item.title,
            item.description,
            item.category,
            item.brand,
            item.merchant,
            item.price_minor,
            item.currency,
            item.stock,
            item.released_us,
            item.tags,
            dict(item.attributes),
            vector,
        )
    )


def decoded(blob: bytes) -> Item:
    """Return the item of which that is kept. Raises `msgspec.MsgspecError`."""
    kept = _decode(blob)
    vector = None if kept.vector is None else np.frombuffer(kept.vector, "<f4")
    said = {name: getattr(kept, name) for name in _Kept.__struct_fields__}
    return Item(**{**said, "vector": vector})
