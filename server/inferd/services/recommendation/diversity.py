"""A list of things that differ: maximal marginal relevance (Carbonell and Goldstein 1998).

Each next item is the one that is worth most, less for being like what is in the list already:
(1 - w) * worth - w * likeness, where likeness is the cosine to the nearest item of the list. It is
kept up as the list grows, so a step is one product of the vectors with the last item's.
"""

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.columns import Mask
from inferd.services.recommendation.items import Vectors

Floats = npt.NDArray[np.float64]


class Diversity:
    """Chooses one item after the other. Of equals the first is chosen."""

    def __init__(self, vectors: Vectors, worth: Floats, weight: float) -> None:
        """`vectors` are float32 [k, d] of length 1 or 0, `worth` float64 [k] from 0 to 1."""
        self._vectors, self._weight = vectors, weight
        self._worth = (1.0 - weight) * worth
        self._value = self._worth
        self._nearest: Vectors | None = None

    def best(self, among: Mask) -> int:
        """Return the best of those that may be, of which there is one."""
        return int(np.where(among, self._value, -np.inf).argmax())

    def took(self, place: int) -> None:
        """Have one be in the list."""
        if not self._weight:
            return
        likeness = self._vectors @ self._vectors[place]
        # What is unlike everything gains nothing by being opposite to it.
        nearest = 0.0 if self._nearest is None else self._nearest
        self._nearest = np.maximum(likeness, nearest)
        self._value = self._worth - self._weight * self._nearest
