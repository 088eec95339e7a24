"""The latency model learns from runs, and from its own mistakes."""

import random

import pytest

from inferd.inference.scheduling import LatencyModel, buckets_of


def test_buckets_are_powers_of_two_the_largest_and_the_preferred() -> None:
    assert buckets_of(12, (6,)) == (1, 2, 4, 6, 8, 12)
    assert buckets_of(1) == (1,)


def test_a_size_is_predicted_by_the_bucket_that_holds_it() -> None:
    latency = LatencyModel((1, 4, 8))
    latency.seed(4, 0.004)
    latency.seed(8, 0.008)

    assert latency.predict(2) == latency.predict(4) == pytest.approx(0.004)
    assert latency.predict(5) == pytest.approx(0.008)


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
