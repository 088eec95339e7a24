"""First come, first served, without a bound, and the same with an age at which to give up."""

import math

import pytest

from inferd.inference.scheduling import Discipline
from inferd_perf.simulation.baselines.fifo import fifo, fifo_age
from unit.perf.baselines.rules import MS, a_setting, a_ticket, dropped, enter, leaves


@pytest.mark.parametrize("policy", [fifo(a_setting(20.0)), fifo_age(a_setting(20.0))])
def test_the_queue_has_no_bound(policy: Discipline) -> None:
    enter(policy, *[a_ticket() for _ in range(5000)])

    assert len(policy) == 5000


def test_who_is_late_is_run_all_the_same() -> None:
    policy, late = fifo(a_setting(20.0)), a_ticket(1.0)
    enter(policy, late)

    assert dropped(policy, 50.0) == []
    assert leaves(policy, 50.0) == [late]


def test_who_is_too_old_is_dropped_and_who_is_about_to_be_late_is_not() -> None:
    policy = fifo_age(a_setting(10.0, 20.0, 40.0), age=0.5, delay_s=0.0)
    old, doomed = a_ticket(1000.0), a_ticket(12.1, at_ms=5.0)
    enter(policy, old, doomed)

    assert policy.wake_at(5 * MS) == pytest.approx(10 * MS), "half of the median"
    assert dropped(policy, 12.0) == [old]
    assert leaves(policy, 12.0) == [doomed]
    assert policy.wake_at(12 * MS) == math.inf


def test_the_first_waits_for_company() -> None:
    policy, first = fifo(a_setting(20.0), delay_s=2 * MS), a_ticket()
    enter(policy, first)

    assert leaves(policy, 1.0) == []
    assert leaves(policy, 2.0) == [first]
