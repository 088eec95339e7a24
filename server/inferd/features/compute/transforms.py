"""The declared transforms, each compiled once into a function of its inputs.

They are pure and give the same result online, in the stream and in training. What is null stays
null; so does what has no finite result. `hash` and `cross` agree on any machine and any version of
Python, because they hash bytes that are defined here (`hashed`), not what an interpreter makes of
a value.
"""

import math
import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from inferd.features.derivation import (
    Bucketise,
    Cross,
    Distance,
    Hashed,
    Log,
    OneHot,
    Standardise,
    TextLength,
    Transform,
    references,
)
from inferd.features.kinds import Held, Kind

Compute = Callable[[Sequence[Held | None]], Held | None]
"""Returns a value for inputs in their declared order; None where there is none. Never raises."""

EARTH_KM = 6371.0088
"""The mean radius (IUGG)."""

_NUMBERS = ("int64", "float64")
_SCALARS = ("int64", "float64", "bool", "string", "bytes")
_INT64, _FLOAT64 = Kind("int64"), Kind("float64")

_TAKES: Mapping[type, Sequence[str]] = {
    OneHot: ("string", "int64", "bool"),
    Hashed: _SCALARS,
    Bucketise: _NUMBERS,
    Log: _NUMBERS,
    Standardise: _NUMBERS,
    Cross: _SCALARS,
    Distance: _NUMBERS,
    TextLength: ("string",),
}


class Compiled(NamedTuple):
    """A transform that is ready for use."""

    kind: Kind
    """Of its results."""
    compute: Compute


def compiled(transform: Transform, kinds: Sequence[Kind]) -> Compiled:
    """Return a transform of inputs of these types. Raises `ValueError`, saying which cannot be."""
    takes = _TAKES[type(transform)]
    for name, kind in zip(references(transform), kinds, strict=True):
        if kind.name not in takes:
            raise ValueError(
                f"{name} is {kind}, and {transform.function} is of {' or '.join(takes)}"
            )
    match transform:
        case OneHot():
            return Compiled(
                Kind("float_list", len(transform.categories)), _one_hot(transform, kinds[0])
            )
        case Hashed() | Cross():
            return Compiled(_INT64, _hashed(transform.buckets, kinds))
        case Bucketise():
            return Compiled(_INT64, _bucketise(transform.bounds))
        case Log() | Standardise() | Distance():
            return Compiled(_FLOAT64, _real(transform))
        case TextLength():
            return Compiled(_INT64, _of_one(len))


def hashed(values: Sequence[Held], kinds: Sequence[Kind]) -> int:
    """Return the hash of values: 64 bits, unsigned.

    It is BLAKE2b (RFC 7693) with a digest of 8 bytes, most significant first, of the values' bytes
    one after the other. Each begins with a letter for its type and the length of what follows,
    4 bytes. Numbers have their most significant byte first.

    | type | letter | what follows |
    |---|---|---|
    | int64 | `i` | two's complement, 8 bytes |
    | float64 | `f` | IEEE 754 binary64, 8 bytes; -0.0 as 0.0 |
    | bool | `b` | 1 byte, 0 or 1 |
    | string | `s` | UTF-8 |
    | bytes | `y` | as they are |
    """
    parts = [_ENCODED[kind.name](value) for value, kind in zip(values, kinds, strict=True)]
    return int.from_bytes(blake2b(b"".join(parts), digest_size=8).digest(), "big")


def _sized(letter: bytes, body: bytes) -> bytes:
    return letter + len(body).to_bytes(4, "big") + body


_ENCODED: Mapping[str, Callable[[Any], bytes]] = {
    "int64": lambda value: _sized(b"i", struct.pack(">q", value)),
    "float64": lambda value: _sized(b"f", struct.pack(">d", value + 0.0)),  # -0.0 becomes 0.0
    "bool": lambda value: _sized(b"b", struct.pack(">?", value)),
    "string": lambda value: _sized(b"s", value.encode()),
    "bytes": lambda value: _sized(b"y", value),
}


def _hashed(buckets: int, kinds: Sequence[Kind]) -> Compute:
    def compute(values: Sequence[Held | None]) -> int | None:
        there = [value for value in values if value is not None and not _is_nan(value)]
        return hashed(there, kinds) % buckets if len(there) == len(kinds) else None

    return compute


def _one_hot(transform: OneHot, kind: Kind) -> Compute:
    categories = transform.categories
    of = {"string": str, "int64": int, "bool": bool}[kind.name]
    for category in categories:
        if type(category) is not of:
            raise ValueError(f"category {category!r:.80} is no {kind}, and {transform.of} is")
    length = len(categories)
    hot = {
        category: tuple(1.0 if at == place else 0.0 for at in range(length))
        for place, category in enumerate(categories)
    }
    cold = (0.0,) * length
    return _of_one(lambda value: hot.get(value, cold))


def _bucketise(bounds: Sequence[float]) -> Compute:
    return _of_one(lambda value: None if _is_nan(value) else bisect_right(bounds, value))


def _real(transform: Log | Standardise | Distance) -> Compute:
    match transform:
        case Log():
            return _of_one(_log1p)
        case Standardise():
            return _standardise(transform)
        case Distance():
            return _distance_km


def _log1p(value: float) -> float | None:
    return _finite(math.copysign(math.log1p(abs(value)), value))


def _standardise(transform: Standardise) -> Compute:
    mean, deviation, within = transform.mean, transform.deviation, transform.within

    def standardised(value: float) -> float | None:
        score = (value - mean) / deviation
        if within is not None and abs(score) > within:
            return math.copysign(within, score)
        return _finite(score)

    return _of_one(standardised)


def _distance_km(values: Sequence[Any]) -> float | None:
    """Return the distance to a metre, by haversines: so it is the same on any machine."""
    if any(value is None for value in values):
        return None
    north, east, other_north, other_east = map(float, values)
    if not (abs(north) <= 90 and abs(other_north) <= 90 and math.isfinite(east - other_east)):
        return None
    one, other = math.radians(north), math.radians(other_north)
    turn = math.radians(other_east - east)
    haversine = math.sin((other - one) / 2) ** 2
    haversine += math.cos(one) * math.cos(other) * math.sin(turn / 2) ** 2
    return round(2 * EARTH_KM * math.asin(math.sqrt(min(1.0, haversine))), 3)


def _is_nan(value: Held) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _of_one(function: Callable[[Any], Held | None]) -> Compute:
    def compute(values: Sequence[Held | None]) -> Held | None:
        value = values[0]
        return None if value is None else function(value)

    return compute
