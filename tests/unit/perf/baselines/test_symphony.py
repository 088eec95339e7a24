"""Symphony: deferred batches, and a window that decides who is dropped."""

import math
from typing import Any

import pytest

from inferd_perf.simulation.baselines.symphony import Symphony
from unit.perf.baselines.rules import MS, a_run, a_setting, a_ticket, dropped, enter, leaves


def a_symphony(deadline_ms: float = 20.0, *, rate_per_s: float = 500.0, **own: Any) -> Symphony:
    """Return one with the published parameters, and others where they are given."""
    setting = a_setting(deadline_ms, rate_per_s=rate_per_s)
    return Symphony(setting, **{"share": 1.0, "ahead_s": 0.0001, **own})


def test_a_batch_is_held_as_long_as_one_more_could_come_along() -> None:
    policy = a_symphony(ahead_s=0.0)
    first = a_ticket(20.0)
    enter(policy, first)

    assert leaves(policy, 0.0) == []
    assert policy.wake_at(0.0) == pytest.approx(17 * MS), "two take 3 ms"
    assert leaves(policy, 16.9) == []
    assert leaves(policy, 17.1) == [first]


def test_company_brings_the_moment_forward() -> None:
    policy = a_symphony(ahead_s=0.0)
    enter(policy, *[a_ticket(20.0) for _ in range(3)])

    assert leaves(policy, 0.0) == []
    assert policy.wake_at(0.0) == pytest.approx(16 * MS), "four take 4 ms"


def test_a_full_batch_leaves_at_once() -> None:
    policy = a_symphony()
    tickets = [a_ticket(20.0) for _ in range(8)]
    enter(policy, *tickets)

    assert leaves(policy, 0.0) == tickets


def test_who_is_before_the_window_is_dropped() -> None:
    policy = a_symphony(defers=False)
    tight, others = [a_ticket(3.5) for _ in range(2)], [a_ticket(30.0) for _ in range(8)]
    enter(policy, *tight, *others)

    assert leaves(policy, 0.0) == others
    assert dropped(policy, 0.0) == tight


def test_who_is_before_the_window_and_in_time_for_its_batch_comes_along() -> None:
    policy = a_symphony(8.0, rate_per_s=1000.0, defers=False)
    assert policy.target == 4, "which take 4 ms, and come in 4"
    early, others = [a_ticket(4.6) for _ in range(2)], [a_ticket(30.0) for _ in range(8)]
    enter(policy, *early, *others)

    run = a_run(policy, 0.0)

    assert list(run.tickets) == [*early, *others[:3]], "eight take 6 ms, four 4, and five 4.5"
    assert policy.given_up(0.0) == []


def test_a_batch_grows_beyond_its_target_where_its_first_member_permits() -> None:
    policy = a_symphony(8.0, rate_per_s=1000.0, defers=False)
    tickets = [a_ticket(30.0) for _ in range(7)]
    enter(policy, *tickets)

    assert leaves(policy, 0.0) == tickets


def test_the_target_depends_on_how_fast_calls_come() -> None:
    assert a_symphony(10.0, rate_per_s=10_000.0).target == 8
    assert a_symphony(10.0, rate_per_s=500.0).target == 3, "3.5 ms, and 6 to come"


def test_who_cannot_be_in_time_even_alone_is_dropped_while_the_executor_is_busy() -> None:
    policy = a_symphony(defers=False)
    enter(policy, a_ticket())
    assert leaves(policy, 0.0)
    late = a_ticket(10.0)
    enter(policy, late)

    assert policy.wake_at(0.0) == pytest.approx(7.5 * MS)
    assert dropped(policy, 7.4) == []
    assert dropped(policy, 7.6) == [late]
    assert policy.wake_at(8 * MS) == math.inf


def test_the_window_is_found_among_tickets_of_several_rows() -> None:
    policy = a_symphony(20.0, rate_per_s=10_000.0, defers=False)
    tight, wide = a_ticket(5.5, rows=2), [a_ticket(30.0, rows=4), a_ticket(31.0, rows=4)]
    enter(policy, tight, *wide)

    assert leaves(policy, 0.0) == wide, "with it, it would be a full batch of 6 ms"
    assert dropped(policy, 0.0) == [tight]
