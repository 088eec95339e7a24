"""A simulated event loop, with asyncio's turns, on a clock of whole nanoseconds.

A turn takes in what has happened by its beginning and does one thing after the other, each
for as long as it works; what comes up meanwhile waits for the next turn. Between turns the
clock jumps to the next event.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

NEVER = 1 << 62

Act = Callable[[Any], None]
"""Something to do, with what it is about."""


class Loop:
    """Does things in order. `now` is its clock."""

    __slots__ = ("_events", "_order", "_ready", "busy_ns", "now")

    def __init__(self) -> None:
        self.now = 0
        #: How long it has worked.
        self.busy_ns = 0
        #: What this turn has to do, and the next.
        self._ready: deque[tuple[Act, Any]] = deque()
        #: What happens outside of the loop: when, in which order, what.
        self._events: list[tuple[int, int, Act, Any]] = []
        self._order = 0

    def soon(self, act: Act, what: Any = None) -> None:
        """Do something in the next turn."""
        self._ready.append((act, what))

    def at(self, at_ns: int, act: Act, what: Any = None) -> None:
        """Do something in the first turn that begins at `at_ns` or later."""
        self._order += 1
        heapq.heappush(self._events, (at_ns, self._order, act, what))

    def work(self, ns: int) -> None:
        """Keep the loop busy."""
        self.now += ns
        self.busy_ns += ns

    def run(self, arrivals: Sequence[int], arrive: Act) -> None:
        """Run until nothing is left to do. `arrive` is told the index of each arrival in time.

        `arrivals` ascend; of an arrival and an event at the same time, the arrival comes first.
        """
        times = [*arrivals, NEVER]
        ready, events = self._ready, self._events
        at = 0
        while True:
            if not ready:
                upcoming = min(times[at], events[0][0] if events else NEVER)
                if upcoming == NEVER:
                    return
                self.now = max(self.now, upcoming)
            at = self._poll(times, at, arrive)
            for _ in range(len(ready)):
                act, what = ready.popleft()
                act(what)

    def _poll(self, times: Sequence[int], at: int, arrive: Act) -> int:
        """Take in what has happened by now, in order; return the next arrival's index."""
        now, events, ready = self.now, self._events, self._ready
        while True:
            arrival = times[at]
            if events and events[0][0] < arrival:
                if events[0][0] > now:
                    return at
                _time, _order, act, what = heapq.heappop(events)
                ready.append((act, what))
            elif arrival <= now:
                ready.append((arrive, at))
                at += 1
            else:
                return at
