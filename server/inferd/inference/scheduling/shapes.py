"""How much longer requests of one shape take than those of another.

Rows are of one length where nothing else is known. Where a model takes several shapes (the
`key` of a ticket), what a batch takes depends on both, and one factor for each shape says enough:
twice the length takes about twice as long, whatever the batch size.
"""

import math
from collections import OrderedDict
from collections.abc import Hashable

#: The weight of the last run, and the runs after which a shape is known.
FORGETTING = 0.25
ENOUGH = 4
#: Shapes that are remembered: callers choose them, and may choose any number.
MOST = 256


class Shapes:
    """Factors by shape, learnt; a shape that is not known takes as long as any."""

    __slots__ = ("_known", "longest")

    def __init__(self) -> None:
        #: By shape, the logarithm of its factor, and its runs.
        self._known: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()
        #: The largest factor, at least 1.
        self.longest = 1.0

    def factor(self, shape: Hashable) -> float:
        """Return how many times as long a run of this shape takes."""
        known = self._known.get(shape)
        return math.exp(known[0]) if known else 1.0

    def learnt(self, shape: Hashable) -> bool:
        """Whether what is off about a run of this shape is not for lack of experience."""
        return shape is None or self._known.get(shape, (0.0, 0))[1] >= ENOUGH

    def note(self, shape: Hashable, off: float) -> None:
        """Learn from a run that took `off` times what was expected of its rows alone."""
        before, runs = self._known.pop(shape, (0.0, 0))
        weight = max(FORGETTING, 1.0 / (runs + 1))
        self._known[shape] = before + weight * (math.log(off) - before), runs + 1
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        self.longest = math.exp(max(0.0, *(factor for factor, _ in self._known.values())))
