"""What the scheduler's tests share: a machine whose times are known, and who asks of it."""

from typing import Any

from inferd.inference.scheduling import (
    Discipline,
    LatencyModel,
    Policy,
    Run,
    Scheduler,
    Ticket,
    buckets_of,
)

MS = 0.001


def a_latency(*buckets: int, base: float = 2 * MS, per_row: float = 0.1 * MS) -> LatencyModel:
    """Return a model to which a batch of `n` rows takes `base + n * per_row`."""
    latency = LatencyModel(buckets)
    for bucket in buckets:
        latency.seed(bucket, base + per_row * bucket)
    return latency


def a_scheduler(*, base: float = 2 * MS, per_row: float = 0.1 * MS, **policy: Any) -> Scheduler:
    rules = Policy(**{"max_batch": 8, "guard_s": 0.0, **policy})
    buckets = buckets_of(rules.max_batch, rules.preferred)
    return Scheduler(rules, a_latency(*buckets, base=base, per_row=per_row))


def a_busy_scheduler(**settings: Any) -> tuple[Scheduler, Run]:
    """Return one whose only instance has just begun a run of one row, and that run."""
    scheduler = a_scheduler(**settings)
    assert scheduler.enter(0.0, a_ticket(1.0)) is None
    run = scheduler.pick(0.0)
    assert run
    return scheduler, run


def a_ticket(due: float = 1.0, *, rows: int = 1, arrived: float = 0.0, **rest: Any) -> Ticket:
    return Ticket(rows=rows, deadline=due, arrived=arrived, **rest)


def take_back(discipline: Discipline, now: float, run: Run) -> None:
    """End a run from which there is nothing to learn."""
    discipline.finished(now, run, learn=False)


def picked(run: Run | None) -> list[Ticket]:
    assert run is not None, "nothing was picked"
    return list(run.tickets)


def order_of(scheduler: Scheduler, now: float) -> list[Ticket]:
    """Run all who wait, in no time, and return them in the order in which they went."""
    order: list[Ticket] = []
    while run := scheduler.pick(now):
        order += run.tickets
        take_back(scheduler, now, run)
    return order
