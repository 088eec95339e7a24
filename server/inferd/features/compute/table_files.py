"""Tables in files, read when the server starts: all is right in them, or they are refused."""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from io import StringIO
from pathlib import Path

import msgspec

from inferd.features.compute import cells
from inferd.features.compute.work import Row, Rows
from inferd.features.declaration import DeclarationError
from inferd.features.derivation import Column, Table
from inferd.features.kinds import Held
from inferd.features.suggestions import nearest

MOST_PROBLEMS = 10
"""A file is read no further."""

Line = Callable[[], Mapping[str, object]]
"""Returns what a line says, by column; what is absent may be None. Raises `ValueError`."""


def rows(table: Table, path: Path) -> Rows:
    """Return what is in a `.csv` or `.jsonl` file. Raises `DeclarationError` naming the lines."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DeclarationError([f"file: {path}: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise DeclarationError([f"file: {path}: not valid UTF-8 ({error.reason})"]) from error
    if path.suffix == ".csv":
        return _rows(table, path, _csv(table, path, text), cells.from_text)
    if path.suffix == ".jsonl":
        return _rows(table, path, _jsonl(text), cells.from_json)
    raise DeclarationError([f"file: {path}: a table is .csv or .jsonl"])


def _rows(table: Table, path: Path, lines: Iterable[tuple[int, Line]], read: cells.Read) -> Rows:
    found: dict[Held, Row] = {}
    problems: list[str] = []
    for number, line in lines:
        try:
            key, row = _row(table, line(), read)
            problem = "" if key not in found else f"{key!r:.80} has a row already"
            found[key] = row
        except ValueError as error:
            problem = str(error)
        if problem:
            problems.append(f"file: {path}:{number}: {problem}")
            if len(problems) == MOST_PROBLEMS:
                break
    if problems:
        raise DeclarationError(problems)
    return found


def _row(table: Table, said: Mapping[str, object], read: cells.Read) -> tuple[Held, Row]:
    key = _value(table.key, said, read)
    if key is None:
        raise ValueError(f"{table.key.name}: a row has a key")
    row = {each.name: _value(each, said, read) for each in table.columns}
    return key, {name: value for name, value in row.items() if value is not None}


def _value(column: Column, said: Mapping[str, object], read: cells.Read) -> Held | None:
    cell = said.get(column.name)
    if cell is None:
        return None
    try:
        return read(column.type, cell)
    except ValueError as error:
        raise ValueError(f"{column.name}: {error}") from error


def _csv(table: Table, path: Path, text: str) -> Iterator[tuple[int, Line]]:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        if lacking := [
            f"file: {path}:1: there is no column {each.name!r}; {nearest(each.name, header)}"
            for each in (table.key, *table.columns)
            if each.name not in header
        ]:
            raise DeclarationError(lacking)
        for line in reader:
            if line:
                yield reader.line_num, partial(_named, header, line)
    except csv.Error as error:
        raise DeclarationError([f"file: {path}:{reader.line_num}: {error}"]) from error


def _named(header: list[str], line: list[str]) -> Mapping[str, object]:
    if len(line) != len(header):
        raise ValueError(f"expected {len(header)} cells, got {len(line)}")
    return {name: cell or None for name, cell in zip(header, line, strict=True)}


def _jsonl(text: str) -> Iterator[tuple[int, Line]]:
    # Not by `splitlines`: there are other ends of lines for it, which texts in JSON may have.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, partial(_object, line)


def _object(line: str) -> Mapping[str, object]:
    try:
        return msgspec.json.decode(line, type=dict[str, object])
    except msgspec.MsgspecError as error:
        raise ValueError(f"expected a JSON object ({error})") from None
