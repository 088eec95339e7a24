"""What goes together: of each item the few others that the same people had to do with.

Of each item only so many neighbours are remembered. Who comes when there is no room takes the place
of the weakest, and its weight (Space-Saving; Metwally, Agrawal, El Abbadi, 2005): so whoever comes
often gets in, however many there are that come once, and no weight is too small.

All weights of an item fade together, each time one of them changes.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.columns import Ints

Floats = npt.NDArray[np.float32]

#: How much more there must be than chance brings; in visits.
_SHRINK: Final = 2.0


class Near(NamedTuple):
    """What goes together with items. No slot is there twice, and they ascend."""

    slots: Ints
    strength: Floats


class CoVisits:
    """The neighbours of slots: 1, 2, ...; 0 is nobody. Lives on the event loop."""

    def __init__(self, capacity: int, width: int, half_life_us: float) -> None:
        """Take space for so many items, with so many neighbours each."""
        self.half_life_us = half_life_us
        #: [n, width]; 0: none.
        self.neighbours = np.zeros((capacity, width), np.int32)
        self.weights = np.zeros((capacity, width), np.float32)
        #: [n]: the sum of all weights there ever were.
        self.mass = np.zeros(capacity, np.float32)
        #: [n]: when they were what they say.
        self.updated_us = np.zeros(capacity, np.int64)

    def add(self, slot: int, other: int, weight: float, at_us: int) -> None:
        """Say that `other` went together with `slot`; which says nothing of the reverse."""
        weights = self.weights[slot]
        weight = self._faded(slot, weight, at_us)
        self.mass[slot] += weight
        found = np.flatnonzero(self.neighbours[slot] == other)
        if len(found):
            weights[found[0]] += weight
        else:
            weakest = int(weights.argmin())
            self.neighbours[slot, weakest] = other
            weights[weakest] += weight

    def near(self, slots: Ints, shares: Floats, now_us: int) -> Near:
        """Return what goes together with any of these slots, each of which counts its share.

        The strength is a sum of cosines: what two have in common, by the geometric mean of what
        each has, which is shrunk where both have little.
        """
        others = self.neighbours[slots]
        fade = self._fade(slots, now_us)
        own = self.mass[slots] * fade
        unique, where = np.unique(others, return_inverse=True)
        theirs = (self.mass[unique] * self._fade(unique, now_us))[where.reshape(others.shape)]
        # Who took another's place has its weight, too; more than all that it has it has not.
        common = np.minimum(self.weights[slots] * fade[:, None], theirs)
        norm = np.sqrt((own[:, None] + _SHRINK) * (theirs + _SHRINK))
        cosines = common / norm * shares[:, None]
        strength = np.bincount(where.ravel(), cosines.ravel(), minlength=len(unique))
        there = unique > 0
        return Near(unique[there].astype(np.int64), strength[there].astype(np.float32))

    def _fade(self, slots: npt.NDArray[np.integer[Any]], now_us: int) -> Floats:
        """Return what is left of weights, float32 [k]."""
        age_us = np.maximum(now_us - self.updated_us[slots], 0)
        fade: Floats = np.exp2(-age_us / self.half_life_us).astype(np.float32)
        return fade

    def _faded(self, slot: int, weight: float, at_us: int) -> float:
        """Let a slot fade until then; return what the weight is worth when it has."""
        age_us = at_us - int(self.updated_us[slot])
        if age_us < 0:  # it comes late
            return float(weight * 2.0 ** (age_us / self.half_life_us))
        fade = 2.0 ** (-age_us / self.half_life_us)
        self.weights[slot] *= fade
        self.mass[slot] *= fade
        self.updated_us[slot] = at_us
        return weight
