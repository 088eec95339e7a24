"""Values as JSON that comes back as it went, to the last bit.

JSON has no bytes, no infinity and nothing that is not a number; these are written as an object with
one member, `$bytes` or `$float`. Other floats are written with as many digits as tell them from
their neighbours (Adams, Ryū, 2018), and come back the same.
"""

import math
from base64 import b64decode, b64encode
from typing import Any

import msgspec

BYTES, FLOAT = "$bytes", "$float"

_sorted = msgspec.json.Encoder(order="deterministic").encode


_ALWAYS = frozenset({int, str, bool, type(None)})


def is_plain(value: Any) -> bool:
    """Return whether JSON can say a value as it is. Most can be."""
    kind = type(value)
    if kind in _ALWAYS:
        return True
    if kind is float:
        return math.isfinite(value)
    if kind is dict:
        return all(map(is_plain, value.values()))
    return kind is list and all(map(is_plain, value))


def plain(value: Any) -> Any:
    """Return a value as JSON can say it."""
    match value:
        case float() if not math.isfinite(value):
            return {FLOAT: repr(value)}
        case bytes():
            return {BYTES: b64encode(value).decode()}
        case list() | tuple():
            return [*map(plain, value)]
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case _:
            return value


def unplain(said: Any) -> Any:
    """Return the value that `plain` was given; lists for tuples."""
    match said:
        case {"$float": str(text)} if len(said) == 1:
            return float(text)
        case {"$bytes": str(text)} if len(said) == 1:
            return b64decode(text)
        case list():
            return [*map(unplain, said)]
        case dict():
            return {key: unplain(each) for key, each in said.items()}
        case _:
            return said


def canonical(value: Any) -> bytes:
    """Return the same bytes for the same value, in whichever order its members came."""
    return _sorted(plain(value))
