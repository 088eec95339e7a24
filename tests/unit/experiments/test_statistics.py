"""The statistics of reports: against SciPy, against simulation, and at their edges."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from inferd.experiments.statistics import (
    Sample,
    adjusted,
    compared,
    gamma_q,
    mean,
    ratio,
    sample_ratio_p,
    sign_p,
)


def drawn(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_tail_of_chi_square_is_scipys() -> None:
    special = pytest.importorskip("scipy.special")
    for a in (0.5, 1.0, 1.5, 4.0, 15.5, 200.0):
        for x in (0.0, 1e-9, 0.1, 0.9, 2.0, 5.4, 16.0, 40.0, 250.0, 2000.0):
            assert gamma_q(a, x) == pytest.approx(special.gammaincc(a, x), rel=1e-9, abs=1e-13)


def test_the_sign_test_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    for wins, losses in ((0, 0), (1, 0), (7, 7), (30, 10), (3, 250), (1200, 1100)):
        expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
        assert sign_p(wins, losses) == pytest.approx(expected, rel=1e-9)


def test_500_to_400_is_no_half_and_half() -> None:
    assert sample_ratio_p([500, 400], [0.5, 0.5]) == pytest.approx(0.00085812, rel=1e-4)
    assert sample_ratio_p([460, 440], [0.5, 0.5]) > 0.4
    assert sample_ratio_p([500, 400], [5, 4]) == 1.0


def test_units_in_an_arm_without_a_share_are_impossible() -> None:
    assert sample_ratio_p([500, 1], [1.0, 0.0]) == 0.0
    assert sample_ratio_p([500, 0], [1.0, 0.0]) == 1.0
    assert sample_ratio_p([0, 0], [0.5, 0.5]) == 1.0


def test_a_difference_of_conversions_is_that_of_the_textbook() -> None:
    """200 of 1,000 against 250 of 1,000: z = 2.69, by variances of their own."""
    control = mean(np.repeat([1.0, 0.0], [200, 800]))
    treated = mean(np.repeat([1.0, 0.0], [250, 750]))

    found = compared(control, treated, 0.05)

    assert found is not None
    error = math.sqrt((0.2 * 0.8 + 0.25 * 0.75) / 999)
    assert found.difference == pytest.approx(0.05)
    assert found.interval.low == pytest.approx(0.05 - 1.959964 * error)
    assert found.p == pytest.approx(math.erfc(0.05 / error / math.sqrt(2)))
    assert found.lift == pytest.approx(0.25)
    assert found.always.low < found.interval.low < found.interval.high < found.always.high
    assert found.p < found.always_p


def test_the_always_valid_interval_and_its_p_agree() -> None:
    for value in np.linspace(0.0, 0.2, 60):
        found = compared(Sample(400, 0.0, 1e-3), Sample(300, float(value), 1e-3), 0.05)
        assert found is not None
        assert (found.always.low > 0) == (found.always_p < 0.05)


def test_nothing_is_said_of_arms_with_one_unit_and_little_of_those_that_never_vary() -> None:
    same = Sample(10, 1.0, 0.0)

    assert compared(same, Sample(1, 1.0, 0.0), 0.05) is None
    equal, other = compared(same, same, 0.05), compared(same, Sample(10, 2.0, 0.0), 0.05)
    assert equal is not None
    assert other is not None
    assert (equal.p, equal.always_p) == (1.0, 1.0)
    assert (other.p, other.always_p) == (0.0, 0.0)
    nothing = compared(Sample(10, 0.0, 0.0), same, 0.05)
    assert nothing is not None
    assert nothing.lift is None


def impressions(draw: np.random.Generator, units: int) -> tuple[NDArray[np.float64], ...]:
    """Users differ in how much they see and in how much of it they click."""
    seen = draw.poisson(5, units) + 1
    return draw.binomial(seen, draw.beta(2, 8, units)).astype(float), seen.astype(float)


def test_the_variance_of_a_ratio_is_that_of_many_repetitions() -> None:
    draw = drawn()
    samples = [ratio(*impressions(draw, 200)) for _ in range(2000)]

    spread = np.var([each.value for each in samples])

    assert np.mean([each.variance for each in samples]) == pytest.approx(spread, rel=0.1)
    assert ratio(np.zeros(5), np.zeros(5)) == Sample(5, 0.0, 0.0)


def test_what_was_before_narrows_the_interval_and_does_not_move_it() -> None:
    draw = drawn()
    found = []
    for _ in range(300):
        habits = [draw.gamma(1.0, 1.0, 200) for _ in range(2)]
        before = [draw.poisson(each).astype(float) for each in habits]
        after = [
            draw.poisson(3 * each + 0.5 * arm).astype(float) for arm, each in enumerate(habits)
        ]
        control, treated = adjusted(after, before)
        plain = mean(after[0])
        found.append((treated.value - control.value, control.variance / plain.variance))
    differences, narrower = np.array(found).T

    assert differences.mean() == pytest.approx(0.5, abs=4 * differences.std() / math.sqrt(300))
    assert narrower.mean() < 0.75


def test_without_anything_before_nothing_is_adjusted() -> None:
    after = [np.array([1.0, 2.0, 6.0]), np.array([2.0, 2.0])]
    nothing = [np.zeros(3), np.zeros(2)]

    assert adjusted(after, nothing) == [mean(each) for each in after]
