"""When calls are sent: processes that return the times, in seconds, ascending.

Each takes the mean rate per second, the seconds to fill and a stream of random numbers. Their
parameters are bound beforehand (`functools.partial`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from inferd_perf.simulation.calls import Column

SECOND_NS = 1_000_000_000
#: Draw so many more than expected, and this many on top, to fill the time almost surely.
SPARE, SPARE_CALLS = 1.5, 200

Arrive = Callable[[float, float, np.random.Generator], Column]


def poisson(rate: float, duration_s: float, random: np.random.Generator) -> Column:
    """Return calls that know nothing of each other."""
    return np.sort(random.random(random.poisson(rate * duration_s)) * duration_s)


def gamma(rate: float, duration_s: float, random: np.random.Generator, *, cv: float) -> Column:
    """Return a renewal process whose gaps have the coefficient of variation `cv`."""
    shape = 1.0 / cv**2
    times = np.zeros(0)
    while not len(times) or times[-1] < duration_s:
        count = int(rate * duration_s * SPARE) + SPARE_CALLS
        gaps = random.gamma(shape, 1.0 / (rate * shape), count)
        times = np.concatenate([times, np.cumsum(gaps) + (times[-1] if len(times) else 0.0)])
    return times[times < duration_s]


def mmpp(
    rate: float,
    duration_s: float,
    random: np.random.Generator,
    *,
    ratio: float,
    low_s: float,
    high_s: float,
) -> Column:
    """Return a Poisson process of two rates, one `ratio` times the other.

    It stays in each for an exponential time of mean `low_s` and `high_s`, and begins in either.
    Whatever these times come to, the mean over all of them is the rate.
    """
    stays, now = [], 0.0
    high = bool(random.random() * (low_s + high_s) < high_s)
    while now < duration_s:
        until = min(now + random.exponential(high_s if high else low_s), duration_s)
        stays.append((now, until - now, ratio if high else 1.0))
        now, high = until, not high
    low = rate * duration_s / sum(length * factor for _, length, factor in stays)
    return np.concatenate(
        [start + poisson(low * factor, length, random) for start, length, factor in stays]
    )


def steps(
    rate: float,
    duration_s: float,
    random: np.random.Generator,
    *,
    phases: Sequence[tuple[float, float]],
) -> Column:
    """Return a Poisson process of `(until, times the rate)` phases; the last one is open-ended."""
    parts, now = [], 0.0
    for until, factor in phases:
        until_s = min(until, duration_s) if (until, factor) != phases[-1] else duration_s
        parts.append(now + poisson(rate * factor, max(until_s - now, 0.0), random))
        now = max(now, until_s)
    return np.concatenate(parts)


def ramp(
    rate: float, duration_s: float, random: np.random.Generator, *, low: float, high: float
) -> Column:
    """Return a Poisson process whose rate grows evenly from `low` to `high` times the rate.

    By thinning (Lewis and Shedler 1979).
    """
    times = poisson(rate * high, duration_s, random)
    factor = low + (high - low) * times / duration_s
    return times[random.random(len(times)) * high < factor]


def functions(
    rate: float,
    duration_s: float,
    random: np.random.Generator,
    *,
    count: int,
    zipf: float,
    minute_s: float,
    spread: float,
    cvs: tuple[float, float],
) -> Column:
    """Return the calls of `count` functions, popular by Zipf's law with exponent `zipf`.

    Each has counts per minute that are lognormal with the standard deviation `spread` (of the
    logarithm), and inside the minute gaps with a coefficient of variation between `cvs`. A
    minute is compressed to `minute_s`, and the mean over all of them is the rate. Shaped like
    the Azure Functions trace of 2019.
    """
    popularity = 1.0 / np.arange(1, count + 1) ** zipf
    starts = np.arange(int(np.ceil(duration_s / minute_s))) * minute_s
    lengths = np.minimum(minute_s, duration_s - starts)
    busy = popularity[:, None] * np.exp(spread * random.standard_normal((count, len(starts))))
    means = rate * duration_s * busy * lengths / (busy * lengths).sum()
    parts = []
    for of_function in means:
        shape = 1.0 / random.uniform(*cvs) ** 2
        for start, length, mean in zip(starts, lengths, of_function, strict=True):
            calls = random.poisson(mean)
            gaps = random.gamma(shape, size=calls + 1)
            parts.append(start + np.cumsum(gaps)[:calls] / gaps.sum() * length)
    return np.sort(np.concatenate(parts))
