"""Calls that are planned before anybody is asked: the generator's schedule, and what came of it.

Two who are to be compared get the very same arrivals: the same moments, deadlines and requests.
Times are whole nanoseconds from the start of a run.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Planned:
    """One call: when it leaves, when its answer is worthless, and which request it sends."""

    at_ns: int
    deadline_ns: int
    #: The number of the request among those that the generator is given.
    body: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a planned call: its row, a gRPC code or `client:…`, and how soon."""

    row: int
    status: str
    took_ns: int


def write(path: Path, rows: Iterable[Planned]) -> None:
    """Write a schedule as the generator reads it; `rows` are in the order of their times."""
    lines = (f"{row.at_ns} {row.deadline_ns} {row.body}\n" for row in rows)
    path.write_text("".join(lines), encoding="ascii")


def read_ends(path: Path) -> list[Ended]:
    """Read what became of the measured calls, in the order of the schedule."""
    lines = path.read_text(encoding="ascii").splitlines()
    return [Ended(int(row), status, int(took)) for row, status, took in map(str.split, lines)]
