"""Chance that is the same everywhere: draws that depend on a seed and a name, and on nothing else.

A draw is a hash of where it stands, by SplitMix64 (Steele, Lea and Flood 2014): the n-th number of
a name is the n-th whatever else was drawn before, so a new draw changes no other. NumPy's own
generators are not used, because their distributions may change with its version; nor are its `exp`
and `log`, whose last bit depends on the processor. What is here is made of integers and of
additions, multiplications and divisions of floats, which IEEE 754 defines exactly. For the same
reason nothing is summed in an order that somebody else chooses.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Bits = NDArray[np.uint64]

_STEP = 0x9E3779B97F4A7C15
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_EXP_TERMS = 14
_LOG_TERMS = 12


class Dice:
    """Named draws. Each name may be drawn once: twice would be the same numbers again."""

    def __init__(self, seed: int, *path: str) -> None:
        self._seed = seed
        self._path = path
        self._drawn: set[str] = set()

    def of(self, name: str) -> "Dice":
        """Return the dice of a part of the world."""
        return Dice(self._seed, *self._path, name)

    def bits(self, name: str, *shape: int) -> Bits:
        """Return 64 random bits each. Raises `ValueError` if the name was drawn before."""
        if name in self._drawn:
            raise ValueError(f"{name}: drawn before")
        self._drawn.add(name)
        path = "/".join([str(self._seed), *self._path, name])
        key = int.from_bytes(blake2b(path.encode(), digest_size=8).digest(), "big")
        places = np.arange(np.prod(shape, dtype=np.int64), dtype=np.uint64)
        return mixed(places * np.uint64(_STEP) + np.uint64(key)).reshape(shape)

    def uniform(self, name: str, *shape: int) -> Floats:
        """Return numbers in [0, 1), multiples of 2**-53."""
        return (self.bits(name, *shape) >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def between(self, name: str, low: float, high: float, *shape: int) -> Floats:
        """Return numbers in [low, high)."""
        return low + (high - low) * self.uniform(name, *shape)

    def below(self, name: str, most: int | Ints, *shape: int) -> Ints:
        """Return integers in [0, most)."""
        return np.floor(self.uniform(name, *shape) * most).astype(np.int64)

    def chance(self, name: str, probability: float | Floats, *shape: int) -> Flags:
        """Return True as often as the probability says."""
        return self.uniform(name, *shape) < probability

    def normal(self, name: str, *shape: int) -> Floats:
        """Return nearly normal numbers: the sum of twelve uniform ones, less six (Irwin-Hall)."""
        draws = self.uniform(name, 12, *shape)
        total: Floats = draws[0] - 6.0
        for each in draws[1:]:
            total = total + each
        return total

    def chosen(self, name: str, weights: Floats | Sequence[float], *shape: int) -> Ints:
        """Return places in `weights`, each as often as it weighs."""
        sums = np.cumsum(np.asarray(weights, dtype=np.float64))
        found = np.searchsorted(sums, self.uniform(name, *shape) * sums[-1], side="right")
        places: Ints = np.minimum(found, len(sums) - 1).astype(np.int64)
        return places

    def some(self, name: str, count: int, of: int) -> Ints:
        """Return `count` different places below `of`, in random order."""
        return np.argsort(self.bits(name, of), kind="stable")[:count].astype(np.int64)


def mixed(bits: Bits) -> Bits:
    """Return the finaliser of SplitMix64: every bit depends on all."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def exp(x: Floats) -> Floats:
    """Return e**x to within a few units in the last place, for |x| below 700."""
    powers = np.rint(x * 1.4426950408889634)
    rest = (x - powers * _LN2_HIGH) - powers * _LN2_LOW
    result = np.ones_like(rest)
    for term in range(_EXP_TERMS, 0, -1):
        result = 1.0 + result * rest / term
    return np.ldexp(result, powers.astype(np.int32))


def log(x: Floats) -> Floats:
    """Return the natural logarithm of positive numbers, as exactly as `exp`."""
    mantissa, power = np.frexp(x)
    small = mantissa < 0.7071067811865476
    mantissa = np.where(small, mantissa * 2.0, mantissa)
    exponent = power.astype(np.float64) - small
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square = ratio * ratio
    series = np.zeros_like(ratio)
    for term in range(_LOG_TERMS, -1, -1):
        series = series * square + 1.0 / (2 * term + 1)
    return exponent * _LN2_HIGH + (2.0 * ratio * series + exponent * _LN2_LOW)


def logistic(x: Floats) -> Floats:
    """Return 1 / (1 + e**-x)."""
    return 1.0 / (1.0 + exp(-x))


def product(left: Floats, right: Floats) -> Floats:
    """Return the inner product over the last axis, added up from the first to the last."""
    total = left[..., 0] * right[..., 0]
    for place in range(1, left.shape[-1]):
        total = total + left[..., place] * right[..., place]
    return total


def names(prefix: str, numbers: Ints, seed: int) -> list[str]:
    """Return names from which nobody learns the numbers: a letter and twelve hex digits."""
    key = np.uint64(int.from_bytes(blake2b(f"{seed}{prefix}".encode(), digest_size=8).digest()))
    hashed = mixed(mixed(numbers.astype(np.uint64) + key)) >> np.uint64(16)
    return [f"{prefix}{each:012x}" for each in hashed.tolist()]
