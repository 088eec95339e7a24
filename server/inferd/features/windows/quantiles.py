"""Quantiles with a relative error of at most 1 %: a DDSketch (Masson et al. 2019).

Values are counted in bins whose bounds grow by `_GAMMA`, so whatever stands for a bin is within
`ALPHA` of every value in it. Above zero and below it there are bins of their own, numbered so that
the order of the bins is the order of the values; zero has bin 0.

There are at most `MAX_BINS`, enough for values of which the largest is 28,000 times the smallest.
Beyond, the lowest are counted in the one above them (algorithm 3): then quantiles that fall
into it are too high, and all others are as good as before. The order of the values does not matter.

A sketch is a plain dict, which is also how it is stored. The library (`ddsketch`) keeps dense lists
of bins, hundreds of them for two values that are far apart, and has protobuf for its bytes.
"""

from collections.abc import Sequence
from math import ceil, exp, log
from sys import float_info

Bins = dict[int, int]
"""How many values are in each bin; no bin is empty."""

ALPHA = 0.01
MAX_BINS = 512
_GAMMA = (1 + ALPHA) / (1 - ALPHA)
_PER_E = 1 / log(_GAMMA)
"""Bins by which values grow to e times themselves."""
_MIDDLE = 2 * _GAMMA / (_GAMMA + 1)
"""What stands for a bin, over its lower bound."""
_ONE = 40_000
"""The bin that ends at 1. The smallest float is in bin 2,780."""


def gather(values: Sequence[float]) -> Bins:
    """Return the sketch of values."""
    bins: Bins = {}
    for value in values:
        add(bins, value)
    return bins


def add(bins: Bins, value: float) -> None:
    """Add one value to a sketch."""
    if value > 0:
        place = ceil(log(value) * _PER_E) + _ONE
    elif value < 0:
        place = -(ceil(log(-value) * _PER_E) + _ONE)
    else:
        place = 0
    bins[place] = bins.get(place, 0) + 1
    if len(bins) > MAX_BINS:
        _collapse(bins)


def fold(sketches: Sequence[Bins]) -> Bins:
    """Return the sketch of all the values of sketches, of which none is changed."""
    first, *others = sketches
    total = dict(first)
    for bins in others:
        for place, count in bins.items():
            total[place] = total.get(place, 0) + count
    _collapse(total)
    return total


def at(bins: Bins, quantile: float) -> float:
    """Return the value below which a share of the others is: of n, the one of rank q * (n - 1)."""
    rank = quantile * (sum(bins.values()) - 1)
    place = below = 0
    for place in sorted(bins):
        below += bins[place]
        if below > rank:
            break
    return _middle(place)


def _collapse(bins: Bins) -> None:
    excess = len(bins) - MAX_BINS
    if excess > 0:
        lowest = sorted(bins)[: excess + 1]
        bins[lowest[-1]] += sum(bins.pop(place) for place in lowest[:-1])


def _middle(place: int) -> float:
    if place == 0:
        return 0.0
    # By the lower bound, which is a float where the upper one may be none.
    size = min(exp((abs(place) - _ONE - 1) / _PER_E) * _MIDDLE, float_info.max)
    return size if place > 0 else -size
