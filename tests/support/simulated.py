"""What tests of the simulator share: a plain queue, a machine without noise, calls by hand."""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from inferd.inference.scheduling import Drop, Reason, Run, Ticket
from inferd_perf.simulation.attempts import Member
from inferd_perf.simulation.calls import Calls, Retries
from inferd_perf.simulation.machine import Machine

MS = 1_000_000
#: 1 row takes 1 ms, 2 take 2, 4 take 4: no gain from batches, so that times are easy to follow.
PLAIN = Machine(name="plain", profile_ms=((1, 1.0), (2, 2.0), (4, 4.0)), noise=0.0)


class Queue:
    """First come, first served, in batches. Refuses beyond `most`, and tells when to return."""

    def __init__(self, *, max_batch: int = 4, most: int = 1000, retry_after_s: float = -1) -> None:
        self.waiting: list[Ticket] = []
        self.running = 0
        self.max_batch = max_batch
        self.most = most
        self.retry_after_s = retry_after_s
        #: When it was asked to give up, in seconds; what it was told.
        self.looks: list[float] = []
        self.entered: list[float] = []
        self.learnt: list[tuple[int, float, bool]] = []
        self.answers: list[float] = []

    def __len__(self) -> int:
        return len(self.waiting)

    def enter(self, now: float, ticket: Ticket) -> Drop | None:
        self.entered.append(now)
        if len(self.waiting) >= self.most:
            return Drop(ticket, Reason.QUEUE_FULL, self.retry_after_s)
        self.waiting.append(ticket)
        return None

    def run_at_once(self, now: float, ticket: Ticket) -> Run | Drop | None:
        return None

    def cancel(self, ticket: Ticket) -> bool:
        if ticket in self.waiting:
            self.waiting.remove(ticket)
            return True
        return False

    def given_up(self, now: float) -> list[Drop]:
        self.looks.append(now)
        return []

    def pick(self, now: float) -> Run | None:
        taken: list[Ticket] = []
        for ticket in self.waiting:
            rows = sum(each.rows for each in taken) + ticket.rows
            if rows <= self.max_batch and (not taken or ticket.key == taken[0].key):
                taken.append(ticket)
        if not taken:
            return None
        for ticket in taken:
            self.waiting.remove(ticket)
        self.running += 1
        rows = sum(each.rows for each in taken)
        return Run(tuple(taken), rows, now, 0.0, "idle", now)

    def finished(self, now: float, run: Run, *, learn: bool = True) -> None:
        self.running -= 1
        self.learnt.append((run.rows, now - run.picked_at, learn))

    def answered(self, seconds: float) -> None:
        self.answers.append(seconds)

    def wake_at(self, now: float) -> float:
        return math.inf


class Careful(Queue):
    """Drops whoever waits for `patience_s`, at that very moment."""

    def __init__(self, *, patience_s: float) -> None:
        super().__init__()
        self.patience_s = patience_s

    def given_up(self, now: float) -> list[Drop]:
        lost = [each for each in self.waiting if each.arrived + self.patience_s <= now]
        self.waiting = [each for each in self.waiting if each not in lost]
        return [Drop(each, Reason.LATE_DROP) for each in lost]

    def wake_at(self, now: float) -> float:
        return min((each.arrived + self.patience_s for each in self.waiting), default=math.inf)


def calls_of(
    *sent_ms: float,
    within_ms: float | Sequence[float] = 100.0,
    rows: int | Sequence[int] = 1,
    keys: Sequence[Hashable] = (None,),
    key: Sequence[int] = (),
    poison: Sequence[int] = (),
    retries: Retries | None = None,
    duration_s: float = 1.0,
) -> Calls:
    """Return calls sent at these milliseconds. `poison` are the indexes of those that fail."""
    count = len(sent_ms)
    zeros = np.zeros(count, np.int64)
    return Calls(
        sent_ns=np.array([round(at * MS) for at in sent_ms], np.int64),
        within_ns=np.rint(np.broadcast_to(within_ms, count) * np.float64(MS)).astype(np.int64),
        rows=np.broadcast_to(rows, count).astype(np.int64),
        kind=zeros,
        kinds=("all",),
        weight=np.ones(count),
        key=np.array(key or zeros, np.int64),
        keys=tuple(keys),
        costs={each: 2.0 for each in keys if each == "long"},
        caller=zeros,
        poison=np.isin(np.arange(count), poison),
        retries=retries,
        duration_s=duration_s,
    )


def number_of(ticket: Ticket) -> int:
    """Return the number of the attempt that a ticket of the simulator belongs to."""
    assert isinstance(ticket, Member)
    return ticket.number
