"""Refresh-ahead: what is asked for all the time is loaded again before it expires.

So nobody waits for it, and it never expires. It costs more than to wait for misses, because
some of it would not have been asked for again; therefore it may take a share of the event loop's
thread and no more, and makes way whenever the server is busy. What is computed in other threads
is not in that share: there, whoever lends them sets the limit.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from inferd.config.precompute import Precompute
from inferd.deadline import Clock
from inferd.features.precompute.agenda import (
    AT_ONCE_S,
    LEAD_SHARE,
    Piece,
    Refreshable,
    Watched,
    agenda,
)
from inferd.features.precompute.share import CpuShare, OwnTime

SHORTEST_S = 0.05
"""Between two looks at what is due, however short entries live."""
LEAST_WAIT_S = 0.001
"""What an event loop's timer can tell."""

SHARE, BUSY = "share", "busy"
"""Why entries were not refreshed in time."""

Load = TypeVar("Load")

log = logging.getLogger(__name__)


class Refreshes:
    """Counts of cache entries since the start."""

    def __init__(self) -> None:
        self.refreshed = 0
        #: Refreshes that failed. They are tried again until the entry's end.
        self.failed = 0
        #: Entries that were due and ended first, by the reason.
        self.skipped: Counter[str] = Counter({SHARE: 0, BUSY: 0})
        #: What all of it took of the thread, in seconds.
        self.cpu_s = 0.0


class RefreshAhead:
    """Refreshes the hottest entries of caches. Lives on the event loop."""

    def __init__(
        self,
        settings: Precompute,
        *,
        busy: Callable[[], float],
        clock: Clock = time.monotonic,
        thread_clock: Clock = time.thread_time,
    ) -> None:
        """`busy` says which part of its time the thread works, from 0 to 1.

        `clock` is that of the caches, `thread_clock` says for how long this thread has worked.
        """
        self._settings = settings
        self._busy = busy
        self._clock = clock
        self._thread_clock = thread_clock
        self._caches: list[Watched] = []
        self._interval_s = settings.interval_s
        self._share = CpuShare(settings.max_cpu_share, burst_s=2 * AT_ONCE_S, now=clock())
        self._own_time = OwnTime()
        #: Since when others have had the thread, and what it had worked by then.
        self._idle_since = (clock(), thread_clock())
        #: When those entries end that were due and are not refreshed, and why they are not.
        self._left: Sequence[float] = ()
        self._left_because = SHARE
        self.statistics = Refreshes()

    @property
    def tracked(self) -> int:
        """How many keys have a counter."""
        return sum(len(each.hot) for each in self._caches)

    def watch(self, cache: Refreshable[Load], load: Load, *, ttl_s: float) -> Callable[[str], None]:
        """Refresh the hot entries of a cache, in which they live for `ttl_s`, with `load`.

        Returns what is to be told every key that is asked for, be it there or not.
        """
        settings = self._settings
        lead_s = min(settings.lead_s, ttl_s * LEAD_SHARE)
        self._interval_s = max(SHORTEST_S, min(self._interval_s, lead_s / 2))
        watched = Watched(
            cache.expires_at,
            lambda keys: cache.refresh(keys, load),
            tracked=settings.tracked,
            lead_s=lead_s,
            half_life_s=settings.half_life_s,
            now=self._clock(),
        )
        self._caches.append(watched)
        return watched.hot.add

    async def run(self) -> None:
        """Refresh until cancelled; whoever starts this task owns it.

        With no cache to watch there is nothing to do, and it ends at once.
        """
        self._idle_since = self._clock(), self._thread_clock()
        while self._caches:
            until = self._clock() + self._interval_s
            await self._round(until)
            await asyncio.sleep(max(LEAST_WAIT_S, until - self._clock()))

    async def _round(self, until: float) -> None:
        """Refresh what is due, as far as that is possible before `until`."""
        pieces = deque(self._look())
        because = SHARE
        while pieces and (now := self._clock()) < until:
            if self._busy() > self._settings.max_busy:
                because = BUSY
                break
            wait_s = self._share.wait_s(pieces[0].cost_s, now)
            if wait_s > 0:
                await asyncio.sleep(max(LEAST_WAIT_S, min(wait_s, until - now)))
            else:
                await self._refresh(pieces.popleft(), now)
        self._left = [entry.ends for piece in pieces for entry in piece.entries]
        self._left_because = because

    def _look(self) -> list[Piece]:
        began = self._begin()
        now = began[0]
        self._skip(self._left, self._left_because, now)
        # One at a time, for it takes a while.
        any(each.fades(now) for each in self._caches)
        pieces = agenda(self._caches, self._settings.top, now)
        self._end(began)
        return pieces

    async def _refresh(self, piece: Piece, now: float) -> None:
        self._skip((entry.ends for entry in piece.entries), SHARE, now)
        watched = piece.of
        # What others have loaded meanwhile ends at another time.
        ends = {
            entry.key: entry.ends
            for entry in piece.entries
            if entry.ends > now and watched.expires_at(entry.key) == entry.ends
        }
        if not ends:
            return
        keys = failed = [*ends]
        began = self._begin()
        try:
            async with asyncio.timeout(watched.lead_s):
                await watched.refresh(keys)
            # What was loaded and not kept, because it was not whole, is no better than an error.
            failed = [key for key in keys if watched.expires_at(key) in (None, ends[key])]
        except Exception:
            log.debug("%d entries could not be refreshed", len(keys), exc_info=True)
        took_s = self._end(began)
        if len(failed) < len(keys):
            watched.refreshed(keys, took_s)
        watched.failed.update(failed)
        self.statistics.failed += len(failed)
        self.statistics.refreshed += len(keys) - len(failed)

    def _skip(self, ends: Iterable[float], because: str, now: float) -> None:
        self.statistics.skipped[because] += sum(each <= now for each in ends)

    def _begin(self) -> tuple[float, float]:
        """Note what others did since the last `_end`; return the time and the thread's."""
        now, worked = self._clock(), self._thread_clock()
        since, had_worked = self._idle_since
        self._own_time.between(now - since, worked - had_worked)
        return now, worked

    def _end(self, began: tuple[float, float]) -> float:
        """Return what was done since `began`, in seconds of the thread. Count and pay for it."""
        self._idle_since = now, worked = self._clock(), self._thread_clock()
        took_s = self._own_time.of(now - began[0], worked - began[1])
        self._share.spend(took_s, now)
        self.statistics.cpu_s += took_s
        return took_s
