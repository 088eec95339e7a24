"""The statistics of a report: what two arms differ by, and how well that is known.

An arm's result is a `Sample`: a number, and the variance of that number. Everything that can be
compared is made into one first, so that means, conversions, ratios and means adjusted for what was
before are all compared in the same way.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferd.resilience.comparison import always_valid, always_valid_p

Values = NDArray[np.float64]
"""One for each unit of an arm."""

_TINY = 1e-300
_STEPS = 10_000


class Sample(NamedTuple):
    """What was measured of one arm."""

    units: int
    value: float
    variance: float
    """Of `value`, not of what it is the mean of."""


class Interval(NamedTuple):
    """Where something is."""

    low: float
    high: float


class Comparison(NamedTuple):
    """What an arm differs by from the control."""

    difference: float
    interval: Interval
    """For one look, planned before."""
    p: float
    """Of one look: two-sided, normal."""
    always: Interval
    """For any number of looks: mixture sequential probability ratio test."""
    always_p: float
    lift: float | None
    """The difference, in parts of the control's value. None: that is 0."""
    lift_interval: Interval | None
    """For one look, by the delta method."""


def mean(values: Values) -> Sample:
    """Return the mean of one value for each unit."""
    count = len(values)
    if count < 2:
        return Sample(count, float(values.sum()), 0.0)
    return Sample(count, float(values.mean()), float(values.var(ddof=1)) / count)


def ratio(above: Values, below: Values) -> Sample:
    """Return the sum of one thing over that of another, such as clicks for each impression.

    Units are independent of each other, and what one unit does is not, so its variance is by the
    delta method (Deng, Knoblich and Lu, Applying the Delta Method in Metric Analytics, KDD 2018).
    """
    count, total = len(above), float(below.sum())
    if count < 2 or total == 0:
        return Sample(count, 0.0, 0.0)
    value = float(above.sum()) / total
    left = above - value * below
    return Sample(count, value, float(left.var(ddof=1)) / count / (total / count) ** 2)


def adjusted(after: Sequence[Values], before: Sequence[Values]) -> list[Sample]:
    """Return the means of arms without what was to be expected from before: CUPED.

    Deng, Xu, Kohavi and Walker, Improving the Sensitivity of Online Controlled Experiments by
    Utilizing Pre-Experiment Data, WSDM 2013. The slope is that within the arms, so that what an
    arm does is not taken for what was before.
    """
    across = spread = 0.0
    for y, x in zip(after, before, strict=True):
        if len(x):
            across += float(((x - x.mean()) * (y - y.mean())).sum())
            spread += float(((x - x.mean()) ** 2).sum())
    slope = across / spread if spread else 0.0
    middle = float(np.concatenate(before).mean())
    return [mean(y - slope * (x - middle)) for y, x in zip(after, before, strict=True)]


def compared(control: Sample, treated: Sample, alpha: float) -> Comparison | None:
    """Return what an arm differs by; None where nothing can be said of it.

    `alpha`: intervals miss the truth so often.
    """
    if min(control.units, treated.units) < 2:
        return None
    difference = treated.value - control.value
    error = math.sqrt(control.variance + treated.variance)
    reach = NormalDist().inv_cdf(1 - alpha / 2)
    wide = always_valid(control.units, treated.units, alpha)
    errors = abs(difference) / error if error else math.inf if difference else 0.0
    lift = lift_interval = None
    if control.value:
        lift = difference / control.value
        lift_error = math.sqrt(
            treated.variance / control.value**2
            + treated.value**2 * control.variance / control.value**4
        )
        lift_interval = _around(lift, reach * lift_error)
    return Comparison(
        difference,
        _around(difference, reach * error),
        math.erfc(errors / math.sqrt(2)),
        _around(difference, wide * error),
        always_valid_p(errors, control.units, treated.units),
        lift,
        lift_interval,
    )


def sample_ratio_p(units: Sequence[int], shares: Sequence[float]) -> float:
    """Return the chance of arms as unequal as these, where `shares` were meant: chi-square."""
    total, whole = sum(units), sum(shares)
    if any(seen and not share for seen, share in zip(units, shares, strict=True)):
        return 0.0
    meant = [
        (seen, total * share / whole) for seen, share in zip(units, shares, strict=True) if share
    ]
    if total == 0 or len(meant) < 2:
        return 1.0
    statistic = sum((seen - expected) ** 2 / expected for seen, expected in meant)
    return gamma_q((len(meant) - 1) / 2, statistic / 2)


def sign_p(wins: int, losses: int) -> float:
    """Return the chance of so uneven a score between equals: the two-sided sign test, exact."""
    total, fewer = wins + losses, min(wins, losses)
    if wins == losses:
        return 1.0
    log_all, log_half = math.lgamma(total + 1), total * math.log(2)
    tail = math.fsum(
        math.exp(log_all - math.lgamma(k + 1) - math.lgamma(total - k + 1) - log_half)
        for k in range(fewer + 1)
    )
    return min(1.0, 2 * tail)


def gamma_q(a: float, x: float) -> float:
    """Return the upper incomplete gamma function, regularised: the tail of chi-square, above `2x`.

    For `a > 0`, `x >= 0`, with `2a` degrees of freedom. A series below `a + 1`, a continued
    fraction by Lentz's method above (Press et al., Numerical Recipes, 6.2).
    """
    if x <= 0:
        return 1.0
    if math.isinf(x):
        return 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    return 1 - front * _series(a, x) if x < a + 1 else front * _fraction(a, x)


def _series(a: float, x: float) -> float:
    term = total = 1 / a
    for step in range(1, _STEPS):
        term *= x / (a + step)
        total += term
        if term < total * 1e-16:
            break
    return total


def _fraction(a: float, x: float) -> float:
    b = x + 1 - a
    c, d = 1 / _TINY, 1 / b
    value = d
    for step in range(1, _STEPS):
        numerator = -step * (step - a)
        b += 2
        d = 1 / (_not_zero(numerator * d + b))
        c = _not_zero(b + numerator / c)
        value *= d * c
        if abs(d * c - 1) < 1e-16:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _around(middle: float, reach: float) -> Interval:
    return Interval(middle - reach, middle + reach)
