"""What a decision of the scheduler costs: `enter` and `pick`, by who waits.

    python perf/decision_cost.py

Queues are filled under overload, with every instance busy, so that nothing takes a short way.
Prints the median and the 99th percentile in microseconds of the thread's CPU time, so that it can
be read on a busy machine, too. Collection of garbage is off meanwhile.
"""

import gc
import random
from collections.abc import Callable
from statistics import quantiles
from time import thread_time

from inferd.inference.scheduling import (
    LatencyModel,
    Mode,
    Policy,
    Reason,
    Scheduler,
    Ticket,
    buckets_of,
)

MAX_BATCH = 64
ROUNDS = 400
MS = 0.001

MakeTicket = Callable[[random.Random, float], Ticket]


def takes_s(rows: int) -> float:
    """Return the seconds a batch takes, about as the benchmark model mlp_large."""
    return (0.5 + 0.13 * rows) * MS


def alike(rng: random.Random, now: float) -> Ticket:
    """One deadline for all."""
    return Ticket(rows=1, deadline=now + 0.050, arrived=now)


def mixed(rng: random.Random, now: float) -> Ticket:
    """Deadlines that differ."""
    within_s = rng.choice((0.010, 0.025, 0.050, 0.100, 0.200))
    return Ticket(rows=1, deadline=now + within_s, arrived=now)


def weighed(rng: random.Random, now: float) -> Ticket:
    """Deadlines that differ, and worth."""
    ticket = mixed(rng, now)
    ticket.weight = rng.choice((0.1, 1.0, 1.0, 10.0))
    return ticket


def by_caller(rng: random.Random, now: float) -> Ticket:
    """All that, of twenty callers."""
    ticket = weighed(rng, now)
    ticket.caller = rng.randrange(20)
    return ticket


def a_full_scheduler(waiting: int, make: MakeTicket, mode: Mode, rng: random.Random) -> Scheduler:
    """Return a scheduler with one run under way and, as far as it lets them in, others waiting."""
    latency = LatencyModel(buckets_of(MAX_BATCH))
    for rows in latency.buckets:
        latency.seed(rows, takes_s(rows))
    scheduler = Scheduler(Policy(max_batch=MAX_BATCH, mode=mode), latency)
    assert scheduler.enter(0.0, Ticket(rows=1, deadline=1.0, arrived=0.0)) is None
    assert scheduler.pick(0.0) is not None
    for _ in range(50 * waiting):
        if len(scheduler) >= waiting:
            break
        scheduler.enter(0.0, make(rng, 0.0))
    return scheduler


def cost(waiting: int, make: MakeTicket, mode: Mode) -> tuple[list[float], list[float], int]:
    """Return the seconds of every `enter` and `pick`, and how many waited at most."""
    rng, entered, picked, most = random.Random(1), [], [], 0
    for _ in range(ROUNDS):
        scheduler = a_full_scheduler(waiting, make, mode, rng)
        most = max(most, len(scheduler))
        ticket = make(rng, 0.0)
        began = thread_time()
        drop = scheduler.enter(0.0, ticket)
        entered.append(thread_time() - began)
        assert drop is None or drop.reason in set(Reason)
        scheduler._ends.clear()  # as if the run were back: `finished` would have it learnt
        began = thread_time()
        scheduler.given_up(0.001)
        run = scheduler.pick(0.001)
        picked.append(thread_time() - began)
        assert run is not None
    return entered, picked, most


def shown(seconds: list[float]) -> str:
    """Return the median and the 99th percentile, in microseconds."""
    cuts = quantiles(seconds, n=100)
    return f"{1e6 * cuts[49]:7.1f} {1e6 * cuts[98]:7.1f}"


def main() -> None:
    """Print a table."""
    gc.disable()
    print(f"{'':24s} waiting   enter, us: p50 p99    pick, us: p50 p99")
    for mode in (Mode.GOODPUT, Mode.FAIL_FAST):
        for make in (alike, mixed, weighed, by_caller):
            for waiting in (8, 64, 128):
                entered, picked, most = cost(waiting, make, mode)
                name = f"{mode} {make.__name__}"
                print(f"{name:24s} {most:7d}    {shown(entered)}    {shown(picked)}")


if __name__ == "__main__":
    main()
