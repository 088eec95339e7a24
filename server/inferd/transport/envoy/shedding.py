"""Having Envoy refuse calls while the event loop cannot keep up: the task that goes on deciding.

`shares` has the decision. What it needs to know is counted here: what the event loop does with
its time, how calls end, and of which classes they come.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from inferd.call import Criticality, Value
from inferd.services.pipeline import Pipeline
from inferd.services.status import Code
from inferd.transport.envoy.shares import NOTHING, Shares, Shedding

#: Between adjustments: Envoy follows at once, and the queue takes some 10 ms.
TICK_S = 0.05

#: The event loop is behind when a look at it comes so much later than it should.
BEHIND_S = 0.005

#: Refused for the sake of others.
_REFUSED = Code.UNAVAILABLE.name
#: Out of time. While the loop is not behind, most of them never had enough: nobody's fault.
_EXPIRED = Code.DEADLINE_EXCEEDED.name


class Arrivals:
    """Counts the calls that say how critical they are. Most do not, and cost nothing here."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(Criticality, 0)

    def note(self, said: Value) -> None:
        """Count one call by what it says, if that is a class."""
        name = str(said).upper()
        if name in self._counts:
            self._counts[Criticality(name)] += 1

    def take(self) -> dict[Criticality, int]:
        """Return what has come since this was last asked."""
        counts, self._counts = self._counts, dict.fromkeys(Criticality, 0)
        return counts


@asynccontextmanager
async def shedding(
    busy: float, pipeline: Pipeline, arrivals: Arrivals, shed: Callable[[Shares], None]
) -> AsyncIterator[None]:
    """Adjust what is shed for as long as the block lasts. `shed` tells Envoy the shares."""
    adjust = _adjust(Shedding(busy), pipeline, arrivals, shed)
    adjusting = asyncio.create_task(adjust, name="shedding")
    try:
        yield
    finally:
        adjusting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await adjusting
        shed(NOTHING)


async def _adjust(
    decision: Shedding, pipeline: Pipeline, arrivals: Arrivals, shed: Callable[[Shares], None]
) -> None:
    told = NOTHING
    before = time.monotonic(), time.thread_time(), *_counts(pipeline)
    while not pipeline.draining:  # then it says so itself: whoever hears it goes elsewhere
        await asyncio.sleep(TICK_S)
        now = time.monotonic(), time.thread_time(), *_counts(pipeline)
        passed_s, worked_s, ended, lost, expired = (b - a for a, b in zip(before, now, strict=True))
        if passed_s - TICK_S > BEHIND_S:
            lost += expired
        shares = decision.shares(
            busy=worked_s / passed_s, ended=int(ended), lost=int(lost), named=arrivals.take()
        )
        if shares != told:
            shed(shares)
        told, before = shares, now
    shed(NOTHING)


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
