"""Calls to be made, and what became of each: columns, one entry per call."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Column = NDArray[Any]


class Outcome(IntEnum):
    """How a call can end: exactly one of these, exactly once."""

    PENDING = 0
    #: Told at the door.
    REFUSED = 1
    #: Let in, and told later that there will be no answer.
    DROPPED = 2
    #: Let in, and never told anything: its caller's time was over while it waited.
    EXPIRED = 3
    #: Answered in time, by its caller's clock.
    OK = 4
    #: Run, wholly or in part, and its caller's time was over before it had the answer.
    LATE = 5
    #: The model failed on it, and its caller was told.
    FAILED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """What clients do when a call fails."""

    #: Attempts after the first.
    most: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """What callers do, decided beforehand. All columns have the same length, by time sent."""

    #: When each call is meant to be sent, in nanoseconds, ascending.
    sent_ns: Column
    #: How long its caller waits for the answer, in nanoseconds.
    within_ns: Column
    rows: Column
    #: What tells the classes apart in a report: deadlines, or criticalities.
    kind: Column
    kinds: tuple[str, ...]
    weight: Column
    #: An index into `keys`, and into the callers.
    key: Column
    caller: Column
    #: Whether the model fails on it.
    poison: Column
    keys: tuple[Hashable, ...] = (None,)
    #: How many times as long a batch takes, by key.
    costs: Mapping[Hashable, float] = field(default_factory=dict)
    #: Whether callers are told apart at all.
    named: bool = False
    retries: Retries | None = None
    #: When a burst ends, to see how soon the server recovers; or None.
    burst_over_ns: int | None = None
    duration_s: float

    def __len__(self) -> int:
        return len(self.sent_ns)


@dataclass(slots=True, eq=False)
class Batch:
    """A run that has been: what a timeline draws. Times in nanoseconds from the start."""

    start_ns: int
    end_ns: int
    executor: int
    rows: int
    #: The attempts in it, by number.
    members: tuple[int, ...]
    #: Whether it was stopped because nobody waited any more.
    stopped: bool = False
    #: Members whose callers had gone when it ended, and those who got their answer too late.
    gone: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What became of every attempt, and every run there was. One entry per attempt."""

    calls: Calls
    #: The call that an attempt belongs to; the first `len(calls)` attempts are the calls'.
    call: Column
    sent_ns: Column
    due_ns: Column
    ended_ns: Column
    outcome: Column
    admitted: Column
    runs: tuple[Batch, ...]
    #: How long the event loop worked, and when the last call and the last run ended.
    loop_ns: int
    end_ns: int


def none_of(length: int) -> Column:
    """Return a column of zeros."""
    return np.zeros(length, np.int64)
