"""Expressions in the Common Expression Language (CEL), checked when they are compiled.

Every variable has a type, and may be null. A misspelt name or a wrong type is an error before
anything is evaluated. What goes wrong later (null in arithmetic, a division by zero, an index out
of range) gives no value.

The library tells nullable types apart only when it checks: to a variable that is declared as
nullable int it binds protobuf wrappers, which are slow to make. So an expression is checked against
nullable types, and the checked expression is then evaluated where nothing is declared.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from inferd.features.kinds import Held, Kind
from inferd.features.suggestions import nearest

_NULLABLE = {
    "int64": "google.protobuf.Int64Value",
    "float64": "google.protobuf.DoubleValue",
    "bool": "google.protobuf.BoolValue",
    "string": "google.protobuf.StringValue",
    "bytes": "google.protobuf.BytesValue",
}
_RESULTS = {
    "INT": "int64",
    "DOUBLE": "float64",
    "BOOL": "bool",
    "STRING": "string",
    "BYTES": "bytes",
    "LIST<DOUBLE>": "float_list",
    "LIST<STRING>": "string_list",
}

#: What is no code: strings (raw ones have no escapes), and comments to the end of the line.
_NO_CODE = re.compile(
    r"""
    (?i:br|rb|r) (?: '{3}.*?'{3} | "{3}.*?"{3} | '[^'\n]*' | "[^"\n]*" )
    | '{3}(?:\\.|.)*?'{3} | "{3}(?:\\.|.)*?"{3} | '(?:\\.|[^'\\\n])*' | "(?:\\.|[^"\\\n])*"
    | //[^\n]*
    """,
    re.VERBOSE | re.DOTALL,
)
_TOKEN = re.compile(
    rf"(?P<no_code>{_NO_CODE.pattern}) | \bmatches\s*\( | \w+ | \S", re.VERBOSE | re.DOTALL
)
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*")
_PROBLEM = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*?)(?: \[[A-Z_]+\])?$", re.MULTILINE)
_WRAPPER = re.compile(r"wrapper\((\w+)\)")
_UNDECLARED = re.compile(r"undeclared reference to '([^']*)'")
_MIXED = re.compile(r"applied to '\((?:int, double|double, int)\)'")


class BadExpression(ValueError):
    """A text is no expression of these variables. The message says why, and where in it."""


class Expression:
    """One expression, ready to be evaluated. It never changes."""

    def __init__(self, program: Any, references: tuple[str, ...], result: str) -> None:
        #: The variables that its text names, in their order.
        self.references = references
        #: The name of its result's type, as of a `Kind`.
        self.result = result
        self._evaluate = program.eval
        self._error = _cel().Type.ERROR

    @classmethod
    def compile(cls, text: str, variables: Mapping[str, Kind]) -> "Expression":
        """Return an expression of variables, whose names may have dots.

        Raises `BadExpression`, also where the library for CEL is not installed.
        """
        cel = _cel()
        references = named(text, variables)
        types = {name: _nullable(cel, variables[name]) for name in references}
        try:
            text.encode()
            checked = cel.NewEnv(variables=types).compile(text)
            _check_patterns(text)
            program = _untyped().deserialize(checked.serialize())
        except (RuntimeError, ValueError) as error:
            raise BadExpression(_described(str(error), variables)) from error
        told = checked.return_type().name()
        if told not in _RESULTS:
            raise BadExpression(f"its result is {told.lower()}, and there is no such type here")
        return cls(program, references, _RESULTS[told])

    def evaluate(self, values: Mapping[str, Held | None]) -> Held | None:
        """Return its result for values by name, of which it reads those it refers to.

        None: the result is null, or there is none. Lists are copied.
        """
        try:
            data = {name: _given(values[name]) for name in self.references}
            result = self._evaluate(data=data)
        except (ValueError, RuntimeError):  # a text with NUL, or without UTF-8
            return None
        value = result.value()
        if type(value) is str and result.type() == self._error:
            return None  # it is what went wrong
        return _held(value)


def _nullable(cel: Any, kind: Kind) -> Any:
    if kind.is_list:
        return cel.Type.List(cel.Type.DOUBLE if kind.length else cel.Type.STRING)
    return cel.Type(_NULLABLE[kind.name])


def _given(value: Held | None) -> Any:
    """Return a value as the library takes it whole: it cuts `str` and `bytes` at their first NUL.

    Raises `ValueError` for a text with NUL: better no value than that of another text.
    """
    if type(value) is str and "\0" in value:
        raise ValueError("a text with NUL")
    if type(value) is bytes:
        return bytearray(value)
    return [_given(each) for each in value] if type(value) is tuple else value


def _held(value: Any) -> Held | None:
    if type(value) is list:
        return tuple([each.value() for each in value])
    return bytes(value) if type(value) is bytearray else value


def named(text: str, variables: Iterable[str]) -> tuple[str, ...]:
    """Return the variables that a text may refer to.

    One too many does no harm; one too few, the compiler would tell.
    """
    known = set(variables)
    found: dict[str, None] = {}
    for match in _DOTTED.finditer(_NO_CODE.sub("''", text)):
        steps = re.split(r"\s*\.\s*", match[0])
        prefixes = (".".join(steps[:end]) for end in range(1, len(steps) + 1))
        found.update(dict.fromkeys(name for name in prefixes if name in known))
    return tuple(found)


def _check_patterns(text: str) -> None:
    """Raise `BadExpression` for a pattern that is none: else nobody would know before it is used.

    One that is put together, or comes from a variable, is not known yet.
    """
    for literal in _patterns(text):
        result = _untyped().compile(f"''.matches({literal})").eval(data={})
        if result.type() == _cel().Type.ERROR:
            why = str(result.value()).removeprefix("INVALID_ARGUMENT: ")
            raise BadExpression(f"{why} (in matches, RE2)")


def _patterns(text: str) -> Iterator[str]:
    """Yield the literals that are given to `matches` as patterns, as they are written."""
    calls: list[bool] = []  # open parentheses: whether each is that of `matches`
    last: deque[re.Match[str]] = deque(maxlen=2)
    for token in _TOKEN.finditer(text):
        if token[0].startswith("//"):
            continue
        if token[0][-1] == "(" and not token["no_code"]:
            calls.append(len(token[0]) > 1)
        elif token[0] == ")" and calls and calls.pop():
            before, literal = last
            if literal["no_code"] and before[0][-1] in "(,":
                yield literal[0]
        last.append(token)


def _described(told: str, variables: Mapping[str, Kind]) -> str:
    """Return what the library says of a text, in one line, with what may be meant."""
    problems = []
    for line, column, what in _PROBLEM.findall(told):
        message = _WRAPPER.sub(r"\1", what.replace(" (in container '')", ""))
        if name := _UNDECLARED.search(message):
            message += f"; {nearest(name[1], variables)}" if variables else "; there are none"
        if _MIXED.search(message):
            message += "; they do not mix: write double(x) for an int, 2.0 for 2"
        problems.append(f"{message} (line {line}, column {column})")
    return "; ".join(problems) or told


@cache
def _untyped() -> Any:
    return _cel().NewEnv(variables={})


def _cel() -> Any:
    try:
        from cel_expr_python import cel
    except ImportError as error:
        raise BadExpression("an expression needs inferd[cel], which is not installed") from error
    return cel
