"""The types that features can have, and which values are of them.

Values are immutable, because they are handed to many: a list is a tuple.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

Scalar = int | float | bool | str | bytes
Held = Scalar | tuple[float, ...] | tuple[str, ...]
"""A value of a feature, where there is one."""

MAX_LENGTH = 65536
"""Of a list of floats."""
MAX_TEXTS = 1000
"""In a list of texts."""

_LEAST, _GREATEST = -(2**63), 2**63 - 1

_STORED_AS: Mapping[str, Any] = {
    # An answer has no room for more, and msgpack has.
    "int64": Annotated[int, msgspec.Meta(ge=_LEAST, le=_GREATEST)],
    "float64": float,
    "bool": bool,
    "string": str,
    "bytes": bytes,
    "string_list": Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_TEXTS)],
}

_LIST = re.compile(r"float_list\[([1-9][0-9]{0,5})\]")


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a feature."""

    name: str
    #: How many floats a list has; 0: it is no list of floats.
    length: int = 0

    @classmethod
    def named(cls, name: object) -> "Kind":
        """Return the type of that name. Raises `ValueError`."""
        if name in _CHECKS:
            return cls(str(name))
        match = _LIST.fullmatch(name) if isinstance(name, str) else None
        if match and int(match[1]) <= MAX_LENGTH:
            return cls("float_list", int(match[1]))
        raise ValueError(
            f"a type is one of {', '.join(_CHECKS)} or float_list[n], n from 1 to {MAX_LENGTH}"
        )

    def __str__(self) -> str:
        return f"{self.name}[{self.length}]" if self.length else self.name

    @property
    def is_list(self) -> bool:
        """Whether its values are lists: of so many floats, or of texts."""
        return self.length > 0 or self.name == "string_list"

    @property
    def stored_as(self) -> Any:
        """How a stored value is read, as a type that msgspec checks."""
        if self.length:
            exactly = msgspec.Meta(min_length=self.length, max_length=self.length)
            return Annotated[tuple[float, ...], exactly]
        return _STORED_AS[self.name]

    def checked(self, value: object, *, finite: bool) -> Held:
        """Return the value as it is kept. Raises `ValueError`, saying what was expected."""
        if self.length:
            return self._checked_list(value, finite=finite)
        return _CHECKS[self.name](value, finite)

    def checked_finite(self, value: object) -> Held:
        """Return the value as it is kept, where NaN and infinities never are. As `checked`."""
        held = self.checked(value, finite=False)
        for each in held if isinstance(held, tuple) else (held,):
            if isinstance(each, float) and not math.isfinite(each):
                raise ValueError(f"expected a finite float64, got {each}")
        return held

    def _checked_list(self, value: object, *, finite: bool) -> tuple[float, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected {self}, got {_told(value)}")  # noqa: TRY004 - see above
        if len(value) != self.length:
            raise ValueError(f"expected {self.length} floats, got {len(value)}")
        return tuple(_a_float(each, finite) for each in value)


def _an_int(value: object, _finite: bool) -> int:
    if type(value) is not int:
        raise ValueError(f"expected int64, got {_told(value)}")
    if not _LEAST <= value <= _GREATEST:
        raise ValueError("expected int64, got a number that is larger")
    return value


def _a_float(value: object, finite: bool) -> float:
    if type(value) is not float and type(value) is not int:
        raise ValueError(f"expected float64, got {_told(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if finite and not math.isfinite(number):
        raise ValueError(f"expected a finite float64, got {number}; allow_nan would allow it")
    return number


def _a_bool(value: object, _finite: bool) -> bool:
    if type(value) is not bool:
        raise ValueError(f"expected bool, got {_told(value)}")
    return value


def _a_string(value: object, _finite: bool) -> str:
    if type(value) is not str:
        raise ValueError(f"expected string, got {_told(value)}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("expected string, got text that has no UTF-8") from error
    return value


def _bytes(value: object, _finite: bool) -> bytes:
    if type(value) is not bytes:
        raise ValueError(f"expected bytes, got {_told(value)}")
    return value


def _strings(value: object, finite: bool) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected string_list, got {_told(value)}")  # noqa: TRY004 - see above
    if len(value) > MAX_TEXTS:
        raise ValueError(f"expected string_list of at most {MAX_TEXTS}, got {len(value)}")
    return tuple(_a_string(each, finite) for each in value)


_CHECKS: Mapping[str, Callable[[object, bool], Scalar | tuple[str, ...]]] = {
    "int64": _an_int,
    "float64": _a_float,
    "bool": _a_bool,
    "string": _a_string,
    "bytes": _bytes,
    "string_list": _strings,
}


def _told(value: object) -> str:
    name = {int: "int64", float: "float64", str: "string", tuple: "a list", list: "a list"}
    return name.get(type(value), type(value).__name__)
