"""How many different values there were, in a kilobyte: a HyperLogLog.

Of every value a hash of 64 bits is taken. While there are few, the hashes themselves are kept, and
the answer is exact. When they would take more room than the sketch does, they are put into it: the
hash picks one of `REGISTERS`, which remembers the longest run of zeros it saw (Flajolet et al.
2007). The count is estimated from the registers as Ertl does it (2017, arXiv:1702.01284,
algorithm 6), which has neither bias nor steps over the whole range, and needs no tables.

The standard error is 1.04 / sqrt(1024), 3.3 %. It is own code, as it is short, and as a state has
to be small while there are few values: `datasketch` has all registers from the first one on.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from math import inf, log, sqrt

import numpy as np
from numpy.typing import NDArray

Hashes = set[int]
Registers = bytearray
Distinct = Hashes | Registers
"""The hashes themselves, or the registers."""

_BITS = 10
REGISTERS = 1 << _BITS
FEW = REGISTERS // 9
"""So many hashes are kept: as bytes each takes nine."""
_RUN_BITS = 64 - _BITS
_ALPHA = 0.5 / log(2)


def hash_of(value: float | int | str | bytes) -> int:
    """Return 64 bits of BLAKE2. Numbers that are equal have the same; a text may be any.

    So have a text and its bytes, and a number and its digits: a field has values of one type.
    """
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, float) and not value.is_integer():
        value = value.hex().encode()
    elif not isinstance(value, bytes):
        value = b"%d" % value
    return int.from_bytes(blake2b(value, digest_size=8).digest())


def gather(hashes: Iterable[int]) -> Distinct:
    """Return what stands for these hashes."""
    return _compact(set(hashes))


def add(state: Distinct, hashed: int) -> Distinct:
    """Add one hash to a state, which may be changed, and return the state that is to be kept."""
    if isinstance(state, set):
        state.add(hashed)
        return _compact(state) if len(state) > FEW else state
    _register(state, hashed)
    return state


def fold(states: Sequence[Distinct]) -> Distinct:
    """Return the union of states, of which none is changed."""
    hashes: Hashes = set().union(*(each for each in states if isinstance(each, set)))
    dense = [np.frombuffer(each, np.uint8) for each in states if isinstance(each, bytearray)]
    if not dense:
        return _compact(hashes)
    return bytearray(np.maximum.reduce([*dense, _registers(hashes)]))


def estimate(state: Distinct) -> int:
    """Return how many different values there were, about."""
    if isinstance(state, set):
        return len(state)
    counts = np.bincount(np.frombuffer(state, np.uint8), minlength=_RUN_BITS + 2).tolist()
    total = REGISTERS * _tau(1 - counts[_RUN_BITS + 1] / REGISTERS)
    for run in range(_RUN_BITS, 0, -1):
        total = 0.5 * (total + counts[run])
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    return round(_ALPHA * REGISTERS * REGISTERS / total)


def _compact(hashes: Hashes) -> Distinct:
    return hashes if len(hashes) <= FEW else bytearray(_registers(hashes))


def _register(registers: Registers, hashed: int) -> None:
    place = hashed & (REGISTERS - 1)
    run = _RUN_BITS + 1 - (hashed >> _BITS).bit_length()
    registers[place] = max(registers[place], run)


def _registers(hashes: Hashes) -> NDArray[np.uint8]:
    """Return what `_register` makes of many."""
    many = np.fromiter(hashes, np.uint64, len(hashes))
    rest = many >> np.uint64(_BITS)
    # A float holds 53 bits exactly, one less than there are: so the last is counted by itself.
    bits = np.where(rest > 0, np.frexp((rest >> np.uint64(1)).astype(np.float64))[1] + 1, 0)
    registers = np.zeros(REGISTERS, np.uint8)
    places = (many & np.uint64(REGISTERS - 1)).astype(np.intp)
    np.maximum.at(registers, places, (_RUN_BITS + 1 - bits).astype(np.uint8))
    return registers


def _sigma(x: float) -> float:
    if x == 1:
        return inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3
