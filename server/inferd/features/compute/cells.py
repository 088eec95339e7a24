"""What tables say, as values of the declared types: each source has its own way to write them.

Each function returns a value, or raises `ValueError` saying what was expected.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import numpy as np

from inferd.features.kinds import Held, Kind

Read = Callable[[Kind, Any], Held]
"""One of these functions."""

_NUMBERS: Mapping[str, type] = {"int64": int, "float64": float, "bool": bool}


def from_text(kind: Kind, text: str) -> Held:
    """Read a cell of a CSV file: booleans are true or false, lists JSON, and bytes Base64."""
    if kind.is_list:
        return kind.checked(_json(kind, text), finite=True)
    if kind.name in _NUMBERS:
        try:
            number: object = msgspec.convert(text, _NUMBERS[kind.name], strict=False)
        except msgspec.ValidationError:
            raise ValueError(f"expected {kind}, got {text!r:.80}") from None
        return kind.checked(number, finite=True)
    return from_json(kind, text)


def from_json(kind: Kind, value: object) -> Held:
    """Read a value of a JSON object: bytes are Base64."""
    if kind.name == "bytes" and isinstance(value, str):
        return b64decode(value, validate=True)
    return kind.checked(value, finite=True)


def from_redis(kind: Kind, value: object) -> Held:
    """Read a field of a hash: as in a CSV file, but bytes are themselves."""
    if not isinstance(value, bytes):
        raise ValueError("expected a hash")  # noqa: TRY004 - for whoever wrote it, it is a value
    return value if kind.name == "bytes" else from_text(kind, value.decode())


def from_sqlite(kind: Kind, value: object) -> Held:
    """Read a column: booleans are 0 or 1, and lists JSON."""
    if kind.name == "bool" and type(value) is int and value in (0, 1):
        return bool(value)
    if kind.is_list and isinstance(value, str):
        value = _json(kind, value)
    return kind.checked(value, finite=True)


def from_python(kind: Kind, value: object) -> Held:
    """Read what a function returned: values of NumPy's are taken for Python's."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    return kind.checked(value, finite=True)


def _json(kind: Kind, text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        raise ValueError(f"expected {kind} as JSON, got {text!r:.80}") from None
