"""A drift is noticed within a few runs; noise and stalls are not a drift."""

import random
from statistics import median

import pytest

from inferd.inference.scheduling.drift import LEAST_SCATTER, LIMIT, MOST, SLACK, Drift

#: Runs that are far off, until there is no doubt.
FEW = int(LIMIT / (MOST - SLACK)) + 1


def noted(drift: Drift, *offs: float) -> list[float]:
    return [drift.note(off) for off in offs]


@pytest.mark.parametrize("off", [1.0, -1.0, 0.1, -0.1])
def test_a_step_is_noticed_after_a_few_runs(off: float) -> None:
    drift = Drift()

    assert noted(drift, *[off] * FEW) == [0.0] * (FEW - 1) + [off]
    assert not drift.suspected, "it begins anew"


def test_a_step_is_as_large_as_most_of_its_runs_say() -> None:
    runs = [0.7, 5.0, 0.8, 0.9, 0.75][:FEW]

    assert noted(Drift(), *runs) == [0.0] * (FEW - 1) + [median(runs)]


def test_what_was_before_does_not_count() -> None:
    drift = Drift()
    noted(drift, *[0.01, -0.01] * 20, LEAST_SCATTER)

    runs = [0.7, 0.75, 0.8, 0.85, 0.9][:FEW]
    assert noted(drift, *runs)[-1] == median(runs)


def test_it_is_suspected_from_the_first_run_on_until_the_others_say_no() -> None:
    drift = Drift()

    suspected = [drift.suspected]
    for off in (1.0, 0.0, 0.0, -1.0):
        drift.note(off)
        suspected.append(drift.suspected)

    assert suspected == [False, True, True, False, True]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_little_more_than_the_usual_scatter_is_suspicious(sign: int) -> None:
    drift = Drift()

    drift.note(sign * 1.5 * LEAST_SCATTER)
    assert drift.suspected


def test_what_is_off_to_both_sides_is_noise() -> None:
    assert not any(noted(Drift(), *[1.0, -1.0] * 50))


def test_less_than_the_usual_scatter_does_not_count() -> None:
    drift = Drift()

    assert not any(noted(drift, *[0.9 * LEAST_SCATTER] * 200))
    assert not drift.suspected


def test_one_run_is_never_a_drift_however_long_it_was() -> None:
    drift = Drift()

    assert noted(drift, 100.0, 0.0, 0.0) == [0.0] * 3
    assert not drift.suspected


@pytest.mark.parametrize("scatter", [0.02, 0.1, 0.5])
def test_noise_is_seldom_taken_for_a_drift_and_a_step_of_five_scatters_soon(
    scatter: float,
) -> None:
    rng, drift = random.Random(4), Drift()
    assert sum(off != 0.0 for off in noted(drift, *_noise(rng, 1000, scatter))) <= 10

    runs = noted(drift, *(5 * scatter + off for off in _noise(rng, 8, scatter)))
    found = [off for off in runs if off]
    assert found
    assert found[0] == pytest.approx(5 * scatter, rel=0.3)


def test_after_a_loud_time_small_steps_are_not_believed() -> None:
    rng, drift = random.Random(4), Drift()
    noted(drift, *_noise(rng, 200, 0.5))

    assert not any(noted(drift, *[0.2] * 20))
    assert any(noted(Drift(), *[0.2] * 20)), "after a quiet time they are"


def _noise(rng: random.Random, runs: int, scatter: float) -> list[float]:
    return [rng.gauss(0.0, scatter) for _ in range(runs)]
