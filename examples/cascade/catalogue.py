"""The items, as numbers: made up, but the same in every process."""

import numpy as np
from numpy.typing import NDArray

WIDTH = 16
ITEMS = 1000

Vectors = NDArray[np.float32]


def _unit(vectors: NDArray[np.float64]) -> Vectors:
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)
    return unit


VECTORS: Vectors = _unit(np.random.default_rng(7).normal(size=(ITEMS, WIDTH)))
"""What each item is like, [ITEMS, WIDTH]."""
POPULARITY: Vectors = np.random.default_rng(8).beta(1, 4, size=ITEMS).astype(np.float32)
"""How many people like it, from 0 to 1, [ITEMS]: what is left when no model can be asked."""
NOBODY: Vectors = np.zeros(WIDTH, np.float32)
"""The taste of somebody of whom nothing is known."""


def taste(user_id: str) -> Vectors:
    """Return what a user likes, [WIDTH]; `fill.py` puts it into Redis."""
    seed = int.from_bytes(user_id.encode()[:8].ljust(8, b"\0"), "little")
    return _unit(np.random.default_rng(seed).normal(size=WIDTH))


def key(user_id: str) -> str:
    """Return where a user's taste is in Redis."""
    return f"example:taste:{user_id}"
