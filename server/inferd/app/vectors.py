"""`inferd vectors`: what a server would have answered, for all questions of a log.

It is for training: the same definitions, and the same parts, tell what a model learns from and what
it is asked with.
"""

import csv
import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import msgspec

from inferd.app import features
from inferd.app.replay import Replay, Vector
from inferd.app.settings import ConfigError
from inferd.config import Config
from inferd.errors import InferdError, InvalidRequest
from inferd.features.compute import table_files
from inferd.features.compute.work import Rows
from inferd.features.declaration import DeclarationError
from inferd.features.definitions import US, Definitions
from inferd.features.history import History
from inferd.features.kinds import Held
from inferd.features.suggestions import nearest
from inferd.features.writing import Limits

WALL_CLOCK = time.time  # noqa: TID251 - events have times of day

Say = Callable[[str], None]
"""Gets what somebody at the terminal should read."""

Write = Callable[[Vector], None]

SUFFIXES = (".csv", ".jsonl")
"""What can be written."""

_encode = msgspec.json.Encoder().encode


def run(
    config: Config,
    say: Say,
    complain: Say,
    log: Path,
    names: Sequence[str],
    *,
    out: Path | None,
    slack_s: float,
) -> int:
    """Answer the questions of a log, in their order: in `out`, a .csv or .jsonl; or say it.

    Complain of events of a stream whose type is known nowhere. Raises `ConfigError` for what is
    wrong with the definitions, `InvalidRequest` naming lines and fields, `OSError` for files.
    """
    if out is not None and out.suffix not in SUFFIXES:
        raise InvalidRequest(f"--out: a file is {' or '.join(SUFFIXES)}, got {out.name!r:.80}")
    declared = features.definitions(config.features)
    if declared is None:
        raise ConfigError(["features.definitions: there is no file that declares any"])
    limits = Limits(config.features.max_blob_bytes, round(config.features.max_future_s * US))
    replay = Replay(
        declared,
        History(declared, _tables(declared), limits=limits),
        names,
        slack_us=round(slack_s * US),
        until_us=round(WALL_CLOCK() * US) + limits.ahead_us,
    )
    with log.open("rb") as lines, _writing(out, replay.columns, say) as write:
        for number, line in enumerate(lines, start=1):
            try:
                vector = replay.take(line) if line.strip() else None
            except InferdError as error:
                raise InvalidRequest(_located(error, f"{log}:{number}")) from error
            if vector is not None:
                write(vector)
    if out is not None:
        counts = (f"{count} {what}" for what, count in sorted(replay.counts.items()))
        say(f"{out}: {', '.join(counts)}")
    for type, count in sorted(replay.undeclared.items()):
        if type not in config.stream.routes:
            told = f"events of type {type!r:.80} are not declared, {count} left out"
            complain(f"{log}: {told}; {nearest(type, declared.events)}")
    return 0


def _tables(declared: Definitions) -> dict[str, Rows]:
    """Return what is in the tables that are files."""
    tables, problems = {}, []
    for name, table in declared.tables.items():
        if table.file is not None:
            try:
                tables[name] = table_files.rows(table, table.file)
            except DeclarationError as error:
                problems += [f"tables.{name}.{problem}" for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return tables


def _located(error: InferdError, place: str) -> str:
    """Return what is wrong, a line for each field."""
    if isinstance(error, InvalidRequest) and error.violations:
        return "\n".join(f"{place}: {it.field}: {it.description}" for it in error.violations)
    return f"{place}: {error}"


@contextmanager
def _writing(out: Path | None, columns: Sequence[str], say: Say) -> Iterator[Write]:
    """Yield what writes answers. A file is there when all are in it, and not before."""
    if out is None:
        yield lambda vector: say(_json(vector))
        return
    scratch = out.with_name(out.name + ".new")
    try:
        with scratch.open("w", encoding="utf-8", newline="") as file:
            yield _csv(file, columns) if out.suffix == ".csv" else _jsonl(file)
        os.replace(scratch, out)
    finally:
        scratch.unlink(missing_ok=True)


def _jsonl(file: TextIO) -> Write:
    def write(vector: Vector) -> None:
        file.write(_json(vector) + "\n")

    return write


def _csv(file: TextIO, columns: Sequence[str]) -> Write:
    writer = csv.writer(file, lineterminator="\n")
    both = [name for column in columns for name in (column, f"{column}.status")]
    writer.writerow(["entity", "id", "at_us", *both])

    def write(vector: Vector) -> None:
        cells = [
            cell
            for name in columns
            for cell in (_text(vector.values.get(name)), vector.statuses.get(name, ""))
        ]
        writer.writerow([vector.entity, vector.id, vector.at_us, *cells])

    return write


def _text(value: Held | None) -> str:
    """Return a value as tables in CSV files have it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return b64encode(value).decode() if isinstance(value, bytes) else _json(value)


def _json(it: Vector | Held) -> str:
    return _encode(it).decode()
