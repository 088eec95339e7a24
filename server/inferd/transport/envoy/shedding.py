"""Which share of calls Envoy should refuse before Python sees them.

To refuse a call costs Python a good part of what an answer costs, so there is a load beyond
which it does nothing else, and Envoy refuses for a fraction of it. But Envoy does not know which
calls can wait: it draws lots. So it sheds only while the event loop is busier than it should be,
and only so many that the loop goes on refusing some itself: the choice who is served stays with
the scheduler, and a loop that is busy with answers alone is left to it.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from inferd.services.pipeline import Pipeline
from inferd.services.status import Code

#: Between adjustments: Envoy follows within 10 ms, and the queue takes as long again.
TICK_S = 0.05
#: Of the calls that reach Python, those that it should go on refusing itself.
CHOICE = 0.2
#: By how much at a time less is shed again, and more: overload comes faster than it goes.
EASE = 1.15
TIGHTEN = 0.5
#: Envoy never refuses more than this: somebody must find out when it is over.
MOST = 0.98
#: A share that is not worth the trouble.
LEAST = 0.02

#: The event loop is behind when a look at it comes so much later than it should.
BEHIND_S = 0.005

#: Refused for the sake of others.
_REFUSED = Code.UNAVAILABLE.name
#: Out of time. While the loop is not behind, most of them never had enough: nobody's fault.
_EXPIRED = Code.DEADLINE_EXCEEDED.name


class Shedding:
    """The decision. Pure: what was seen since the last look comes in, a share comes out."""

    def __init__(self, busy: float) -> None:
        """Shed while the event loop is busy for more than `busy` of the time, 0 to 1."""
        self._busy = busy
        self._passing = 1.0

    def share(self, *, busy: float, ended: int, lost: int) -> float:
        """Return the share of calls to refuse from now on, 0 to `MOST`.

        `busy` is the part of the time since the last look in which the event loop worked,
        `ended` the calls that ended meanwhile, and `lost` those of them that were refused and
        would not have been on an idle server.
        """
        lost_part = lost / ended if ended else 0.0
        if busy > self._busy and lost_part > CHOICE:
            # As many as would make the loop as busy as it should be, but enough to choose from.
            enough = (1 - lost_part) / (1 - CHOICE)
            self._passing *= max(self._busy / busy, enough, TIGHTEN)
        elif busy < self._busy or lost_part < CHOICE / 2:
            self._passing *= EASE
        self._passing = min(1.0, max(1.0 - MOST, self._passing))
        share = 1.0 - self._passing
        return share if share >= LEAST else 0.0


@asynccontextmanager
async def shedding(
    busy: float, pipeline: Pipeline, shed: Callable[[float], None]
) -> AsyncIterator[None]:
    """Adjust what is shed for as long as the block lasts. `shed` tells Envoy the share."""
    adjusting = asyncio.create_task(_adjust(Shedding(busy), pipeline, shed), name="shedding")
    try:
        yield
    finally:
        adjusting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await adjusting
        shed(0.0)


async def _adjust(decision: Shedding, pipeline: Pipeline, shed: Callable[[float], None]) -> None:
    told = 0.0
    before = time.monotonic(), time.thread_time(), *_counts(pipeline)
    while not pipeline.draining:  # then it says so itself: whoever hears it goes elsewhere
        await asyncio.sleep(TICK_S)
        now = time.monotonic(), time.thread_time(), *_counts(pipeline)
        passed_s, worked_s, ended, lost, expired = (b - a for a, b in zip(before, now, strict=True))
        if passed_s - TICK_S > BEHIND_S:
            lost += expired
        share = decision.share(busy=worked_s / passed_s, ended=int(ended), lost=int(lost))
        if share != told:
            shed(share)
        told, before = share, now
    shed(0.0)


def _counts(pipeline: Pipeline) -> tuple[int, int, int]:
    """Return how many calls have ended; how many were refused, and how many out of time."""
    ended = refused = expired = 0
    for method in pipeline.statistics.methods.values():
        for code, durations in method.by_code.items():
            ended += durations.count
            if code == _REFUSED:
                refused += durations.count
            elif code == _EXPIRED:
                expired += durations.count
    return ended, refused, expired
