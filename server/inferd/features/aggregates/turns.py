"""Writes events in turns: what comes while one is under way goes into the next.

The events of one entity are added to its state together, and all states of a turn are written in
one command. If the store says that a state was built on what is not there any more, another server
was faster, or an earlier attempt of ours went through after all. Then the blob is read, and the
events are added to that one. They may be in it already; a state knows the ids of its last events.
So nothing is counted twice or lost, whatever fails in between.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from inferd.cache.blobs import Blobs, Entry, Written
from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, Draining
from inferd.features.aggregates.backlog import Backlog, Job, Recorded
from inferd.features.aggregates.states import Base, States
from inferd.features.definitions import US
from inferd.features.windows import Added, State
from inferd.resilience.dependency import Dependency

BACKOFF_S = 0.0005
"""The longest wait after another was faster; after each further time it is twice as long."""
MOST_DOUBLED = 5
"""So many times."""
MOST_ATTEMPTS = 50
"""Then something is wrong with the store: of those who try at once, one always gets through."""

METHOD = "/inferd.features/record"
"""What the guard is told: a turn is made for many calls."""

_RECORDED = {
    Added.ADDED: Recorded.ADDED,
    Added.DUPLICATE: Recorded.DUPLICATE,
    Added.TOO_OLD: Recorded.TOO_OLD,
}

Turn = Mapping[str, Sequence[Job]]
"""Work by key, at least one piece each."""


class _Draft(NamedTuple):
    """A state with more events, to be written."""

    state: State
    entry: Entry
    jobs: Sequence[Job]
    results: Sequence[Recorded]


class Turns:
    """Works off a backlog as long as there is one. Lives on the event loop."""

    def __init__(
        self,
        backlog: Backlog,
        states: States,
        blobs: Blobs,
        *,
        guard: Dependency,
        wall_clock: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        self._backlog = backlog
        self._states = states
        self._blobs = blobs
        self._clock = guard.clock
        self._wall_clock = wall_clock
        self._random = random
        self._worker: asyncio.Task[None] | None = None
        #: Set when there is something to do before what is to be tried again.
        self._came = asyncio.Event()
        #: How often a state had to be read again because another server was faster.
        self.conflicts = 0
        # Read for the sake of a write, so that slow writes are not taken for slow reads.
        self._guarded_get = guard.guards(self._get)
        self._guarded_put = guard.guards(self._put)

    def begin(self) -> None:
        """Begin to work on what has come; what is tried again later does not hold it up."""
        self._came.set()
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name="aggregates")

    async def close(self) -> None:
        """Give up what is under way, and tell whoever still waits."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
            self._worker = None  # it may have had no time to begin
        self._backlog.fail(_draining())

    async def _work(self) -> None:
        backlog = self._backlog
        try:
            while backlog:
                now = self._clock()
                turn = backlog.take(now)
                if turn:
                    await self._take(turn)
                    await asyncio.sleep(0)  # a store in memory does not wait for anything
                elif backlog:
                    self._came.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(backlog.wake_at - now):
                            await self._came.wait()
        finally:
            self._worker = None

    async def _take(self, turn: Turn) -> None:
        """Have everybody in a turn told what became of it, except those who are tried again."""
        jobs = [job for each in turn.values() for job in each]
        call = Call(METHOD, arrived=self._clock())
        deadline = max(job.caller.deadline for job in jobs)
        try:
            bases = await self._bases(call, deadline, turn)
            drafts = self._drafts(turn, bases)
            if drafts:
                entries = [each.entry for each in drafts]
                written = await self._guarded_put(call, deadline, entries)
                for draft, result in zip(drafts, written, strict=True):
                    self._settle(draft, result)
        except asyncio.CancelledError:
            _fail(jobs, _draining())
            raise
        except Exception as error:
            _fail(jobs, error)

    async def _bases(self, call: Call, deadline: Deadline, turn: Turn) -> dict[str, Base]:
        """Return what the events are added to; whose state cannot be read is told so."""
        bases, unknown = {}, []
        now_us = self._now_us()
        for key, jobs in turn.items():
            base = self._states.take(jobs[0].share.of, key, now_us)
            if base is None:
                unknown.append(key)
            else:
                bases[key] = base
        if unknown:
            try:
                blobs = await self._guarded_get(call, deadline, unknown)
            except Exception as error:
                _fail([job for key in unknown for job in turn[key]], error)
            else:
                for key, blob in zip(unknown, blobs, strict=True):
                    bases[key] = self._states.base(turn[key][0].share.of, blob)
        return bases

    def _drafts(self, turn: Turn, bases: Mapping[str, Base]) -> list[_Draft]:
        """Add events to states; return those that have changed, and tell the rest."""
        now_us = self._now_us()
        drafts = []
        for key, base in bases.items():
            jobs = turn[key]
            results = [_added(base.state, job, now_us) for job in jobs]
            if Recorded.ADDED in results:
                entry = base.entry(jobs[0].share.of, key)
                drafts.append(_Draft(base.state, entry, jobs, results))
            else:
                _tell(jobs, results)
        return drafts

    def _settle(self, draft: _Draft, result: Written) -> None:
        key, jobs = draft.entry.key, draft.jobs
        if result is Written.STORED:
            self._states.keep(jobs[0].share.of, key, draft.state, draft.entry.blob)
            _tell(jobs, draft.results)
            return
        self.conflicts += 1
        self._states.forget(key)  # a reader may have had it kept meanwhile
        for job in jobs:
            job.attempts += 1
        attempts = max(job.attempts for job in jobs)
        if attempts >= MOST_ATTEMPTS:
            _fail(jobs, DependencyFailed(f"{self._blobs.name} has something else each time"))
            return
        wait_s = BACKOFF_S * 2.0 ** min(attempts - 1, MOST_DOUBLED) * self._random()
        self._backlog.again(jobs, self._clock() + wait_s)

    def _now_us(self) -> int:
        return round(self._wall_clock() * US)

    def _get(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Coroutine[Any, Any, Sequence[bytes | None]]:
        return self._blobs.get(keys)

    def _put(
        self, call: Call, deadline: Deadline, entries: Sequence[Entry]
    ) -> Coroutine[Any, Any, Sequence[Written]]:
        return self._blobs.put(entries)


def _added(state: State, job: Job, now_us: int) -> Recorded:
    event = job.event
    added = state.add(event.event_us, event.event_id, job.share.values, now_us=now_us)
    return _RECORDED[added]


def _tell(jobs: Sequence[Job], results: Sequence[Recorded]) -> None:
    for job, result in zip(jobs, results, strict=True):
        job.caller.settle(job.place, result)


def _fail(jobs: Iterable[Job], error: Exception) -> None:
    for job in jobs:
        job.caller.fail(error)


def _draining() -> Draining:
    return Draining("events are not recorded any more")
