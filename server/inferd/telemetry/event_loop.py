"""How late the event loop is: the delay that every call on it suffers, whatever it asked for.

And how busy it is, and how many tasks there are on it: when nobody calls, as many as there were at
the start.
"""

import asyncio
import time

from inferd.telemetry.statistics import Histogram

BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class LoopLag:
    """Asks to be woken at regular times and notes by how much it was late."""

    def __init__(self, *, interval_s: float = 0.25) -> None:
        self.histogram = Histogram(BOUNDS_S)
        #: The part of the last interval in which its thread worked, from 0 to 1.
        self.busy = 0.0
        self._interval_s = interval_s
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def tasks(self) -> int:
        """How many tasks there are on the loop; none before it is sampled."""
        return len(asyncio.all_tasks(self._loop)) if self._loop else 0

    async def sample(self) -> None:
        """Sample until cancelled; whoever starts this task owns it."""
        self._loop = asyncio.get_running_loop()
        clock = self._loop.time
        began, worked = clock(), time.thread_time()
        while True:
            await asyncio.sleep(self._interval_s)
            now, working = clock(), time.thread_time()
            self.histogram.observe(max(0.0, now - began - self._interval_s))
            self.busy = min(1.0, (working - worked) / (now - began))
            began, worked = now, working
