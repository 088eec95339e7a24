"""How much is asked of an endpoint, as a share of what it can serve in full.

It is demand that is measured, not how busy a model is: an endpoint that answers with its small
model because the full one has too much to do would see the full one idle, go back to it, and
swing between the two for ever. What all endpoints share is the event loop, and of that it is known
only how busy it is: so the load is never less than that, and what is left out for it comes back
as soon as there is room.
"""

import math
from collections.abc import Callable

from inferd.call import Criticality

Capacity = Callable[[], float]
"""Returns the calls per second that could be answered in full."""

WINDOW_S = 0.5
"""The time constant of the mean: bursts shorter than this are the queue's business."""

FEELS: dict[str, float] = {
    Criticality.CRITICAL_PLUS: 0.8,
    Criticality.CRITICAL: 1.0,
    Criticality.SHEDDABLE_PLUS: 1.1,
    Criticality.SHEDDABLE: 1.25,
}
"""The load as calls of each criticality feel it: those that can be spared give way first."""


class Demand:
    """Calls per second: an exponentially weighted mean of arrivals. Pure."""

    __slots__ = ("_at", "_count")

    def __init__(self) -> None:
        self._count = 0.0
        self._at = -math.inf

    def arrived(self, now: float) -> float:
        """Count a call, and return the rate before it: nobody is too much on his own."""
        before = self._count * math.exp(-(now - self._at) / WINDOW_S)
        self._count, self._at = before + 1.0, now
        return before / WINDOW_S

    def rate(self, now: float) -> float:
        """Return the rate as of now."""
        return self._count * math.exp(-(now - self._at) / WINDOW_S) / WINDOW_S
