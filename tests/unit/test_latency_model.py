"""The latency model learns from runs, and from its own mistakes."""

import random

import pytest

from inferd.inference.scheduling import LatencyModel, RunTime, buckets_of
from inferd.inference.scheduling.latency import MOST_LEVEL


def test_buckets_are_powers_of_two_the_largest_and_the_preferred() -> None:
    assert buckets_of(12, (6,)) == (1, 2, 4, 6, 8, 12)
    assert buckets_of(1) == (1,)


def test_between_two_buckets_the_truth_is_in_between() -> None:
    latency = LatencyModel((4, 8))
    latency.seed(4, 0.004)
    latency.seed(8, 0.008)

    assert latency.predict(2) == latency.predict(4) == pytest.approx(0.004)
    assert latency.predict(5) == pytest.approx(0.005)
    assert latency.predict(8) == pytest.approx(0.008)


def test_a_bucket_is_believed_while_the_one_below_has_not_been_measured() -> None:
    latency = LatencyModel((1, 4))
    latency.seed(4, 0.004)

    assert latency.predict(2) == pytest.approx(0.004)


@pytest.mark.parametrize("rows", [5, 6, 7, 8])
def test_sizes_between_buckets_are_learnt_by_the_nearest_in_proportion(rows: int) -> None:
    latency = LatencyModel((4, 8))
    latency.seed(4, 0.004)
    latency.seed(8, 0.008)

    for _ in range(200):
        latency.observe(rows, rows * 0.002)

    assert latency.expect(rows) == pytest.approx(rows * 0.002, rel=0.01)
    assert 0.004 <= latency.expect(4) <= latency.expect(8) <= 0.020


def test_more_rows_never_take_less_time() -> None:
    latency = LatencyModel((1, 2, 4))
    latency.seed(1, 0.005)
    latency.seed(4, 0.003)

    assert latency.predict(2) == latency.predict(4) == pytest.approx(0.005)


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
def test_about_one_run_in_ten_exceeds_its_prediction(noise: float) -> None:
    rng, latency = random.Random(7), LatencyModel((1,))
    latency.seed(1, 0.010)
    misses = 0
    for _ in range(1200):
        seconds = 0.010 * rng.lognormvariate(0.0, noise)
        misses += seconds > latency.predict(1)
        latency.observe(1, seconds)

    assert misses / 1200 == pytest.approx(0.1, abs=0.03)


def test_it_follows_a_machine_that_has_become_slower() -> None:
    latency = LatencyModel((1,))
    for _ in range(32):
        latency.observe(1, 0.010)
    for _ in range(32):
        latency.observe(1, 0.030)

    assert latency.predict(1) >= 0.030


def test_what_is_expected_has_no_margin() -> None:
    latency = LatencyModel((1, 2))
    latency.seed(1, 0.010)
    latency.seed(2, 0.012)
    for _ in range(8):
        latency.observe(1, 0.011)

    assert latency.expect(1) < latency.predict(1)
    assert latency.rows_per_s() == pytest.approx(2 / latency.predict(2))


def test_a_bucket_that_is_not_used_gets_faster_with_those_that_are() -> None:
    latency = LatencyModel((1, 2))
    for rows, seconds in ((1, 0.010), (2, 0.012)):
        latency.seed(rows, seconds)
    for _ in range(40):
        latency.observe(2, 0.120)
        latency.observe(1, 0.100)
    slow = latency.expect(2)

    for _ in range(60):
        latency.observe(1, 0.010)

    assert slow == pytest.approx(0.120)
    assert latency.expect(2) == pytest.approx(0.012, rel=0.1), "nobody would try it otherwise"


def test_a_neighbour_slows_the_buckets_that_are_not_used_as_well() -> None:
    latency = LatencyModel((1, 2))
    for rows, seconds in ((1, 0.010), (2, 0.030)):
        latency.seed(rows, seconds)

    for _ in range(6):
        latency.observe(1, 0.020)

    assert latency.expect(2) == pytest.approx(0.060, rel=0.05)


