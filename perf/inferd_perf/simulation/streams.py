"""One stream of random numbers per purpose, so that one purpose does not disturb another.

Philox is counter-based (Salmon et al. 2011): streams with different keys are independent. All
policies meet the same arrivals, and the n-th run on an executor meets the same noise whatever
was run before: common random numbers, which make small differences between policies visible.
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What random numbers are for. The values are part of every golden decision log."""

    ARRIVALS = 1
    DEADLINES = 2
    ROWS = 3
    NOISE = 4
    STALLS = 5
    CRITICALITY = 6
    CALLERS = 7
    FAULTS = 8
    KEYS = 9
    WARM_UP = 10
    DOOR = 11


def stream(seed: int, purpose: Purpose, index: int = 0) -> np.random.Generator:
    """Return the stream of a purpose; `index` tells executors apart, for example."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, purpose, index))))
