"""Whether calls wait for the event loop: then those that can be spared are not even read.

A call that came late from the transport to the pipeline may only have had a long message. So the
loop is asked, too: whoever can be spared leaves a callback behind, which says how long it had
to wait for its turn. Others cost nothing.
"""

import asyncio
import math

from inferd.deadline import Clock

FRESH_S = 0.05
"""How long it is believed what the last callback said."""


class LagGuard:
    """Knows how late the event loop is, as far as it has been asked. Lives on it."""

    __slots__ = ("_asked_at", "_clock", "_lag_s", "_limit_s", "_told_at")

    def __init__(self, limit_s: float, clock: Clock) -> None:
        """Take `limit_s` of waiting for granted. Zero: take any."""
        self._limit_s = limit_s or math.inf
        self._clock = clock
        #: When a callback was left that has not had its turn; infinity: there is none.
        self._asked_at = math.inf
        #: What the last one said, and when.
        self._lag_s = 0.0
        self._told_at = -math.inf

    def late_s(self, arrived: float, now: float) -> float:
        """Return by how much the loop keeps calls like this one waiting; 0 within the limit.

        `arrived` is when the transport saw the call. Times are monotonic seconds.
        """
        if self._limit_s == math.inf:
            return 0.0
        if self._asked_at == math.inf:
            self._asked_at = now
            asyncio.get_running_loop().call_soon(self._tell)
        lag_s = self._lag_s if now - self._told_at < FRESH_S else 0.0
        late_s = min(now - arrived, max(lag_s, now - self._asked_at))
        return late_s if late_s > self._limit_s else 0.0

    def _tell(self) -> None:
        now = self._clock()
        self._lag_s, self._told_at = now - self._asked_at, now
        self._asked_at = math.inf
