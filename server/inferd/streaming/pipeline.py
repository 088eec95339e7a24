"""The pipeline: many users' events at once, each user's in order, and no more than there is room.

Everything goes by the batch that there happens to be: what one command brings is begun at once, so
the model's batcher has company; what is finished meanwhile is published by one command, and
acknowledged by another. When little comes, batches are small and nobody waits for company.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from inferd.cache.streams import ALONE_FROM, Delivery
from inferd.config.stream import Stream as Settings
from inferd.deadline import Clock
from inferd.errors import DependencyFailed
from inferd.streaming.ends import Ends
from inferd.streaming.lanes import Lanes
from inferd.streaming.publisher import FIRST_WAIT_S, LONGEST_WAIT_S, Publisher
from inferd.streaming.results import Finished
from inferd.streaming.stages import Stages, Taken
from inferd.telemetry.streaming import StreamStatistics

log = logging.getLogger(__name__)

LAG_EVERY_S = 1.0
"""Between questions how many events wait."""
LEAST_PART = 0.25
"""Of a batch: while there is room for less, nothing is read, or commands would be for a few."""


class Pipeline:
    """Takes events from a source to their results. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        stages: Stages,
        ends: Ends,
        statistics: StreamStatistics,
        *,
        clock: Clock,
        wall_clock: Clock,
    ) -> None:
        """Close none of the ends: they are their owner's."""
        self.statistics = statistics
        self._settings = settings
        self._stages = stages
        self._source = ends.source
        self._clock = clock
        self._batch = min(settings.batch, settings.max_in_hand)
        self._lanes: Lanes[Taken] = Lanes()
        self._publisher = Publisher(
            settings,
            stages,
            ends,
            statistics,
            clock=clock,
            wall_clock=wall_clock,
            changed=self._look,
        )
        #: Whether something is in hand beside which nothing is begun.
        self._alone = False
        #: Set while something may be read, and once nothing is to be read any more.
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._stopping = asyncio.Event()
        #: Set while nothing is in hand.
        self._empty = asyncio.Event()

    def pause(self) -> None:
        """Read nothing until `resume`. What is in hand is finished."""
        self.statistics.paused = True
        self._look()

    def resume(self) -> None:
        """Read again."""
        self.statistics.paused = False
        self._look()

    def stop(self) -> None:
        """Read nothing any more; `run` returns when what is in hand is finished."""
        self._stopping.set()
        self._look()

    async def run(self) -> None:
        """Take events to their results until the source ends or `stop`.

        What is not finished within `drain_s` after that is left unacknowledged.
        """
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(self._publisher.publish(), name="publish"),
                tasks.create_task(self._publisher.acknowledge(), name="acknowledge"),
                tasks.create_task(self._publisher.tell_letters(), name="letters"),
                tasks.create_task(self._watch_lag(), name="lag"),
                tasks.create_task(self._keep(), name="keep"),
            ]
            try:
                async with asyncio.TaskGroup() as lanes:
                    await self._read(lanes)
                    await self._drain()
            except* _LeftUnfinished:
                log.warning("%d events are left, and come again", self.statistics.in_hand)
            finally:
                for task in background:
                    task.cancel()

    async def _read(self, lanes: asyncio.TaskGroup) -> None:
        wait_s = FIRST_WAIT_S
        while True:
            await self._may_read.wait()
            if self._stopping.is_set():
                return
            try:
                deliveries = await self._source.read(min(self._batch, self._room))
            except DependencyFailed as error:
                self.statistics.failures["source"] += 1
                log.warning("source: %s", error)
                await self._pause_for(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                continue
            if deliveries is None:
                log.info("the source has ended")
                return
            wait_s = FIRST_WAIT_S
            self._begin(deliveries, lanes)

    def _begin(self, deliveries: Sequence[Delivery], lanes: asyncio.TaskGroup) -> None:
        if not deliveries:
            return
        now, counts = self._clock(), self.statistics
        counts.in_hand += len(deliveries)
        counts.read_sizes.observe(len(deliveries))
        self._alone |= any(each.delivered >= ALONE_FROM for each in deliveries)
        for delivery in deliveries:
            counts.redelivered += delivery.delivered > 1
            taken = self._stages.take(delivery, now)
            if isinstance(taken, Finished):
                self._publisher.put(taken)
                continue
            # An event of nobody waits for nobody.
            key = taken.event.user_id or f"\0{delivery.position}"
            if self._lanes.enter(key, taken):
                lanes.create_task(self._work(key, taken))
        self._look()

    async def _work(self, key: str, first: Taken) -> None:
        """Handle the events of one key, for as long as there are any."""
        taken: Taken | None = first
        while taken is not None:
            self._publisher.put(await self._stages.handle(taken))
            taken = self._lanes.leave(key)

    @property
    def _room(self) -> int:
        return self._settings.max_in_hand - self.statistics.in_hand

    def _look(self) -> None:
        """See whether something may be read, and whether anything is in hand."""
        counts = self.statistics
        self._alone = self._alone and counts.in_hand > 0
        held_up = counts.paused or self._alone or self._publisher.stuck
        has_room = self._room >= self._batch * LEAST_PART
        _put(self._may_read, self._stopping.is_set() or (has_room and not held_up))
        _put(self._empty, counts.in_hand == 0 and self._publisher.idle)

    async def _drain(self) -> None:
        self._look()
        try:
            async with asyncio.timeout(self._settings.drain_s):
                await self._empty.wait()
        except TimeoutError:
            raise _LeftUnfinished from None  # which ends those that are being worked on

    async def _pause_for(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _watch_lag(self) -> None:
        while True:
            try:
                self.statistics.lag = await self._source.lag()
            except DependencyFailed:
                self.statistics.lag = None
            await asyncio.sleep(LAG_EVERY_S)

    async def _keep(self) -> None:
        """Keep what is in hand from being taken over, also while nothing is read."""
        every_s = self._settings.source.claim_idle_s / 3
        while True:
            await asyncio.sleep(every_s)
            try:
                await self._source.keep()
            except DependencyFailed:
                self.statistics.failures["source"] += 1


class _LeftUnfinished(Exception):
    """There was no time for what was in hand."""


def _put(event: asyncio.Event, value: bool) -> None:
    if value:
        event.set()
    else:
        event.clear()
