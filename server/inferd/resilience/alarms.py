"""Many points in time and one timer: what ends attempts that take too long.

A timer of the event loop costs more than all that a guard does besides, and almost none of them
ever rings. So those who want to be rung are kept by the millisecond, leave when they are done, and
the loop is asked for a timer only when a millisecond comes before all that somebody waits for.
"""

import asyncio
import math
from heapq import heappop, heappush
from typing import Protocol

from inferd.deadline import Clock

PER_S = 1000
"""The event loop's timers have whole milliseconds, too."""
EARLY_S = 1 / PER_S
"""By up to this much alarms ring too early: an answer that was cut short is not late, too."""


class Alarmed(Protocol):
    """Whoever waits for a point in time. Told apart by identity."""

    def ring(self) -> None:
        """Act: the time has come. Must not raise."""


class Alarms:
    """Rings, up to `EARLY_S` early, those who have not left. Lives on the event loop."""

    __slots__ = ("_clock", "_due", "_order", "_timer", "_timer_at", "loop")

    def __init__(self, clock: Clock) -> None:
        #: Whose it is; known once somebody waits.
        self.loop: asyncio.AbstractEventLoop | None = None
        self._clock = clock
        #: Who waits for each millisecond, and those milliseconds in order.
        self._due: dict[int, set[Alarmed]] = {}
        self._order: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float = math.inf

    def __len__(self) -> int:
        return sum(map(len, self._due.values()))

    def set(self, at: float, whom: Alarmed) -> set[Alarmed]:
        """Have `whom` rung at `at`, in monotonic seconds; it leaves by leaving the result."""
        at_ms = int(at * PER_S)
        due = self._due.get(at_ms)
        if due is None:
            due = self._due[at_ms] = set()
            heappush(self._order, at_ms)
            if at_ms < self._timer_at:
                self._arm(at_ms)
        due.add(whom)
        return due

    def _arm(self, at_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at_ms
        delay_s = max(0.0, at_ms / PER_S - self._clock())
        self.loop = self.loop or asyncio.get_running_loop()
        self._timer = self.loop.call_later(delay_s, self._ring)

    def _ring(self) -> None:
        # If early: act as if it were time, or the loop would spin until then.
        now_ms = max(int(self._clock() * PER_S), self._timer_at)
        self._timer, self._timer_at = None, math.inf
        order, due = self._order, self._due
        while order and (order[0] <= now_ms or not due[order[0]]):
            for whom in tuple(due.pop(heappop(order))):
                whom.ring()
        if order and order[0] < self._timer_at:
            self._arm(order[0])
