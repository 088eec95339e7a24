"""Where an ONNX file keeps its weights, checked before ONNX Runtime opens anything.

A tensor may live outside its `.onnx` file: `external_data` names another file, and
whoever wrote the model chose the name. So every name is looked at first: it has to stay
in the model's own directory. A file without the word `location` has no such tensor, which
is all that most models ever need to be asked.

Where the word does occur, the protobuf is walked, without decoding it, along the fields
that can lead to a tensor and only into messages that contain the word. So weights are
never touched or copied, whatever their size. Nothing is merged, and so nothing can hide:
a field that is there twice is looked at twice.
"""

import mmap
import os
import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from inferd.errors import LoadFailed

#: Which fields of an ONNX message lead to tensors, and to what: onnx.proto3 has the numbers.
_LEADS: Mapping[str, Mapping[int, str]] = {
    "Model": {7: "Graph", 20: "Training", 25: "Function"},
    "Training": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Node": {5: "Attribute"},
    "Attribute": {
        5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse",
    },
    "Sparse": {1: "Tensor", 2: "Tensor"},
}  # fmt: skip
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_EXTERNAL = 1
_KEY, _VALUE = 1, 2

_VARINT, _LENGTH_DELIMITED = 0, 2
_FIXED = {1: 8, 5: 4}

_WORD = re.compile(b"location")
#: More mentions than any model has tensors; a list of them has to fit into memory.
MAX_MENTIONS = 1_000_000
#: Protobuf's own limit.
MAX_DEPTH = 100
#: No backslashes, which are separators elsewhere, no NUL, and not ONNX Runtime's own mark
#: for "at this address in memory".
_ORDINARY = re.compile(r"(?!.*_ORT_MEM_ADDR_)[^\\\0]{1,4096}", re.DOTALL)

Span = tuple[int, int]
"""Where something begins and ends in its file."""


@dataclass(slots=True)
class _External:
    """What one tensor says about data in another file."""

    #: The keys and values, in order.
    entries: list[tuple[str, str]]
    #: Whether that is where its data is; else ONNX Runtime does not look there.
    used: bool = False

    def values(self, key: str) -> list[str]:
        return [value for name, value in self.entries if name == key]


class _Corrupt(Exception):
    """Not what a protobuf message looks like."""


def check_external_data(model: Path, *, within: Path | None = None) -> int:
    """Return the bytes that a model takes on disk, external data included.

    `within` is the directory that links may lead into, the model's own by default. Raises
    `LoadFailed`, naming the file, for external data that is elsewhere, missing or too
    short, and for a file in which that cannot be told.
    """
    try:
        own = model.stat().st_size
        tensors = _external_tensors(model) if own else []
        others = _Files(model, Path(os.path.realpath(within or model.parent)))
        for tensor in tensors:
            others.check(tensor)
    except OSError as error:
        raise LoadFailed(f"cannot read {model.name}: {error.strerror or error}") from error
    except _Corrupt as error:
        raise LoadFailed(f"{model.name} is not a valid ONNX file: {error}") from error
    if not own:
        raise LoadFailed(f"{model.name} is empty")
    return own + others.total


def _external_tensors(model: Path) -> list[_External]:
    with model.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[4:8] == b"ORTM":
            raise LoadFailed(f"{model.name} is in ORT format: inferd loads ONNX")
        mentions = [each.start() for each in islice(_WORD.finditer(data), MAX_MENTIONS + 1)]
        if len(mentions) > MAX_MENTIONS:
            raise LoadFailed(f"{model.name} has more external data than can be checked")
        return list(_walk(data, mentions)) if mentions else []


def _walk(data: mmap.mmap, mentions: Sequence[int]) -> Iterator[_External]:
    """Find every tensor with external data, depth first."""
    waiting = [("Model", (0, len(data)), 0)]
    while waiting:
        kind, span, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _Corrupt("its messages are nested too deeply")
        for number, wire, inner in _fields(data, span):
            held = _LEADS[kind].get(number) if wire == _LENGTH_DELIMITED else None
            if held is None or not _any_within(mentions, inner):
                continue
            if held != "Tensor":
                waiting.append((held, inner, depth + 1))
            else:
                yield _external(data, inner)


