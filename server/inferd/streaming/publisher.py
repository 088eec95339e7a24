"""The end of the way: results are published in order and in batches, and then acknowledged.

An event is acknowledged after its result and its letters are safe, never before. While a sink does
not take them nothing is lost: they are kept and offered again, and nothing more is read.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NoReturn

from inferd.cache.streams import Delivery, Record, Sink
from inferd.config.stream import Stream as Settings
from inferd.deadline import Clock
from inferd.errors import DependencyFailed, InferdError, TooLarge
from inferd.streaming.ends import Ends
from inferd.streaming.results import Finished, Result, Status, letter_record, result_record
from inferd.streaming.stages import Stages
from inferd.telemetry.streaming import StreamStatistics

log = logging.getLogger(__name__)

FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0
"""Before something that failed is tried again: doubled each time."""

TELL_EVERY_S = 5.0
"""Between lines in the log that say how many letters there were."""


class Publisher:
    """Publishes what is finished. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        stages: Stages,
        ends: Ends,
        statistics: StreamStatistics,
        *,
        clock: Clock,
        wall_clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        """Call `changed` whenever `stuck` may have changed, and when events left one's hands."""
        self._settings = settings
        self._stages = stages
        self._source = ends.source
        self._results, self._letters = ends.results, ends.letters
        self._statistics = statistics
        self._clock, self._wall_clock = clock, wall_clock
        self._changed = changed
        self._outbox: deque[Finished] = deque()
        self._acks: list[Delivery] = []
        #: Letters that the log knows of, by stage and cause.
        self._told: Counter[tuple[str, str]] = Counter()
        #: Publications and acknowledgements that are under way.
        self._under_way = 0
        self._something = asyncio.Event()
        self._something_to_ack = asyncio.Event()
        #: Which ends do not do what they are asked.
        self._failing: set[str] = set()

    @property
    def stuck(self) -> bool:
        """Whether a sink takes nothing, or the source no acknowledgements."""
        return bool(self._failing)

    @property
    def idle(self) -> bool:
        """Whether all that was put here is published and acknowledged."""
        return not (self._outbox or self._acks or self._under_way)

    def put(self, finished: Finished) -> None:
        """Publish this in its turn."""
        self._outbox.append(finished)
        self._something.set()

    async def publish(self) -> NoReturn:
        """Publish what there is, as it comes; until cancelled."""
        while True:
            await self._something.wait()
            self._something.clear()
            while self._outbox:
                most = min(self._settings.batch, len(self._outbox))
                batch = [self._outbox.popleft() for _ in range(most)]
                self._under_way += 1
                await self._publish(batch)
                self._acks += [each.delivery for each in batch]
                self._under_way -= 1
                self._something_to_ack.set()
                self._statistics.in_hand -= len(batch)
                self._changed()

    async def acknowledge(self) -> NoReturn:
        """Acknowledge what was published, as it comes; until cancelled."""
        wait_s = FIRST_WAIT_S
        while True:
            await self._something_to_ack.wait()
            self._something_to_ack.clear()
            acks, self._acks = self._acks, []
            self._under_way += 1
            try:
                await self._source.ack([each.position for each in acks])
                wait_s = FIRST_WAIT_S
                self._say_stuck("source", False)
            except DependencyFailed as error:
                self._note("source", error)
                self._say_stuck("source", True)
                self._acks = acks + self._acks
                self._something_to_ack.set()
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
            finally:
                self._under_way -= 1
            self._changed()

    async def tell_letters(self) -> NoReturn:
        """Log every few seconds how many letters there were, and at the end; until cancelled."""
        try:
            while True:
                await asyncio.sleep(TELL_EVERY_S)
                self._tell_letters()
        finally:
            self._tell_letters()

    def _tell_letters(self) -> None:
        """Say nothing of what is in them: an error's message may quote the event."""
        written = self._statistics.letters.copy()
        for (stage, reason), count in (written - self._told).items():
            log.warning("letters: %d of stage %s, %s", count, stage, reason)
        self._told = written

    async def _publish(self, batch: list[Finished]) -> None:
        records = self._records(batch)
        if records:
            most = self._settings.attempts.publish
            try:
                fresh = await self._taken("results", self._results, records, attempts=most)
            except DependencyFailed as error:
                batch[:] = [self._as_letter(each, error) for each in batch]
            else:
                published = [each for each in batch if each.result is not None]
                for each, is_new in zip(published, fresh, strict=True):
                    self._count(each, is_new=is_new)
        letters = [letter for each in batch for letter in each.letters]
        for letter in letters:
            self._statistics.letters[letter.stage, letter.reason] += 1
        if letters:
            await self._taken("letters", self._letters, [letter_record(each) for each in letters])
        self._statistics.published_sizes.observe(len(batch))

    def _records(self, batch: list[Finished]) -> list[Record]:
        """Return what is to be published of a batch; results that are too large are replaced."""
        records = []
        most = self._settings.max_result_bytes
        for place, each in enumerate(batch):
            if each.result is None:
                continue
            record = result_record(each.result)
            if len(record.body) <= most:
                records.append(record)
                continue
            error = TooLarge(f"the result has {len(record.body)} bytes, at most {most} are sent")
            batch[place] = self._as_letter(each, error)
        return records

    def _as_letter(self, finished: Finished, error: InferdError) -> Finished:
        if finished.result is None:
            return finished
        return self._stages.unpublished(finished, error)

    async def _taken(
        self, name: str, sink: Sink, records: Sequence[Record], *, attempts: int = 0
    ) -> Sequence[bool]:
        """Return what a sink says to records once it takes them; 0 attempts: as many as it needs.

        Raises `DependencyFailed` when it did not take them in so many.
        """
        wait_s, failed = FIRST_WAIT_S, 0
        while True:
            try:
                fresh = await sink.publish(records)
            except DependencyFailed as error:
                failed += 1
                self._note(name, error)
                if failed == attempts:
                    self._say_stuck(name, False)  # it is not waited for
                    raise
                self._say_stuck(name, True)
            else:
                self._say_stuck(name, False)
                return fresh
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _say_stuck(self, name: str, stuck: bool) -> None:
        was = self.stuck
        (self._failing.add if stuck else self._failing.discard)(name)
        if was is not self.stuck:
            log.info("nothing is read while it is so" if stuck else "all is taken again")
            self._changed()

    def _note(self, name: str, error: InferdError) -> None:
        self._statistics.failures[name] += 1
        log.warning("%s: %s", name, error)

    def _count(self, finished: Finished, *, is_new: bool) -> None:
        result, counts = finished.result, self._statistics
        assert isinstance(result, Result)
        if not is_new:
            counts.duplicates += 1
            return
        counts.results[result.event_type, result.status] += 1
        counts.latency.observe(self._clock() - finished.read_at)
        if finished.happened_s is not None:
            counts.event_time_lag.observe(max(0.0, self._wall_clock() - finished.happened_s))
        if result.status is Status.OK:
            bounds = self._settings.routes[result.event_type].bounds
            counts.predicted(result.model, result.version, result.prediction, bounds)
