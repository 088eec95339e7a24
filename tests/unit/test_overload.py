"""More calls than can be served: what is left of the capacity, in a small simulation.

Arrivals at random or in bursts, one instance, runs that take what the model says and some
noise. Nothing is random but the seed, and nothing takes real time. Two others are beside the
scheduler: first come, first served, to show that the load is one under which a server can
collapse; and the scheduler without its forecast, which refuses nobody who could be served
by an idle server, to show what it costs to say no at the door. It should cost nothing.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pytest

from inferd.inference.scheduling import (
    Drop,
    LatencyModel,
    Policy,
    Scheduler,
    Ticket,
    buckets_of,
)

MAX_BATCH = 16
DURATION_S = 1.0
NOISE = 0.05


def takes_s(rows: int) -> float:
    return 0.004 + 0.0005 * rows


#: Rows per second when every batch is full.
CAPACITY = MAX_BATCH / takes_s(MAX_BATCH)


class Line(Protocol):
    """Who waits, and who goes next."""

    def arrive(self, now: float, tickets: Sequence[Ticket]) -> Iterable[Ticket]:
        """Take callers in; return those who are refused or given up."""

    def pick(self, now: float) -> Sequence[Ticket]: ...
    def finished(self, now: float) -> None: ...
    def wake_at(self, now: float) -> float: ...


class LateDropOnly(Scheduler):
    """Admits who could be in time on an idle server, and drops whom it turns out to be late for."""

    def _refusal(self, now: float, ticket: Ticket, at: int) -> Drop | None:
        return None


class EarliestDeadlineFirst:
    def __init__(self, kind: type[Scheduler] = Scheduler) -> None:
        latency = LatencyModel(buckets_of(MAX_BATCH))
        for bucket in latency.buckets:
            latency.seed(bucket, takes_s(bucket))
        self._scheduler = kind(Policy(max_batch=MAX_BATCH), latency)

    def arrive(self, now: float, tickets: Sequence[Ticket]) -> Iterable[Ticket]:
        drops = [*self._scheduler.admit(now, tickets), *self._scheduler.given_up(now)]
        return [drop.ticket for drop in drops]

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

    def arrive(self, now: float, tickets: Sequence[Ticket]) -> Iterable[Ticket]:
        self._queue += tickets
        return ()

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


def bursts(load: float, *, deadlines_s: Sequence[float], seed: int) -> list[Ticket]:
    """Return arrivals that are six times as many for 50 ms, now and then; `load` on average."""
    rng, tickets, now, quick = random.Random(seed), [], 0.0, False
    until = rng.expovariate(1 / 0.2)
    while now < DURATION_S:
        gap = rng.expovariate(load * CAPACITY / 2 * (6 if quick else 1))
        if now + gap > until:
            now, quick = until, not quick
            until += rng.expovariate(1 / (0.05 if quick else 0.2))
            continue
        now += gap
        tickets.append(Ticket(rows=1, deadline=now + rng.choice(deadlines_s), arrived=now))
    return tickets


@dataclass
class Outcome:
    """What became of the callers."""

    #: Rows answered in time.
    good: int = 0
    #: Callers told in the moment they came, told later, and left without a timely answer.
    refused: int = 0
    dropped: int = 0
    late: int = 0

    @property
    def goodput(self) -> float:
        """The rows answered in time, as a share of the capacity."""
        return self.good / DURATION_S / CAPACITY

    @property
    def failed(self) -> int:
        return self.refused + self.dropped + self.late


def serve(line: Line, tickets: Sequence[Ticket], *, seed: int = 1, slower: float = 1.0) -> Outcome:
    rng, outcome, at, now, ends = random.Random(seed), Outcome(), 0, 0.0, math.inf
    running: Sequence[Ticket] = ()
    while at < len(tickets) or running:
        due = tickets[at].arrived if at < len(tickets) else math.inf
        now = max(now, min(due, ends, line.wake_at(now) if running else math.inf))
        if ends <= now:
            in_time = [ticket for ticket in running if ends <= ticket.deadline]
            outcome.good += sum(ticket.rows for ticket in in_time)
            outcome.late += len(running) - len(in_time)
            line.finished(now)
            running, ends = (), math.inf
        first = at
        while at < len(tickets) and tickets[at].arrived <= now:
            at += 1
        for ticket in line.arrive(now, tickets[first:at]):
            outcome.refused += ticket.arrived == now
            outcome.dropped += ticket.arrived < now
        if not running and (running := line.pick(now)):
            rows = sum(ticket.rows for ticket in running)
            ends = now + takes_s(rows) * slower * rng.lognormvariate(0.0, NOISE)
    return outcome


def goodput(line: Line, tickets: Sequence[Ticket]) -> float:
    return serve(line, tickets).goodput


def with_and_without_forecast(tickets: Sequence[Ticket]) -> tuple[Outcome, Outcome]:
    return (
        serve(EarliestDeadlineFirst(), tickets),
        serve(EarliestDeadlineFirst(LateDropOnly), tickets),
    )


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


@pytest.mark.parametrize("within_s", [0.025, 0.050])
@pytest.mark.parametrize("load", [1.0, 1.5, 2.0, 4.0])
def test_when_all_have_the_same_time_who_cannot_be_served_hears_so_at_once(
    load: float, within_s: float
) -> None:
    tickets = arrivals(load, rows=1, deadlines_s=(within_s,), seed=3)

    outcome, without = with_and_without_forecast(tickets)

    assert outcome.goodput >= without.goodput - 0.03
    assert outcome.refused >= (0.9 if load > 1.0 else 0.5) * outcome.failed
    assert outcome.good >= 0.9 * (len(tickets) - outcome.refused), "who is let in is served"


@pytest.mark.parametrize("load", [0.5, 1.0, 1.5, 2.0, 4.0])
def test_bursts_cost_no_more_with_a_door_than_without(load: float) -> None:
    tickets = bursts(load, deadlines_s=(0.050,), seed=3)

    outcome, without = with_and_without_forecast(tickets)

    assert outcome.goodput >= without.goodput - 0.02
    assert outcome.refused >= 0.9 * outcome.failed


ALL_KINDS = (0.005, 0.010, 0.025, 0.050, 0.100)


@pytest.mark.parametrize("many", [partial(arrivals, rows=1), bursts], ids=["steady", "bursts"])
@pytest.mark.parametrize("load", [0.5, 1.0, 1.5, 2.0, 4.0])
def test_when_their_times_differ_the_door_leaves_the_choice_to_the_scheduler(
    load: float, many: Callable[..., list[Ticket]]
) -> None:
    tickets = many(load, deadlines_s=ALL_KINDS, seed=3)

    outcome, without = with_and_without_forecast(tickets)

    assert outcome.goodput >= without.goodput - 0.02
    assert outcome.refused >= 0.5 * outcome.failed


def test_after_a_slow_time_the_door_opens_again() -> None:
    """Nothing but tiny batches was quick enough: that larger ones are again must be found out."""
    line, tickets = EarliestDeadlineFirst(), arrivals(1.5, rows=1, deadlines_s=(0.050,), seed=3)
    third = len(tickets) // 3

    serve(line, tickets[:third])
    slow = serve(line, tickets[third : 2 * third], slower=6.0)
    outcome = serve(line, tickets[2 * third :])

    assert slow.goodput <= 0.1
    assert outcome.goodput >= 0.9 / 3
