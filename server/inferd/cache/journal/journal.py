"""The journal as the event loop sees it: `append`, and it is safe.

One thread writes. It takes all that waits, writes it as one group and has the disk told once, so
many callers share what one would have to wait for anyway. Nobody is told before what the settings
ask for has happened, and everybody of a group that failed is told that.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import NamedTuple

from inferd.cache.journal.chain import Entry, Link, Record, key_of
from inferd.cache.journal.files import Spot
from inferd.cache.journal.latest import Latest
from inferd.cache.journal.verification import Verdict, found, recorded_at, verify
from inferd.cache.journal.writer import US, Before, Writer
from inferd.config.journal import Journal as Settings
from inferd.deadline import Clock
from inferd.errors import DependencyFailed, InferdError, Saturated
from inferd.telemetry.statistics import Histogram

MOST_JOBS = 500
"""In one group."""
TEND_S = 60.0
"""How often it is looked whether files have lived their time."""
GROUP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
DURATIONS_S = (0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0)
"""Bounds, for what a group takes."""

log = logging.getLogger(__name__)


class Statistics:
    """What a journal counts."""

    def __init__(self) -> None:
        #: Records that are safe, and those that could not be written.
        self.written = self.failed = 0
        #: Records that nobody waits for because they were there before.
        self.repeated = 0
        #: Failures to tell the disk of what was acknowledged already; `fsync` interval.
        self.sync_failures = 0
        #: Bytes of the chain since the start.
        self.bytes = 0
        #: Records written together, and the seconds that took.
        self.groups = Histogram(GROUP_SIZES)
        self.seconds = Histogram(DURATIONS_S)


class _Job(NamedTuple):
    entry: Entry
    key: bytes
    done: "asyncio.Future[int]"


class Journal:
    """One chain, which nobody else writes. Made and used on one event loop."""

    def __init__(self, settings: Settings, *, wall_clock: Clock) -> None:
        """Open the chain, or begin one. Raises `OSError`."""
        self._settings = settings
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()
        self.statistics = Statistics()
        #: Of records that are not to be written again: what waits for them; their numbers once they
        #: are safe.
        self._known: Latest[bytes, asyncio.Future[int] | int] = Latest(settings.remember)
        #: By id: where the last record of each is.
        self._spots: Latest[str, Spot] = Latest(settings.remember)
        #: Records that are not safe yet.
        self.waiting = 0
        self._writer = Writer(settings, now_us=self._now_us(), known=self._recognize)
        #: The last record that is safe.
        self.head = self._writer.link
        self._unsynced_since: float | None = None
        self._closed = self._fails = False
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    async def append(self, entry: Entry, *, once: bool = False) -> int:
        """Return the number of a record when it is safe, as `fsync` says.

        Whoever leaves earlier leaves it open whether it is written. `once`: if the same was
        recorded before, of late, that is waited for instead.

        Raises `DependencyFailed` if it cannot be written, `Saturated` if too many wait.
        """
        if once:
            return await self.begin(entry)
        return await asyncio.shield(self._put(entry, key_of(entry)))

    def begin(self, entry: Entry) -> "asyncio.Future[int]":
        """Have a record written, unless it was of late; return what waits for its number.

        Whoever gives that up takes nothing from others, and the record is written all the same.
        Raises as `append`: what is told at once, at once.
        """
        key = key_of(entry)
        known = self._known.get(key)
        if known is not None:
            self.statistics.repeated += 1
        else:
            known = self._put(entry, key)
            self._known.put(key, known)
        if isinstance(known, int):
            done: asyncio.Future[int] = self._loop.create_future()
            done.set_result(known)
            return done
        shielded = asyncio.shield(known)
        shielded.add_done_callback(_heard)
        return shielded

    def knows(self, id: str) -> bool:
        """Return whether there is a record of an id in this chain, of late."""
        return self._spots.get(id) is not None

    async def last(self, id: str) -> Record | None:
        """Return the last record of an id in this chain; None: there is none of late.

        Raises `DependencyFailed`.
        """
        spot = self._spots.get(id)
        if spot is None:
            return None
        settings = self._settings
        return await asyncio.to_thread(recorded_at, settings.path, settings.server, spot, id)

    async def find(self, id: str) -> Sequence[Record]:
        """Return the records of an id, of all servers that share the directory.

        Raises `DependencyFailed`.
        """
        return await asyncio.to_thread(found, self._settings.path, id)

    async def verify(self, *, expected: Link | None = None) -> Verdict:
        """Check the whole chain. Raises `OSError`."""
        return await asyncio.to_thread(
            verify, self._settings.path, self._settings.server, expected=expected
        )

    async def close(self) -> None:
        """Write what waits, and let go of the files."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.sleep(0)  # whoever waits hears of it first

    def _put(self, entry: Entry, key: bytes) -> "asyncio.Future[int]":
        if self._closed:
            raise DependencyFailed("the journal is closed")
        if self.waiting >= self._settings.max_waiting:
            raise Saturated(f"{self.waiting} records wait to be written to the journal")
        done = self._loop.create_future()
        done.add_done_callback(_heard)
        self.waiting += 1
        self._jobs.put(_Job(entry, key, done))
        return done

    def _recognize(self, it: Before) -> None:
        self._known.put(it.key, it.seq)
        self._spots.put(it.id, it.spot)

    def _now_us(self) -> int:
        return round(self._wall_clock() * US)

    # What follows runs in the thread, except for what it has the loop call.

    def _work(self) -> None:
        tend_at = time.monotonic()
        while True:
            jobs, last = self._take(tend_at)
            if jobs:
                self._write(jobs)
            if last:
                break
            self._sync_if_due()
            if time.monotonic() >= tend_at:
                self._attempt(lambda: self._writer.tend(self._now_us()))
                tend_at = time.monotonic() + TEND_S
        self._attempt(self._writer.close)

    def _take(self, until: float) -> tuple[list[_Job], bool]:
        """Wait for work, and return what there is; and whether nothing follows."""
        if self._unsynced_since is not None:
            until = min(until, self._unsynced_since + self._settings.interval_ms / 1000)
        jobs = list[_Job]()
        try:
            job = self._jobs.get(timeout=max(0.0, until - time.monotonic()))
            while job is not None:
                jobs.append(job)
                if len(jobs) == MOST_JOBS:
                    return jobs, False
                job = self._jobs.get_nowait()
        except Empty:
            return jobs, False
        return jobs, True

    def _write(self, jobs: Sequence[_Job]) -> None:
        began = time.monotonic()
        fsync = self._settings.fsync
        became: Sequence[Spot] | DependencyFailed
        try:
            entries = [job.entry for job in jobs]
            became = self._writer.write(entries, self._now_us(), sync=fsync == "always")
        except Exception as error:
            # Nothing of the group is there. Who comes next may have more luck.
            why = error.strerror if isinstance(error, OSError) else str(error)
            became = DependencyFailed(f"the journal cannot be written: {why}")
            if not self._fails:
                log.warning("%s; records are missing from now on", became)
            self._fails = True
        else:
            if self._fails:
                log.warning("the journal can be written again")
            self._fails = False
            if fsync == "interval" and self._unsynced_since is None:
                self._unsynced_since = began
        link, size = self._writer.link, self._writer.bytes
        seconds = time.monotonic() - began
        self._tell(lambda: self._settle(jobs, became, link, size, seconds))

    def _sync_if_due(self) -> None:
        since = self._unsynced_since
        if since is None or time.monotonic() < since + self._settings.interval_ms / 1000:
            return
        self._unsynced_since = None
        if not self._attempt(self._writer.sync):
            self._tell(self._sync_failed)

    def _attempt(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except (OSError, InferdError) as error:
            log.warning("journal %s: %s", self._settings.server, error)
            return False
        return True

    def _tell(self, news: Callable[[], None]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(news)

    def _sync_failed(self) -> None:
        self.statistics.sync_failures += 1

    def _settle(
        self,
        jobs: Sequence[_Job],
        became: Sequence[Spot] | DependencyFailed,
        link: Link,
        size: int,
        seconds: float,
    ) -> None:
        """Tell those who wait; on the loop."""
        counts = self.statistics
        self.waiting -= len(jobs)
        self.head, counts.bytes = link, size
        counts.groups.observe(len(jobs))
        counts.seconds.observe(seconds)
        if isinstance(became, DependencyFailed):
            counts.failed += len(jobs)
            for _, key, done in jobs:
                self._known.change(key, done, None)  # it may be tried again
                if not done.done():
                    done.set_exception(DependencyFailed(str(became)))
            return
        counts.written += len(jobs)
        first = link.seq - len(jobs) + 1
        for seq, ((entry, key, done), spot) in enumerate(zip(jobs, became, strict=True), first):
            self._known.change(key, done, seq)
            self._spots.put(entry.id, spot)
            if not done.done():
                done.set_result(seq)


def _heard(done: "asyncio.Future[int]") -> None:
    """Have nobody complain where nobody waits any more."""
    if not done.cancelled():
        done.exception()
