"""What has been asked for of late, and what is forgotten of it."""

import math
from itertools import pairwise

import pytest

from inferd.inference.scheduling.arrivals import EPOCH_S, MEMORY_S, Arrivals, Range
from support.scheduling import MS


def test_a_range_knows_the_least_and_the_most() -> None:
    values = Range()
    assert (values.least, values.most) == (math.inf, -math.inf)

    for value in (3.0, 1.0, 2.0, 5.0, 4.0):
        values.note(value)

    assert (values.least, values.most) == (1.0, 5.0)


def test_a_range_remembers_one_epoch_back() -> None:
    values = Range()
    values.note(1.0)
    values.note(9.0)
    values.turn(recent=True)
    assert (values.least, values.most) == (1.0, 9.0)

    values.note(4.0)
    values.note(5.0)
    assert (values.least, values.most) == (1.0, 9.0)
    values.turn(recent=True)
    assert (values.least, values.most) == (4.0, 5.0)
    values.note(3.0)
    values.note(6.0)
    assert (values.least, values.most) == (3.0, 6.0)


def test_after_a_pause_a_range_begins_anew() -> None:
    values = Range()
    values.note(1.0)

    values.turn(recent=False)

    assert (values.least, values.most) == (math.inf, -math.inf)
    values.note(2.0)
    assert (values.least, values.most) == (2.0, 2.0)


def steady(arrivals: Arrivals, *, per_s: float, until: float, within_s: float = 0.02) -> None:
    for call in range(1, round(until * per_s) + 1):
        arrivals.note(call / per_s, 2, within_s)
        arrivals.rows_per_s(call / per_s)


def test_the_rate_counts_rows() -> None:
    arrivals = Arrivals()

    steady(arrivals, per_s=1000, until=0.5)

    assert arrivals.rows_per_s(0.5) == pytest.approx(2000, rel=0.01)


def test_the_rate_is_forgotten() -> None:
    arrivals = Arrivals()
    steady(arrivals, per_s=1000, until=0.5)

    assert arrivals.rows_per_s(0.5 + MEMORY_S) == pytest.approx(2000 / math.e, rel=0.01)
    assert arrivals.rows_per_s(1.5) < 1


def test_the_rate_is_worked_out_no_more_often_than_it_needs() -> None:
    arrivals = Arrivals()
    arrivals.note(1.0, 5, 0.02)
    before = arrivals.rows_per_s(1.0)
    arrivals.note(1.0001, 5, 0.02)

    assert arrivals.rows_per_s(1.0004) == before
    assert arrivals.rows_per_s(1.0006) > before


def test_those_in_a_hurry_are_told_apart() -> None:
    arrivals = Arrivals()
    for call in range(500):
        arrivals.note(call * MS, 1, 50 * MS)
        arrivals.note(call * MS, 1, 5 * MS, 3.0)
        arrivals.note(call * MS, 1, 10.0, 9.0)

    hurried = list(arrivals.hurried(0.5))

    (soon, rate, worth), (later, later_rate, later_worth) = hurried
    assert soon == pytest.approx(5 * MS, rel=0.2)
    assert later == pytest.approx(50 * MS, rel=0.2)
    assert rate == pytest.approx(1000, rel=0.02)
    assert later_rate == pytest.approx(rate)
    assert worth == pytest.approx(3 * rate)
    assert later_worth == pytest.approx(rate), "and those with seconds to spare can wait"


def test_those_with_the_least_time_come_first() -> None:
    arrivals = Arrivals()
    for within_ms in (200, 3, 0.1, 40, 0.5, 12):
        arrivals.note(0.0, 1, within_ms * MS)

    times = [within_s for within_s, _, _ in arrivals.hurried(MS)]

    assert len(times) == 5, "0.1 and 0.5 ms are both below the first bound"
    assert all(less < more for less, more in pairwise(times))


def test_callers_are_alike_when_none_has_twice_the_time_of_another() -> None:
    arrivals = Arrivals()
    arrivals.note(0.0, 1, 0.010)
    assert arrivals.alike
    arrivals.note(0.0, 1, 0.020)
    assert arrivals.alike
    arrivals.note(0.0, 1, 0.021)
    assert not arrivals.alike


def test_callers_are_weighed_when_one_is_worth_more() -> None:
    arrivals = Arrivals()
    assert not arrivals.weighed
    arrivals.note(0.0, 1, 0.010)
    arrivals.note(0.0, 1, 0.010)
    assert not arrivals.weighed
    arrivals.note(0.0, 1, 0.010, 2.0)
    assert arrivals.weighed


def test_who_was_different_is_forgotten_after_two_epochs() -> None:
    arrivals = Arrivals()
    arrivals.note(0.0, 1, 1.0, 2.0)
    now = 0.0
    while now < 2 * EPOCH_S - 5 * MS:
        now += MS
        arrivals.note(now, 1, 0.010)
        assert arrivals.weighed
        assert not arrivals.alike

    for _ in range(10):
        now += MS
        arrivals.note(now, 1, 0.010)
    assert arrivals.alike
    assert not arrivals.weighed


def test_after_a_pause_all_that_was_is_forgotten() -> None:
    arrivals = Arrivals()
    arrivals.note(0.0, 1, 1.0, 2.0)

    arrivals.note(2 * EPOCH_S, 1, 0.010)

    assert arrivals.alike
    assert not arrivals.weighed
