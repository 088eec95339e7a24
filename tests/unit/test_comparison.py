"""Whether something new is worse: seldom when it is not, soon when it is."""

import random

import pytest

from inferd.resilience.comparison import (
    Limit,
    Moments,
    Recently,
    RecentValues,
    always_valid,
    always_valid_p,
    harm,
    shift,
)


def counted(values: list[float]) -> Moments:
    moments = Moments()
    for each in values:
        moments.add(each)
    return moments


def test_moments_are_those_of_the_textbook() -> None:
    one = counted([1.0, 2.0]) + counted([6.0])

    assert (one.count, one.mean) == (3, 3.0)
    assert one.variance == pytest.approx(7.0)
    assert (Moments().mean, Moments().variance, counted([5.0]).variance) == (0.0, 0.0, 0.0)


def test_what_is_old_is_forgotten() -> None:
    recent, values = Recently(10.0), RecentValues(10.0)
    for now in range(20):
        recent.add(float(now), now)
        values.add(float(now), now)

    assert recent.moments(19.5).count == 10
    assert values.values(19.5) == [float(now) for now in range(10, 20)]
    assert recent.moments(100.0).count == len(values.values(100.0)) == 0


def test_twice_the_errors_are_found_and_as_many_are_not() -> None:
    rng = random.Random(1)
    limit, found = Limit(1.25, alpha=0.001), 0
    control, same, twice = Moments(), Moments(), Moments()
    for number in range(1, 6001):
        for moments, rate in ((control, 0.05), (same, 0.05), (twice, 0.10)):
            moments.add(float(rng.random() < rate))
        if number % 100 == 0:
            assert not harm(control, same, limit)
            found = found or (number if harm(control, twice, limit) else 0)

    assert 100 < found < 6000
    assert harm(control, twice, limit).endswith("of 6000")


def test_looking_again_and_again_finds_no_harm_that_is_not_there() -> None:
    """At 5 %, one look in 20 would; here, every look at 100 pairs of streams counts."""
    rng, limit, alarms = random.Random(2), Limit(alpha=0.05, minimum=2), 0
    for _ in range(100):
        control, same = Moments(), Moments()
        for _ in range(300):
            control.add(rng.gauss(5, 1))
            same.add(rng.gauss(5, 1))
            if harm(control, same, limit):
                alarms += 1
                break

    assert alarms <= 5


def test_a_few_calls_say_nothing() -> None:
    limit = Limit(minimum=50)

    assert not harm(counted([0.0] * 49), counted([1.0] * 49), limit)
    assert harm(counted([0.0] * 50), counted([1.0] * 50), limit)


def test_slack_and_times_are_allowed() -> None:
    control, treated = counted([10.0] * 200), counted([14.0] * 200)

    assert harm(control, treated, Limit(1.2))
    assert not harm(control, treated, Limit(1.4))
    assert not harm(control, treated, Limit(1.2, slack=2.0))


def test_lower_may_be_what_is_worse() -> None:
    control, treated = counted([1.0, 0.0] * 500), counted([1.0, 0.0, 0.0, 0.0] * 250)

    assert harm(control, treated, Limit(0.9, lower_is_worse=True))
    assert not harm(control, treated, Limit(0.4, lower_is_worse=True))
    assert not harm(treated, control, Limit(0.9, lower_is_worse=True))
    assert not harm(control, treated, Limit(1.0))


def test_another_distribution_is_found_by_its_place_and_by_its_shape() -> None:
    rng, limit = random.Random(3), Limit(slack=0.2, minimum=100)
    plain = [rng.gauss(0, 1) for _ in range(1000)]

    assert not shift(plain, [rng.gauss(0, 1) for _ in range(1000)], limit)
    assert shift(plain, [rng.gauss(2, 1) for _ in range(1000)], limit)
    assert shift(plain, [0.0] * 1000, limit), "a constant has the same mean"
    assert not shift(plain, [9.0] * 99, limit)


def test_bounds_and_chances_agree() -> None:
    for count, other in ((2, 2), (50, 1000), (10**6, 10**6)):
        errors = always_valid(count, other, 0.01)
        assert always_valid_p(errors, count, other) == pytest.approx(0.01)
        assert errors > 2.576, "more than for one look"
