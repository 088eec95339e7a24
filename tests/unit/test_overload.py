"""More calls than can be served: what is left of the capacity, in a small simulation.

Poisson arrivals, one instance, runs that take what the model says and some noise. Nothing
is random but the seed, and nothing takes real time. First come, first served is beside it,
to show that the load is one under which a server can collapse.
"""

import math
import random
from collections.abc import Sequence
from typing import Protocol

import pytest

from inferd.inference.scheduling import LatencyModel, Policy, Scheduler, Ticket, buckets_of

MAX_BATCH = 16
DURATION_S = 1.0
NOISE = 0.05


def takes_s(rows: int) -> float:
    return 0.004 + 0.0005 * rows


#: Rows per second when every batch is full.
CAPACITY = MAX_BATCH / takes_s(MAX_BATCH)


class Line(Protocol):
    """Who waits, and who goes next."""

    def arrive(self, now: float, tickets: Sequence[Ticket]) -> None: ...
    def pick(self, now: float) -> Sequence[Ticket]: ...
    def finished(self, now: float) -> None: ...
    def wake_at(self, now: float) -> float: ...


class EarliestDeadlineFirst:
    def __init__(self) -> None:
        latency = LatencyModel(buckets_of(MAX_BATCH))
        for bucket in latency.buckets:
            latency.seed(bucket, takes_s(bucket))
        self._scheduler = Scheduler(Policy(max_batch=MAX_BATCH), latency)

    def arrive(self, now: float, tickets: Sequence[Ticket]) -> None:
        self._scheduler.admit(now, tickets)
        self._scheduler.drop_late(now)

    def pick(self, now: float) -> Sequence[Ticket]:
        self._run = self._scheduler.pick(now)
        return self._run.tickets if self._run else ()

    def finished(self, now: float) -> None:
        assert self._run
        self._scheduler.finished(now, self._run)

    def wake_at(self, now: float) -> float:
        return self._scheduler.wake_at(now)


class FirstComeFirstServed:
    def __init__(self) -> None:
        self._queue: list[Ticket] = []

    def arrive(self, now: float, tickets: Sequence[Ticket]) -> None:
        self._queue += tickets

    def pick(self, now: float) -> Sequence[Ticket]:
        count, rows = 0, 0
        for ticket in self._queue:
            rows += ticket.rows
            if rows > MAX_BATCH:
                break
            count += 1
        taken, self._queue = self._queue[:count], self._queue[count:]
        return taken

    def finished(self, now: float) -> None:
        pass

    def wake_at(self, now: float) -> float:
        return math.inf


def arrivals(load: float, *, rows: int, deadlines_s: Sequence[float], seed: int) -> list[Ticket]:
    rng, tickets, now = random.Random(seed), [], 0.0
    while now < DURATION_S:
        now += rng.expovariate(load * CAPACITY / rows)
        tickets.append(Ticket(rows=rows, deadline=now + rng.choice(deadlines_s), arrived=now))
    return tickets


def goodput(line: Line, tickets: Sequence[Ticket], *, seed: int = 1) -> float:
    """Return the rows answered in time, as a share of the capacity."""
    rng, good, at, now, ends = random.Random(seed), 0, 0, 0.0, math.inf
    running: Sequence[Ticket] = ()
    while at < len(tickets) or running:
        due = tickets[at].arrived if at < len(tickets) else math.inf
        now = max(now, min(due, ends, line.wake_at(now) if running else math.inf))
        if ends <= now:
            good += sum(ticket.rows for ticket in running if ends <= ticket.deadline)
            line.finished(now)
            running, ends = (), math.inf
        first = at
        while at < len(tickets) and tickets[at].arrived <= now:
            at += 1
        line.arrive(now, tickets[first:at])
        if not running and (running := line.pick(now)):
            rows = sum(ticket.rows for ticket in running)
            ends = now + takes_s(rows) * rng.lognormvariate(0.0, NOISE)
    return good / DURATION_S / CAPACITY


@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("load", [1.2, 2.0])
def test_overload_costs_those_who_are_too_many_and_nobody_else(load: float, rows: int) -> None:
    tickets = arrivals(load, rows=rows, deadlines_s=(0.025,), seed=3)

    assert goodput(EarliestDeadlineFirst(), tickets) >= 0.9
    assert goodput(FirstComeFirstServed(), tickets) <= 0.2


def test_below_capacity_nearly_everybody_is_served() -> None:
    tickets = arrivals(0.7, rows=1, deadlines_s=(0.025,), seed=3)

    offered = len(tickets) / DURATION_S / CAPACITY
    assert goodput(EarliestDeadlineFirst(), tickets) >= 0.98 * offered


def test_those_who_can_wait_make_way_for_those_who_cannot() -> None:
    tickets = arrivals(1.2, rows=1, deadlines_s=(0.010, 0.025, 0.100), seed=3)

    assert goodput(EarliestDeadlineFirst(), tickets) >= 0.85
    assert goodput(FirstComeFirstServed(), tickets) <= 0.3