def test_a_step_is_followed_within_a_few_runs() -> None:
    rng, latency = random.Random(3), LatencyModel((1,))
    for _ in range(64):
        latency.observe(1, 0.010 * rng.lognormvariate(0.0, 0.03))

    for _ in range(5):
        latency.observe(1, 0.020 * rng.lognormvariate(0.0, 0.03))
    slower = latency.expect(1)
    for _ in range(5):
        latency.observe(1, 0.010 * rng.lognormvariate(0.0, 0.03))

    assert slower == pytest.approx(0.020, rel=0.1)
    assert latency.expect(1) == pytest.approx(0.010, rel=0.1)


@pytest.mark.parametrize("noise", [0.03, 0.1, 0.25])
def test_stalls_are_not_a_drift(noise: float) -> None:
    rng, latency = random.Random(5), LatencyModel((1,))
    for _ in range(64):
        latency.observe(1, 0.010 * rng.lognormvariate(0.0, noise))

    for _ in range(400):
        stalled = 5.0 if rng.random() < 0.02 else 1.0
        latency.observe(1, 0.010 * rng.lognormvariate(0.0, noise) * stalled)
        assert latency.expect(1) == pytest.approx(0.010, rel=2 * noise)


def test_a_slow_climb_is_followed_too() -> None:
    latency = LatencyModel((1,))
    for run in range(200):
        latency.observe(1, 0.010 * 1.01**run)

    assert latency.expect(1) == pytest.approx(0.010 * 1.01**199, rel=0.25)


def test_what_is_older_than_the_last_runs_is_forgotten() -> None:
    latency = LatencyModel((1,))
    for _ in range(200):
        latency.observe(1, 0.0100)
    for _ in range(20):
        latency.observe(1, 0.0101)

    assert latency.expect(1) == pytest.approx(0.0101, rel=1e-3)


def test_runs_that_are_as_predicted_need_no_margin() -> None:
    latency = LatencyModel((1,))
    latency.seed(1, 0.010)
    for _ in range(50):
        latency.observe(1, latency.predict(1))

    assert latency.predict(1) == latency.expect(1)


def test_who_hopes_expects_the_best_that_there_has_been() -> None:
    latency = LatencyModel((1,))
    for seconds in (0.012, 0.010, *[0.020] * 40):
        latency.observe(1, seconds)
    before = latency.predict(1)

    latency.relax()

    assert before >= 0.020
    assert latency.predict(1) == latency.expect(1) == pytest.approx(0.010)


def test_a_hope_that_was_right_needs_no_margin() -> None:
    latency = LatencyModel((1,))
    for seconds in (0.010, *[0.020] * 40):
        latency.observe(1, seconds)
    latency.relax()

    latency.observe(1, 0.010)

    assert latency.predict(1) == latency.expect(1) == pytest.approx(0.010)


def test_one_run_says_whether_a_hope_was_right() -> None:
    latency = LatencyModel((1, 2))
    for rows in (1, 2):
        latency.seed(rows, 0.010 * rows)
    latency.relax()

    latency.observe(1, 0.030)

    assert latency.expect(1) == pytest.approx(0.030)
    assert latency.expect(2) == pytest.approx(0.060)


def test_a_run_time_is_an_average_that_forgets() -> None:
    run_time = RunTime((1, 2, 4))
    assert run_time.predict(2) == 0.0

    run_time.seed(2, 0.010)
    assert run_time.predict(2) == 0.010
    run_time.observe(2, 0.020)
    assert run_time.predict(2) == pytest.approx(0.011)
    assert run_time.predict(1) == 0.0, "that is another bucket"


def test_a_run_time_of_more_rows_than_fit_is_that_of_a_full_batch() -> None:
    run_time = RunTime((1, 2, 4))
    run_time.seed(4, 0.010)

    assert run_time.predict(3) == run_time.predict(4) == run_time.predict(9) == 0.010


def test_a_bucket_that_is_not_used_does_not_wander_off() -> None:
    """Slowly quicker, and suddenly slower again: each step is a drift, and no slope is."""
    latency = LatencyModel((1, 2))
    latency.seed(1, 0.010)
    latency.seed(2, 0.012)

    for _ in range(40):
        for run in range(60):
            latency.observe(1, 0.010 * 0.97**run)

    assert latency.expect(2) <= MOST_LEVEL * 0.012
