"""When calls are sent: the processes keep their mean rate and have the shape that they promise."""

from functools import partial

import numpy as np
import pytest

from inferd_perf.simulation.arrivals import Arrive, functions, gamma, mmpp, poisson, ramp, steps
from inferd_perf.simulation.calls import Column
from inferd_perf.simulation.streams import Purpose, stream

BURSTS = partial(mmpp, ratio=6.0, low_s=0.2, high_s=0.05)
AZURE = partial(functions, count=20, zipf=1.1, minute_s=0.2, spread=0.5, cvs=(2.0, 4.0))


def sent(arrive: Arrive, rate: float = 100.0, duration_s: float = 200.0, seed: int = 1) -> Column:
    return arrive(rate, duration_s, stream(seed, Purpose.ARRIVALS))


def spread(times: Column, window_s: float = 1.0) -> float:
    """Return the index of dispersion of counts: 1 for a Poisson process."""
    counts = np.bincount((times / window_s).astype(int))
    return float(counts.var() / counts.mean())


@pytest.mark.parametrize("arrive", [poisson, partial(gamma, cv=4.0), BURSTS, AZURE])
def test_the_rate_is_kept_and_times_ascend_within_the_duration(arrive: Arrive) -> None:
    times = sent(arrive, rate=1000.0, duration_s=20.0)

    assert len(times) == pytest.approx(20_000, rel=0.1)
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] <= 20.0


def test_poisson_counts_vary_as_much_as_their_mean() -> None:
    assert spread(sent(poisson)) == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("arrive", [partial(gamma, cv=4.0), BURSTS, AZURE])
def test_the_others_come_in_bursts(arrive: Arrive) -> None:
    assert spread(sent(arrive, rate=1000.0, duration_s=20.0), window_s=0.05) > 3.0


def test_gamma_gaps_have_their_coefficient_of_variation() -> None:
    gaps = np.diff(sent(partial(gamma, cv=3.0)))

    assert gaps.std() / gaps.mean() == pytest.approx(3.0, rel=0.15)


def test_steps_follow_their_phases() -> None:
    arrive = partial(steps, phases=((10.0, 0.5), (20.0, 3.0), (0.0, 0.8)))

    times = sent(arrive, rate=1000.0, duration_s=50.0)

    counts = np.bincount((times / 10.0).astype(int))
    assert counts.tolist() == pytest.approx([5000, 30_000, 8000, 8000, 8000], rel=0.05)


def test_steps_end_with_the_time_whatever_their_phases() -> None:
    arrive = partial(steps, phases=((10.0, 0.5), (20.0, 3.0), (0.0, 0.8)))

    times = sent(arrive, duration_s=15.0)

    assert times[-1] < 15.0
    assert (np.diff(times) >= 0).all()


def test_a_ramp_grows_evenly() -> None:
    times = sent(partial(ramp, low=0.0, high=2.0), rate=1000.0, duration_s=20.0)

    counts = np.bincount((times / 5.0).astype(int))
    assert counts.tolist() == pytest.approx([1250, 3750, 6250, 8750], rel=0.08)


def test_bursts_begin_in_either_state() -> None:
    draws = [sent(BURSTS, rate=1000.0, duration_s=2.0, seed=seed) for seed in range(60)]

    # In the first 10 ms, some 5 calls when it is quiet, and 30 in a burst: every fifth time.
    assert 3 <= sum((times < 0.01).sum() > 17 for times in draws) <= 25


def test_streams_of_different_purposes_are_different_and_reproducible() -> None:
    def drawn(seed: int, purpose: Purpose, index: int = 0) -> tuple[float, ...]:
        return tuple(stream(seed, purpose, index).random(4))

    assert drawn(1, Purpose.ARRIVALS) == drawn(1, Purpose.ARRIVALS)
    different = {
        drawn(seed, purpose, index) for seed in (1, 2) for purpose in Purpose for index in (0, 1)
    }
    assert len(different) == 4 * len(Purpose)
