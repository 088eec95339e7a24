"""What the tests of single policies share: a setting with round numbers, and short ways to ask."""

from collections.abc import Iterable

from inferd.inference.scheduling import (
    Discipline,
    LatencyModel,
    Policy,
    Run,
    Ticket,
    buckets_of,
)
from inferd_perf.simulation.setting import Setting

MS = 0.001


def takes_s(rows: int) -> float:
    """Return what a run takes: 2.5 ms alone, 4 ms for four, 6 ms for eight."""
    return 2 * MS + 0.5 * MS * rows


def a_setting(
    *deadlines_ms: float, max_batch: int = 8, instances: int = 1, rate_per_s: float = 500.0
) -> Setting:
    latency = LatencyModel(buckets_of(max_batch))
    for bucket in latency.buckets:
        latency.seed(bucket, takes_s(bucket))
    return Setting(
        policy=Policy(max_batch=max_batch, instances=instances, guard_s=0.0),
        latency=latency,
        deadlines_s=tuple(each * MS for each in deadlines_ms) or (20 * MS,),
        rate_per_s=rate_per_s,
    )


def a_ticket(due_ms: float = 1000.0, *, at_ms: float = 0.0, rows: int = 1) -> Ticket:
    return Ticket(rows=rows, deadline=due_ms * MS, arrived=at_ms * MS)


def enter(policy: Discipline, *tickets: Ticket) -> None:
    for ticket in tickets:
        assert policy.enter(ticket.arrived, ticket) is None


def leaves(policy: Discipline, at_ms: float) -> list[Ticket]:
    """Return who leaves now: nobody is an empty list."""
    run = policy.pick(at_ms * MS)
    return list(run.tickets) if run else []


def a_run(policy: Discipline, at_ms: float) -> Run:
    run = policy.pick(at_ms * MS)
    assert run is not None, "nobody leaves"
    return run


def dropped(policy: Discipline, at_ms: float) -> list[Ticket]:
    return [drop.ticket for drop in policy.given_up(at_ms * MS)]


def serve(policy: Discipline, at_ms: float, *, for_ms: float, tickets: Iterable[Ticket]) -> None:
    """Have a batch of just these tickets run."""
    enter(policy, *tickets)
    run = a_run(policy, at_ms)
    run.picked_at = at_ms * MS
    policy.finished((at_ms + for_ms) * MS, run)
