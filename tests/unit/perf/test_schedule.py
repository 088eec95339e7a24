"""Arrival schedules and the window that bounds a run."""

from itertools import count, islice, pairwise

import pytest

from inferd_perf.schedule import Quota, Window, bounded, fixed, poisson


def test_fixed_arrivals_are_evenly_spaced() -> None:
    assert list(islice(fixed(4.0), 4)) == [0.0, 0.25, 0.5, 0.75]


def test_fixed_arrivals_do_not_drift() -> None:
    assert next(islice(fixed(3.0), 3_000, None)) == 1000.0


def test_poisson_arrivals_have_the_rate_and_the_spread_of_independent_callers() -> None:
    arrivals = list(islice(poisson(1000.0, seed=1), 20_000))

    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(0.001, rel=0.05)
    assert variance**0.5 == pytest.approx(mean, rel=0.05)


def test_a_seed_repeats_its_schedule() -> None:
    first, again, other = (list(islice(poisson(10.0, seed), 5)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_window_measures_what_comes_after_the_warm_up() -> None:
    window = Window(warmup_s=1.0, duration_s=2.0)

    assert [window.measures(at) for at in (0.9, 1.0, 2.9, 3.0)] == [False, True, True, False]


def test_a_schedule_ends_with_its_window() -> None:
    window = Window(warmup_s=1.0, duration_s=1.0)

    assert list(bounded(fixed(2.0), window)) == [0.0, 0.5, 1.0, 1.5]


def test_a_count_bounds_the_measured_requests_and_not_the_warm_up() -> None:
    window = Window(warmup_s=1.0, duration_s=100.0, count=2)

    assert list(bounded(fixed(2.0), window)) == [0.0, 0.5, 1.0, 1.5]


def test_a_spent_quota_admits_nothing_more() -> None:
    quota = Quota(Window(warmup_s=0.0, duration_s=10.0, count=1))

    assert [quota.admits(at) for at in (1.0, 1.1, 1.2)] == [True, False, False]


def test_nothing_arrives_after_the_end_even_without_a_count() -> None:
    late = bounded((float(i) for i in count(5)), Window(warmup_s=0.0, duration_s=5.0))

    assert list(late) == []
