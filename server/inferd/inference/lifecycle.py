"""One version's way from files to service and out again.

`Lifecycle` carries out what others decide: it loads on threads, hands over at READY, drains,
evicts to make room and brings back on demand. A version changes hands at READY and not
before: while a new one loads and warms up, and if it fails, the old one serves.
"""

import asyncio
import logging
from collections.abc import Hashable
from concurrent.futures import Executor
from functools import partial

from inferd.deadline import Clock
from inferd.errors import InferdError, LoadFailed
from inferd.inference.assembly import Assembler
from inferd.inference.loading import Loaded, Loader, Source
from inferd.inference.registry import Registry, Slot
from inferd.inference.repository.planner import Key
from inferd.inference.room import Room
from inferd.inference.version import ModelVersion, State
from inferd.telemetry.statistics import LoadStatistics

log = logging.getLogger(__name__)


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
        threads: Executor,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._loader = loader
        self._assembler = assembler
        self._room = room
        self._statistics = statistics
        self._threads = threads
        self._clock = clock
        #: What every version was, or would be, loaded from.
        self._sources: dict[Key, Source] = {}

    async def load(self, source: Source, stamp: Hashable, *, may_evict: bool) -> None:
        """Load a version; its slot says how that went. `stamp` tells its files from others.

        Without leave to evict, a version that does not fit is left to be loaded on demand.
        """
        key = source.name, source.number
        slot = self._registry.slot(key)
        self._sources[key] = source
        try:
            async with self._room.lock:
                if not may_evict and not self._room.fits(source.size(), self._registry.versions()):
                    self._park(slot, stamp, "there was no room at start; loads on demand")
                    return
                old, slot.version = slot.version, await self._loaded(source, slot)
        except LoadFailed as failure:
            slot.failed_stamp, slot.evicted = stamp, False
            self._note_failure(key, slot, failure)
            return
        slot.stamp, slot.failed_stamp = stamp, None
        slot.evicted, slot.reason = False, ""
        self._enter(slot, State.READY)
        if old:
            await self._drain(old)

    async def bring_back(self, key: Key) -> None:
        """Load an evicted version again; its slot says how that went."""
        await self.load(self._sources[key], self._registry.slot(key).stamp, may_evict=True)

    async def retire(self, key: Key, reason: str = "") -> None:
        """Take a version out of service, once the calls in flight are answered."""
        slot = self._registry.slot(key)
        slot.evicted = False
        version = slot.version
        if version is None:
            return
        self._enter(slot, State.DRAINING)
        await self._drain(version)
        slot.version, slot.stamp, slot.reason = None, None, reason
        self._enter(slot, State.UNLOADED)
        self._statistics.unloaded(key[0], str(key[1]))
        log.info("%s/%d is unloaded", *key)

    async def _loaded(self, source: Source, slot: Slot) -> ModelVersion:
        """Return a version that is warm, or raise `LoadFailed`."""
        began = self._clock()
        await self._make_room(source)
        self._enter(slot, State.LOADING)
        version = self._assembler.build(source, await self._in_thread(source, slot))
        seconds = self._clock() - began
        self._statistics.loaded(source.name, version.version, seconds)
        log.info("%s/%d is ready after %.0f ms", source.name, source.number, seconds * 1000)
        return version

    async def _in_thread(self, source: Source, slot: Slot) -> Loaded:
        loop = asyncio.get_running_loop()

        def warming() -> None:
            loop.call_soon_threadsafe(self._enter, slot, State.WARMING)

        load = partial(self._loader.load, source, warming)
        try:
            return await loop.run_in_executor(self._threads, load)
        except InferdError as error:
            raise LoadFailed(str(error)) from error
        except Exception as error:
            log.exception("loading %s/%d", source.name, source.number)
            raise LoadFailed(f"{type(error).__name__} while loading; see the log") from error

    async def _make_room(self, source: Source) -> None:
        """Evict the least recently used until `source` fits, or raise `LoadFailed`."""
        loaded = self._registry.versions()
        for version in self._room.victims(source.name, source.size(), loaded):
            key = version.name, version.number
            slot = self._registry.slot(key)
            stamp = slot.stamp
            log.info("%s/%d is evicted to make room for %s", *key, source.name)
            await self.retire(key)
            self._park(slot, stamp, f"evicted to make room for {source.name}; loads on demand")

    def _park(self, slot: Slot, stamp: Hashable, reason: str) -> None:
        slot.evicted, slot.stamp, slot.reason = True, stamp, reason
        self._registry.publish()

    def _note_failure(self, key: Key, slot: Slot, failure: LoadFailed) -> None:
        name, number = key
        log.error("%s/%d failed to load: %s", name, number, failure)
        self._statistics.load_failed(name, str(failure))
        if slot.version:  # the old one goes on
            slot.reason = f"reload failed: {failure}"
            self._enter(slot, State.READY)
        else:
            slot.reason = str(failure)
            self._enter(slot, State.FAILED)

    async def _drain(self, version: ModelVersion) -> None:
        version.statistics.state = State.DRAINING
        self._registry.publish()
        await version.drain()
        version.statistics.state = State.UNLOADED

    def _enter(self, slot: Slot, state: State) -> None:
        slot.state = state
        self._registry.publish()
