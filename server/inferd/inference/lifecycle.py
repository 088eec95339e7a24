"""One version's way from files to service and out again.

`Lifecycle` carries out what others decide: it loads on threads, hands over at READY, lets
go, evicts to make room and brings back on demand. A version changes hands at READY and not
before: while a new one loads and warms up, and if it fails, the old one serves.

Letting go is never waited for where it need not be: a call that hangs in an old version
must not keep its successor, or any other model, from being loaded. Two locks keep order. A
slot's own is held by whoever loads or retires that version; room is made by one load at a
time, and only from slots whose lock is free, so that no two loads wait for each other.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import partial

from inferd.deadline import Clock
from inferd.errors import LoadFailed
from inferd.inference.assembly import Assembler
from inferd.inference.loading import Loaded, Loader, Source
from inferd.inference.memory import give_back
from inferd.inference.registry import Registry, Slot
from inferd.inference.repository.planner import Key
from inferd.inference.room import NoRoom, Room
from inferd.inference.session_settings import Placement
from inferd.inference.threads import LoadThreads
from inferd.inference.version import ModelVersion, State
from inferd.runtime.session import Session
from inferd.telemetry.statistics import LoadStatistics

log = logging.getLogger(__name__)

Candidates = Callable[[], list[ModelVersion]]
"""Who may be evicted, as things are when it is called."""

#: At the end: how long versions, and loads under way, may take to come to theirs.
END_S = 5.0


class Lifecycle:
    """Loads and unloads versions of the models in a registry. Lives on the event loop."""

    def __init__(
        self,
        registry: Registry,
        loader: Loader,
        assembler: Assembler,
        room: Room,
        statistics: LoadStatistics,
        *,
        threads: LoadThreads,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._assembler = assembler
        self._room = room
        self._statistics = statistics
        self._threads = threads
        self._clock = clock
        self._making_room = asyncio.Lock()
        #: What room was made for and is not done yet: it cannot be evicted, but soon can.
        self._under_way: set[Key] = set()
        self._settled = asyncio.Event()
        self._returning: dict[Key, _Return] = {}
        self._drains: dict[ModelVersion, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Own what is under way, and unload everything at the end."""
        async with asyncio.TaskGroup() as self._tasks:
            try:
                yield
            finally:
                await self._leave()

    async def _leave(self) -> None:
        for returning in self._returning.values():
            returning.task.cancel()
        keys = self._registry.keys()
        await asyncio.gather(*map(self.retire, keys))
        if drains := list(self._drains.values()):
            _, late = await asyncio.wait(drains, timeout=END_S)
            for drain in late:
                log.warning("%s is not over; left behind", drain.get_name())
                drain.cancel()
        await self._threads.ended(END_S)

    @asynccontextmanager
    async def _holding(self, key: Key) -> AsyncIterator[Slot]:
        """Be the only one who loads or retires a version."""
        slot = self._registry.slot(key)
        try:
            async with slot.busy:
                yield slot
        finally:
            self._under_way.discard(key)
            self._settled.set()

    # -- in ----------------------------------------------------------------------------

    async def load(
        self, source: Source, stamp: Hashable, *, may_evict: bool, may_park: bool
    ) -> None:
        """Load a version; its slot says how that went. `stamp` tells its files from others.

        Where there is no room for it, others are evicted if they may be; else it is loaded
        on demand, or, if it may not be parked either, has failed.
        """
        async with self._holding((source.name, source.number)) as slot:
            if slot.version and slot.stamp == stamp:
                return  # somebody else was asked, too
            if slot.evicted and may_park:
                self._park(slot, source, stamp, slot.reason)  # still nobody has asked for it
                return
            # The rest of the model stays: traffic moves when the new version is ready.
            evictable = partial(self._evictable, but=source.name) if may_evict else None
            may_park = may_park and not self._serves(source.name)
            await self._load(slot, source, stamp, evictable, may_park=may_park)

    async def bring_back(self, key: Key) -> ModelVersion | None:
        """Return an evicted version, loaded once for all who wait; None if it cannot be."""
        returning = self._returning.get(key)
        if returning is None:
            returning = self._returning[key] = _Return()
            name = f"load {key[0]}/{key[1]}"
            returning.task = self._tasks.create_task(self._bring_back(key, returning), name=name)
        await returning.over.wait()
        return returning.version

    async def _bring_back(self, key: Key, returning: "_Return") -> None:
        try:
            async with self._holding(key) as slot:
                if slot.evicted and slot.source:
                    await self._load(slot, slot.source, slot.stamp, self._evictable, may_park=True)
                returning.version = slot.version
        except Exception:  # a bug of ours is no reason to stop serving
            log.exception("loading %s/%d", *key)
        finally:
            # Whoever waits is woken in the same turn of the loop as whoever may evict it
            # again: it has what they ask of it before it can be closed.
            returning.over.set()
            del self._returning[key]

    async def _load(
        self,
        slot: Slot,
        source: Source,
        stamp: Hashable,
        evictable: Candidates | None,
        *,
        may_park: bool,
    ) -> None:
        key = source.name, source.number
        try:
            await self._make_room(key, self._loader.memory_of(source), evictable)
            try:
                version = await self._warmed(slot, source)
            finally:
                self._room.release(key)
        except LoadFailed as failure:
            if isinstance(failure, NoRoom) and may_park:
                self._park(slot, source, stamp, f"{failure}; loads on demand")
            else:
                self._note_failure(key, slot, stamp, failure)
            return
        old, slot.version = slot.version, version
        slot.source, slot.stamp, slot.failed_stamp, slot.evicted = source, stamp, None, False
        if old:
            self._let_go(key, slot, old)
        self._enter(slot, State.READY)

    async def _warmed(self, slot: Slot, source: Source) -> ModelVersion:
        """Return a version that can serve, or raise `LoadFailed`."""
        loop, began = asyncio.get_running_loop(), self._clock()
        self._enter(slot, State.LOADING, "reloading" if slot.version else "")

        def warming() -> None:
            loop.call_soon_threadsafe(self._note_warming, slot)

        name = f"load {source.name}/{source.number}"
        try:
            loaded = await self._threads.run(name, partial(self._loader.load, source, warming))
            version = self._assembler.build(
                source,
                loaded,
                another=partial(self._another, source, loaded.without_sessions()),
                changed=self._registry.publish,
            )
        except LoadFailed:
            raise
        except Exception as error:
            log.exception("loading %s/%d", source.name, source.number)
            raise LoadFailed(f"{type(error).__name__} while loading; see the log") from error
        seconds = self._clock() - began
        self._statistics.loaded(source.name, version.version, seconds)
        log.info("%s/%d is ready after %.0f ms", source.name, source.number, seconds * 1000)
        return version

    async def _another(self, source: Source, loaded: Loaded, placement: Placement) -> Session:
        """Return one more session of a loaded version, if there is room for it as things are."""
        name, number, size = source.name, source.number, source.size()
        if self._room.lacking(size, self._resident()) > 0:
            raise NoRoom("repository.max_memory_bytes leaves no room to rebuild an instance")
        self._room.reserve((name, number), size)
        try:
            build = partial(self._loader.another, source, loaded, placement)
            return await self._threads.run(f"rebuild {name}/{number}", build)
        finally:
            self._room.release((name, number))

    def _note_warming(self, slot: Slot) -> None:
        if slot.state is State.LOADING:  # and not already further, or given up
            self._enter(slot, State.WARMING)

    def _note_failure(self, key: Key, slot: Slot, stamp: Hashable, failure: LoadFailed) -> None:
        (name, number), reason = key, str(failure)
        log.error("%s/%d failed to load: %s", name, number, reason)
        self._statistics.load_failed(name, reason)
        slot.failed_stamp, slot.evicted = stamp, False
        # Where there is an old one, it goes on.
        self._enter(slot, State.FAILED, f"reload failed: {reason}" if slot.version else reason)
        self._tidy_up()

    # -- room ----------------------------------------------------------------------------

    async def _make_room(self, key: Key, size: int, evictable: Candidates | None) -> None:
        """Reserve `size` bytes, evicting whoever was not used for longest, or raise `NoRoom`."""
        self._room.require_possible(key[0], size)
        async with self._making_room:
            while (lacking := self._room.lacking(size, self._resident())) > 0:
                self._settled.clear()
                try:
                    candidates = evictable() if evictable else []
                    victims = self._room.victims(key[0], size, lacking, candidates)
                except NoRoom:
                    if evictable is None or not self._under_way:
                        raise
                    await self._settled.wait()  # who is being loaded now may be evicted then
                else:
                    # One at a time: the others may be needed again by the time it is gone.
                    await self._evict(victims[0], key[0])
            self._room.reserve(key, size)
            self._under_way.add(key)

    def _resident(self) -> Iterator[ModelVersion]:
        for _, slot in self._registry.slots():
            yield from slot.leaving
            if slot.version:
                yield slot.version

    def _evictable(self, *, but: str = "") -> list[ModelVersion]:
        return [
            slot.version
            for key, slot in self._registry.slots()
            if slot.version and key[0] != but and not slot.busy.locked()
        ]

    async def _evict(self, version: ModelVersion, name: str) -> None:
        key = version.name, version.number
        slot = self._registry.slot(key)
        async with slot.busy:
            log.info("%s/%d is evicted to make room for %s", *key, name)
            slot.evicted = True
            self._take_out(key, slot, f"evicted to make room for {name}; loads on demand")
            await self.drained([key])

    def _park(self, slot: Slot, source: Source, stamp: Hashable, reason: str) -> None:
        slot.source, slot.stamp, slot.failed_stamp, slot.evicted = source, stamp, None, True
        self._enter(slot, State.UNLOADED, reason)

    def _serves(self, name: str) -> bool:
        return any(slot.version for _, slot in self._registry.slots({name}))

    # -- out ---------------------------------------------------------------------------

    async def retire(self, key: Key, reason: str = "") -> None:
        """Send a version nothing new. `drained` waits for the calls in flight."""
        slot = self._registry.slot(key)
        async with slot.busy:
            slot.evicted = False
            slot.source = slot.stamp = slot.failed_stamp = None
            self._take_out(key, slot, reason)

    async def drained(self, keys: Iterable[Key]) -> None:
        """Return when the versions that were taken out have answered what they were asked."""
        slots = [self._registry.slot(key) for key in keys]
        if drains := [self._drains[version] for slot in slots for version in slot.leaving]:
            await asyncio.wait(drains)

    def _take_out(self, key: Key, slot: Slot, reason: str) -> None:
        version, slot.version = slot.version, None
        if version:
            self._let_go(key, slot, version)
        self._enter(slot, State.DRAINING if slot.leaving else State.UNLOADED, reason)

    def _let_go(self, key: Key, slot: Slot, version: ModelVersion) -> None:
        version.statistics.state = State.DRAINING
        slot.leaving.append(version)
        drain = self._drain(key, slot, version)
        self._drains[version] = self._tasks.create_task(drain, name=f"drain {key[0]}/{key[1]}")

    async def _drain(self, key: Key, slot: Slot, version: ModelVersion) -> None:
        try:
            await version.drain()
        except Exception:
            log.exception("draining %s/%d", *key)
        finally:
            del self._drains[version]
            slot.leaving.remove(version)
            version.statistics.state = State.UNLOADED
            if slot.state is State.DRAINING and not slot.leaving:
                slot.state = State.UNLOADED
                self._statistics.unloaded(key[0], str(key[1]))
                log.info("%s/%d is unloaded", *key)
            self._registry.publish()  # whoever still holds on to it can let go
        self._tidy_up()

    def _tidy_up(self) -> None:
        self._tasks.create_task(asyncio.to_thread(give_back), name="give memory back")

    def _enter(self, slot: Slot, state: State, reason: str = "") -> None:
        slot.state = State.READY if slot.version else state
        slot.reason = reason
        self._registry.publish()


class _Return:
    """The return of an evicted version, and those who wait for it."""

    task: asyncio.Task[None]

    def __init__(self) -> None:
        self.version: ModelVersion | None = None
        self.over = asyncio.Event()
