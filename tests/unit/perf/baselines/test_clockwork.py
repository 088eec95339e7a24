"""Clockwork: nothing is run that will be late, and batches are exactly full."""

import math

import pytest

from inferd_perf.simulation.baselines.clockwork import Clockwork
from unit.perf.baselines.rules import MS, a_setting, a_ticket, dropped, enter, leaves, serve


def test_the_largest_size_that_is_full_leaves() -> None:
    policy = Clockwork(a_setting(), buffer_s=0.0)
    tickets = [a_ticket() for _ in range(7)]
    enter(policy, *tickets)

    assert leaves(policy, 0.0) == tickets[:4], "of 1, 2, 4 and 8"


def test_a_start_that_would_be_late_is_refused() -> None:
    policy, late = Clockwork(a_setting(), buffer_s=0.0), a_ticket(2.4)
    enter(policy, late)

    assert leaves(policy, 0.0) == []
    assert dropped(policy, 0.0) == [late], "alone it takes 2.5 ms"


def test_the_head_is_passed_over_by_a_batch_that_is_too_slow_for_it() -> None:
    policy = Clockwork(a_setting(), buffer_s=0.0)
    tight, others = a_ticket(5.0), [a_ticket(50.0) for _ in range(8)]
    enter(policy, tight, *others)

    assert leaves(policy, 0.0) == others
    assert dropped(policy, 0.0) == [tight], "all queues go on behind the batch"


def test_a_head_that_leaves_too_few_for_a_size_has_a_smaller_one() -> None:
    policy = Clockwork(a_setting(), buffer_s=0.0)
    tight, others = a_ticket(5.0), [a_ticket(50.0) for _ in range(7)]
    enter(policy, tight, *others)

    assert leaves(policy, 0.0) == [tight, *others[:3]], "eight would take 6 ms without it"


def test_order_of_arrival_whatever_the_deadlines() -> None:
    policy = Clockwork(a_setting(), buffer_s=0.0)
    patient, hurried = a_ticket(50.0), a_ticket(2.6)
    enter(policy, patient, hurried)

    assert leaves(policy, 0.0) == [patient, hurried], "only heads are looked at"


def test_a_size_takes_as_long_as_the_longest_of_its_last_runs() -> None:
    policy, at_ms = Clockwork(a_setting(), buffer_s=0.0, window=3), 0.0
    serve(policy, at_ms, for_ms=9.0, tickets=[a_ticket()])

    hurried = a_ticket(105.0, at_ms=100.0)
    enter(policy, hurried)
    assert leaves(policy, 100.0) == []
    assert dropped(policy, 100.0) == [hurried], "5 ms are less than 9"

    for at_ms in (110.0, 120.0, 130.0):
        serve(policy, at_ms, for_ms=2.5, tickets=[a_ticket(at_ms=at_ms)])
    again = a_ticket(205.0, at_ms=200.0)
    enter(policy, again)
    assert leaves(policy, 200.0) == [again], "three runs later it is forgotten"


def test_who_still_waits_shortly_before_the_deadline_is_told() -> None:
    policy = Clockwork(a_setting(), buffer_s=5 * MS)
    enter(policy, a_ticket())
    assert leaves(policy, 0.0)
    soon, later = a_ticket(15.0), a_ticket(25.0)
    enter(policy, later, soon)

    assert policy.wake_at(1 * MS) == pytest.approx(10 * MS)
    assert dropped(policy, 10.1) == [soon]
    assert policy.cancel(later)
    assert policy.wake_at(11 * MS) == math.inf


def test_a_ticket_of_several_rows_that_fills_no_size_goes_alone() -> None:
    policy, wide = Clockwork(a_setting(), buffer_s=0.0), a_ticket(rows=3)
    enter(policy, wide)

    assert leaves(policy, 0.0) == [wide]


def test_the_buffer_and_the_way_home_are_kept_back_from_a_start() -> None:
    buffered, homebound = Clockwork(a_setting(), buffer_s=MS), Clockwork(a_setting(), buffer_s=0.0)
    homebound.answered(0.5 * MS)
    for policy in (buffered, homebound):
        tight, fine = a_ticket(3.4), a_ticket(3.6)
        enter(policy, tight)
        assert leaves(policy, 0.0) == [], "2.5 ms and 1 more"
        assert dropped(policy, 0.0) == [tight]
        enter(policy, fine)
        assert leaves(policy, 0.0) == [fine]


def test_the_first_of_all_is_told_when_its_time_is_over() -> None:
    policy, first = Clockwork(a_setting(), buffer_s=0.0), a_ticket(9.0)
    enter(policy, a_ticket())
    assert leaves(policy, 0.0)
    enter(policy, first)

    assert policy.wake_at(0.0) == pytest.approx(9 * MS)
    assert dropped(policy, 9.1) == [first]
