"""Whether something new does more harm than what it is to replace, looked at again and again.

Both are measured side by side. A difference counts when chance does not explain it, and whoever
looks every second gives chance many opportunities. So the bounds here are always valid: the chance
that a harmless change ever crosses them, however often it is looked at, is at most `alpha`. They
are those of the mixture sequential probability ratio test (Johari, Koomen, Pekelis and Walsh,
Always Valid Inference, Operations Research 70(3), 2022), with a normal mixture, and hold for means
of a few dozen values or more. Pure: `now` comes in, in seconds.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

BUCKETS = 10
VALUES = 1000
"""Of a distribution, so many of the newest are compared."""
EFFECT = 0.1
"""The difference that the bounds are narrowest for, in standard deviations of one value."""


class Moments:
    """How many values there were, with their sum and that of their squares."""

    __slots__ = ("count", "squares", "total")

    def __init__(self, count: int = 0, total: float = 0.0, squares: float = 0.0) -> None:
        self.count = count
        self.total = total
        self.squares = squares

    def add(self, value: float) -> None:
        """Count a value."""
        self.count += 1
        self.total += value
        self.squares += value * value

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    @property
    def mean(self) -> float:
        """Their mean. 0: there are none."""
        return self.total / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """Their variance. 0: there are fewer than two."""
        if self.count < 2:
            return 0.0
        return max(0.0, self.squares - self.total * self.mean) / (self.count - 1)


class Recently:
    """The values of the last so many seconds; the oldest tenth is forgotten as a whole."""

    def __init__(self, seconds: float) -> None:
        self._width_s = seconds / BUCKETS
        self._buckets: deque[tuple[int, Moments]] = deque(maxlen=BUCKETS)

    def add(self, value: float, now: float) -> None:
        """Count a value that came now."""
        index = int(now // self._width_s)
        if not self._buckets or self._buckets[-1][0] != index:
            self._buckets.append((index, Moments()))
        self._buckets[-1][1].add(value)

    def moments(self, now: float) -> Moments:
        """Return what there is of late."""
        since = int(now // self._width_s) - BUCKETS
        there = (moments for index, moments in self._buckets if index > since)
        return sum(there, start=Moments())


class RecentValues:
    """The newest values themselves, of the last so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._values: deque[tuple[float, float]] = deque(maxlen=VALUES)

    def add(self, value: float, now: float) -> None:
        """Keep a value that came now."""
        self._values.append((now, value))

    def values(self, now: float) -> Sequence[float]:
        """Return those there are of late."""
        return [value for at, value in self._values if at > now - self._seconds]


class Limit(NamedTuple):
    """How much worse something may be, and when that is believed."""

    times: float = 1.0
    """So many times as much as the control. Where less is worse: at least so many times as much."""
    slack: float = 0.0
    """And so much more, or less, on top of it."""
    lower_is_worse: bool = False
    minimum: int = 100
    """Values that there must be of each."""
    alpha: float = 0.001
    """The chance that something harmless is ever taken for harmful."""


def always_valid(count: int, other: int, alpha: float) -> float:
    """Return how many standard errors two means differ at most by chance, at any time.

    `count`, `other`: the values of each, at least one.
    """
    ratio = _ratio(count, other)
    return math.sqrt((1 + 1 / ratio) * (-2 * math.log(alpha) + math.log1p(ratio)))


def always_valid_p(errors: float, count: int, other: int) -> float:
    """Return the chance that two equal means ever differ by so many standard errors."""
    ratio = _ratio(count, other)
    exponent = -errors * errors * ratio / (2 * (1 + ratio)) + math.log1p(ratio) / 2
    return math.exp(min(0.0, exponent))


def harm(control: Moments, treated: Moments, limit: Limit) -> str:
    """Return in what a mean is worse than it may be; empty: it is not, as far as is known."""
    if min(control.count, treated.count) < max(limit.minimum, 2):
        return ""
    sign = -1.0 if limit.lower_is_worse else 1.0
    gap = sign * (treated.mean - limit.times * control.mean) - limit.slack
    error = math.sqrt(
        treated.variance / treated.count + limit.times**2 * control.variance / control.count
    )
    if gap <= error * always_valid(control.count, treated.count, limit.alpha):
        return ""
    return f"{treated.mean:.4g} of {treated.count}, against {control.mean:.4g} of {control.count}"


def shift(control: Sequence[float], treated: Sequence[float], limit: Limit) -> str:
    """Return by how much a distribution is another than it may be; empty: as far as known, not.

    What counts is the distance of Kolmogorov and Smirnov, from 0 to 1: the largest difference of
    the shares below any one value. `limit.slack` of it is allowed. Each share is known as well as
    the Dvoretzky-Kiefer-Wolfowitz inequality says (Massart, Annals of Probability 18(3), 1990),
    at one look.
    """
    if min(len(control), len(treated)) < max(limit.minimum, 1):
        return ""
    one, other = np.sort(np.asarray(control)), np.sort(np.asarray(treated))
    edges = np.concatenate([one, other])
    below = [np.searchsorted(each, edges, side="right") / len(each) for each in (one, other)]
    distance = float(np.abs(below[0] - below[1]).max())
    unsure = sum(math.sqrt(math.log(4 / limit.alpha) / (2 * len(each))) for each in (one, other))
    if distance - unsure <= limit.slack:
        return ""
    return f"{distance:.2f} apart, of {len(treated)} and {len(control)}"


def _ratio(count: int, other: int) -> float:
    """Return the variance of the mixture, in those of the difference of the means."""
    return EFFECT**2 * count * other / (count + other)
