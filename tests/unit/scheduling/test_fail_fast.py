"""Fail fast: whoever is let in is served, and nobody is let in at the expense of another."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inferd.inference.scheduling import Mode, Reason, Run, Scheduler, Ticket
from support.scheduling import MS, a_busy_scheduler, a_scheduler, a_ticket, take_back


@pytest.mark.parametrize("mode", [Mode.FAIL_FAST, Mode.GOODPUT])
def test_who_would_push_another_over_its_deadline_is_refused(mode: Mode) -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=1, mode=mode)
    assert scheduler.enter(0.0, a_ticket(1.0)) is None, "a patient one"
    assert scheduler.enter(0.0, a_ticket(12 * MS)) is None

    drop = scheduler.enter(0.0, a_ticket(11 * MS))

    if mode is Mode.GOODPUT:
        assert drop is None, "the last is the first, and what was promised is forgotten"
        return
    assert drop is not None
    assert drop.reason is Reason.SHED
    assert scheduler.enter(0.0, a_ticket(16 * MS)) is None, "behind the tight one is room"
    assert scheduler.enter(0.0, a_ticket(0.5)) is None


def test_who_is_pushed_no_further_than_it_can_bear_does_not_matter() -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=2, mode=Mode.FAIL_FAST)
    for due in (11 * MS, 12 * MS, 16 * MS):
        assert scheduler.enter(0.0, a_ticket(due)) is None

    assert scheduler.enter(0.0, a_ticket(10.9 * MS)), "the second would be in the second batch"
    assert scheduler.enter(0.0, a_ticket(15.5 * MS)) is None, "the last stays where it is"


def test_the_last_of_each_batch_has_a_say() -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=2, mode=Mode.FAIL_FAST)
    tickets = [a_ticket(due * MS) for due in (11, 16, 19, 19.5, 90, 91)]
    assert [scheduler.enter(0.0, ticket) for ticket in tickets] == [None] * 6

    assert scheduler.enter(0.0, a_ticket(10.5 * MS)), "16 can be answered at 15, 19.5 not at 20"
    assert scheduler.cancel(tickets[3])
    assert scheduler.enter(0.0, a_ticket(10.5 * MS)) is None


def test_who_is_let_in_is_served_also_where_times_differ() -> None:
    scheduler, _ = a_busy_scheduler(base=4 * MS, per_row=1 * MS, max_batch=2, mode=Mode.FAIL_FAST)
    assert scheduler.enter(0.0, a_ticket(1.0)) is None

    assert scheduler.enter(0.0, a_ticket(9.9 * MS)), "5 ms, and 5 more alone"
    assert scheduler.enter(0.0, a_ticket(10.9 * MS)) is None, "first of a batch of its own"


def test_a_batch_does_not_grow_at_the_expense_of_its_first() -> None:
    scheduler = a_scheduler(base=1 * MS, per_row=1 * MS, mode=Mode.FAIL_FAST)
    tight = a_ticket(2.2 * MS)

    assert scheduler.enter(0.0, tight) is None
    refused = scheduler.enter(0.0, a_ticket(3.2 * MS))

    assert refused is not None, "either could be served, and not both"


def test_who_has_been_let_in_goes_for_nobody_but_a_heavier() -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=1, mode=Mode.FAIL_FAST)
    first = a_ticket(10.5 * MS)
    assert scheduler.enter(0.0, first) is None

    assert scheduler.enter(0.0, a_ticket(10.6 * MS)) is not None
    assert scheduler.given_up(0.0) == []
    assert scheduler.enter(0.0, a_ticket(10.6 * MS, weight=2.0)) is None

    assert [drop.ticket for drop in scheduler.given_up(0.0)] == [first]


#: When a call comes, and how much time it has, in tenths of a millisecond.
calls = st.tuples(st.one_of(st.just(0), st.integers(0, 100)), st.integers(0, 250))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    calls=st.lists(calls, min_size=1, max_size=12),
    base_ms=st.sampled_from([1.0, 2.0, 4.0]),
    max_batch=st.sampled_from([1, 2, 4]),
    instances=st.integers(1, 3),
)
def test_where_runs_take_what_was_predicted_all_who_are_let_in_are_served(
    calls: list[tuple[int, int]], base_ms: float, max_batch: int, instances: int
) -> None:
    """However many rows they have: then a batch that grows is no longer for it."""
    # No deadline is just when a run ends: that is in time, but not for those who keep time.
    tickets = [
        a_ticket((arrived + within + 0.3) / 10 * MS, arrived=arrived / 10 * MS)
        for arrived, within in sorted(calls)
    ]
    scheduler = a_scheduler(
        base=base_ms * MS,
        per_row=0.0,
        max_batch=max_batch,
        instances=instances,
        mode=Mode.FAIL_FAST,
    )

    admitted, in_time = served(scheduler, tickets)

    assert admitted == in_time
    assert tickets[0].within_s < base_ms * MS or tickets[0] in admitted


def served(scheduler: Scheduler, tickets: Sequence[Ticket]) -> tuple[set[Ticket], set[Ticket]]:
    """Return who is let in, and who is answered in time."""
    admitted, in_time = set[Ticket](), set[Ticket]()
    running: list[Run] = []
    now, at = 0.0, 0
    while at < len(tickets) or running or len(scheduler):
        ends = min((run.picked_at + run.predicted_s for run in running), default=math.inf)
        comes = tickets[at].arrived if at < len(tickets) else math.inf
        now = max(now, min(ends, comes, scheduler.wake_at(now)))
        for run in [run for run in running if run.picked_at + run.predicted_s <= now]:
            running.remove(run)
            in_time.update(ticket for ticket in run.tickets if now <= ticket.deadline + 1e-9)
            take_back(scheduler, now, run)
        while at < len(tickets) and tickets[at].arrived <= now:
            if scheduler.enter(now, tickets[at]) is None:
                admitted.add(tickets[at])
            at += 1
        scheduler.given_up(now)
        while run_or_none := scheduler.pick(now):
            running.append(run_or_none)
    return admitted, in_time
