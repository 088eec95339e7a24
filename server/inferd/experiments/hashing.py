"""Where somebody is on a line from 0 to 1: always in the same place, and everybody evenly spread.

There are two ways. GrowthBook's (32-bit FNV-1a, https://docs.growthbook.io/lib/build-your-own)
gives whoever has experiments there the same arms here. Our own hashes a unit once, with BLAKE2b,
and turns that into as many places as there are salts: `a * hash + b` modulo 2^60, `a` and `b` being
BLAKE2b of the salt (multiply-shift: Dietzfelbinger, Universal Hashing and k-Wise Independent Random
Variables via Integer Arithmetic without Primes, 1996). So a further experiment costs a
multiplication instead of a hash, and the places of one unit under two salts have nothing to do with
each other.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

PLACES = 2**60
"""Of our own: a place is a whole number below, which takes two of Python's digits."""
MASK = PLACES - 1

Range = tuple[float, float]
"""From the first, up to and without the second."""


class Salt(NamedTuple):
    """The places of all units, other ones for each text that it is made of."""

    a: int
    b: int

    @classmethod
    def of(cls, text: str) -> "Salt":
        """Return that of a text."""
        digest = blake2b(text.encode(), digest_size=16, person=b"inferd.salt").digest()
        return cls(int.from_bytes(digest[:8]) & MASK | 1, int.from_bytes(digest[8:]) & MASK)

    def place(self, hashed: int) -> int:
        """Return where a unit is, from 0 up to `PLACES`."""
        return (self.a * hashed + self.b) & MASK


_UNIT = blake2b(digest_size=8, person=b"inferd.unit")


def hashed_unit(value: str) -> int:
    """Return the hash of a unit, such as a user's id, for `Salt.place`."""
    hasher = _UNIT.copy()
    hasher.update(_bytes(value))
    return int.from_bytes(hasher.digest()) & MASK


def growthbook(seed: str, value: str, version: int) -> float | None:
    """Return where GrowthBook has a value, from 0 up to 1; None: there is no such version.

    Version 1 knows 1,000 places and lets experiments with similar seeds agree too often; version 2
    knows 10,000.
    """
    if version == 2:
        return _fnv1a32(str(_fnv1a32(seed + value))) % 10_000 / 10_000
    if version == 1:
        return _fnv1a32(value + seed) % 1000 / 1000
    return None


def _fnv1a32(text: str) -> int:
    hashed = 0x811C9DC5
    for byte in _bytes(text):
        hashed = ((hashed ^ byte) * 0x01000193) & 0xFFFFFFFF
    return hashed


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except (
        UnicodeEncodeError
    ):  # half of a pair; nobody sends that, and nobody is to be failed by it
        return text.encode(errors="surrogatepass")


def bucket_ranges(arms: int, coverage: float, weights: Sequence[float] | None) -> list[Range]:
    """Return the range of each arm, as GrowthBook does; without weights all are alike.

    An arm begins where it would with a coverage of 1, and only its end depends on that: whoever is
    in an arm stays in it when the coverage grows. What makes no sense is mended as there: the
    coverage is cut to 0 and 1, and weights that are too few or do not add up to 1 are ignored.
    """
    coverage = min(1.0, max(0.0, coverage))
    if weights is None or len(weights) != arms or not 0.99 <= sum(weights) <= 1.01:
        weights = [1 / arms] * arms
    begins = accumulate(weights, initial=0.0)
    return [
        (begin, begin + coverage * weight) for begin, weight in zip(begins, weights, strict=False)
    ]