def _any_within(mentions: Sequence[int], span: Span) -> bool:
    first = bisect_left(mentions, span[0])
    return first < len(mentions) and mentions[first] < span[1]


def _external(data: mmap.mmap, tensor: Span) -> _External:
    found = _External([])
    for number, wire, inner in _fields(data, tensor):
        if number == _EXTERNAL_DATA and wire == _LENGTH_DELIMITED:
            found.entries += _entry(data, inner)
        elif number == _DATA_LOCATION and wire == _VARINT:
            found.used |= _varint(data, *inner)[0] == _EXTERNAL
    return found


def _entry(data: mmap.mmap, span: Span) -> list[tuple[str, str]]:
    keys: list[str] = []
    values: list[str] = []
    for number, wire, (start, end) in _fields(data, span):
        if wire == _LENGTH_DELIMITED and number in (_KEY, _VALUE):
            (keys if number == _KEY else values).append(os.fsdecode(data[start:end]))
    # Of several, a parser takes the last. Here all are taken: then it does not matter.
    return [(key, value) for key in keys for value in values or [""]]


def _fields(data: mmap.mmap, span: Span) -> Iterator[tuple[int, int, Span]]:
    """Every field of a message: its number, its wire type, and where its content is."""
    at, end = span
    while at < end:
        tag, start = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 2**29:
            raise _Corrupt(f"there is no field {number}")
        if wire == _LENGTH_DELIMITED:
            length, start = _varint(data, start, end)
            at = start + length
        elif wire == _VARINT:
            _, at = _varint(data, start, end)
        elif wire in _FIXED:
            at = start + _FIXED[wire]
        else:
            raise _Corrupt(f"field {number} has the type {wire}, which ONNX does not use")
        if at > end:
            raise _Corrupt("it ends in the middle")
        yield number, wire, (start, at)


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise _Corrupt("it ends in the middle")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Corrupt("it has a number of more than 64 bits")


class _Files:
    """The files beside a model that its tensors are in."""

    def __init__(self, model: Path, allowed: Path) -> None:
        self._model = model
        self._allowed = allowed
        self._paths: dict[str, Path] = {}
        self._sizes: dict[Path, int] = {}

    @property
    def total(self) -> int:
        """The bytes of all files that are used, each counted once."""
        return sum(self._sizes.values())

    def check(self, tensor: _External) -> None:
        """Raise `LoadFailed` unless the tensor's data is where it may be, and all there."""
        locations = tensor.values("location")
        for location in locations:
            if location not in self._paths:
                self._paths[location] = self._path_of(location)
        if not tensor.used:
            return
        if not locations:
            raise LoadFailed(f"{self._model.name}: its external data has no location")
        for location in locations:
            self._check_size(location, tensor)

    def _path_of(self, location: str) -> Path:
        steps = location.split("/")
        if ".." in steps or not steps[0] or not _ORDINARY.fullmatch(location):
            raise self._failed(location, "is not a relative path below the model's directory")
        path = Path(os.path.realpath(self._model.parent / location))
        if not path.is_relative_to(self._allowed):
            raise self._failed(location, "leads out of the model's directory")
        return path

    def _check_size(self, location: str, tensor: _External) -> None:
        path = self._paths[location]
        if path not in self._sizes:
            if not path.is_file():
                raise self._failed(location, "is missing")
            self._sizes[path] = path.stat().st_size
        try:
            end = sum(int((tensor.values(key) or ["0"])[-1]) for key in ("offset", "length"))
        except ValueError:
            raise self._failed(location, "has an offset or a length that is no number") from None
        if end > self._sizes[path]:
            has = self._sizes[path]
            raise self._failed(location, f"has {has} bytes, but {end} are needed")

    def _failed(self, location: str, text: str) -> LoadFailed:
        return LoadFailed(f"{self._model.name}: its external data {location[:200]!a} {text}")
