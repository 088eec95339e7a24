"""Rolls new versions of models out: steers calls, sends copies, and looks whether that does harm.

What is decided is `rollout.Rollout`'s. Versions tell of every call that they answer or fail at
(`ModelVersion.watcher`), whoever asked, so that there is one place where calls are counted and
copied. All state lives on the event loop.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random

from inferd.call import CLIENT_ID, Call
from inferd.config.rollouts import Rollouts as Settings
from inferd.deadline import Clock
from inferd.errors import NotFound
from inferd.inference.registry import Registry
from inferd.inference.request import Request, Tensors
from inferd.inference.rollout import Decision, Place, Rollout, Side, Stage
from inferd.inference.rollout_copies import BLAMED, COPY, Copies, number_in
from inferd.inference.version import ModelVersion
from inferd.runtime.signature import Signature
from inferd.telemetry.rollouts import CopyStatistics

log = logging.getLogger(__name__)

UNIT = "x-unit"
"""Request metadata: who or what an answer is for. It gets the same version every time."""
Keep = Callable[[Sequence[Decision]], Awaitable[bool]]
"""Has decisions outlast a restart, and returns whether they do."""
Copied = Callable[[Sequence[Request], Tensors, float], None]
"""Hears of a call that was answered, what was said, and how many seconds it took."""


class Rollouts:
    """All rollouts of a server. Lives on the event loop, inside `running`."""

    def __init__(
        self,
        settings: Settings,
        *,
        place: Callable[[str], Place],
        decided: Sequence[Decision],
        keep: Keep,
        clock: Clock,
        wall_clock: Clock,
    ) -> None:
        """`place` makes places of keys out of a salt; `decided` is what was kept before."""
        self._settings = settings
        self._keep = keep
        self._clock = clock
        self._wall_clock = wall_clock
        self._registry: Registry
        #: None: no more copies are made.
        self._tasks: asyncio.TaskGroup | None = None
        self._writing = asyncio.Lock()  # one write at a time, so that the last is the newest
        #: By model.
        self.rollouts = {
            name: Rollout(name, each, place(f"rollout:{name}:{each.canary}"))
            for name, each in settings.models.items()
        }
        self.copies = {name: CopyStatistics() for name in self.rollouts}
        self._senders = {
            name: Copies(each, self.copies[name], clock=clock, random=Random())
            for name, each in self.rollouts.items()
        }
        for decision in decided:
            there = self.rollouts.get(decision.model)
            if there is not None and there.holds(decision):
                there.decision = decision

    @property
    def needed(self) -> Mapping[str, frozenset[int]]:
        """The versions that are to be loaded, by model, whatever its version policy says."""
        return {
            name: frozenset((each.settings.stable, each.settings.canary))
            for name, each in self.rollouts.items()
        }

    def follow(self, registry: Registry) -> None:
        """Say which versions are meant when none is named, and watch those that there are."""
        self._registry = registry
        for name, each in self.rollouts.items():
            registry.prefer(name, each.default)
        registry.watch(self._attach)

    def version(self, name: str, call: Call) -> str:
        """Return the canary's number for a call that names no version; empty: the default."""
        it = self.rollouts.get(name)
        if it is None or not it.steers or not it.gets_canary(_key(it.settings.by, call)):
            return ""
        canary = str(it.settings.canary)
        return "" if self._registry.find(name, canary) is None else canary

    def note(self, name: str, version: str) -> str:
        """Return what the index says of a version."""
        it = self.rollouts.get(name)
        return it.note(int(version)) if it is not None and version else ""

    async def decide(self, name: str, stage: Stage, why: str) -> bool:
        """Go back, on, or all the way; return whether that outlasts a restart.

        Raises `NotFound`.
        """
        it = self.rollouts.get(name)
        if it is None:
            there = ", ".join(self.rollouts) or "none"
            raise NotFound(f"no model {name!r:.80} is rolled out; there are {there}")
        return await self._decided(it, stage, why)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send copies, and look at canaries, for as long as the block lasts."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            looking = tasks.create_task(self._look(), name="rollouts")
            try:
                yield
            finally:
                self._tasks = None
                looking.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._settings.look_s)
            for each in self.rollouts.values():
                try:
                    if why := each.harm(self._clock()):
                        await self._decided(each, Stage.ROLLED_BACK, why)
                except Exception:  # a bug of ours is no reason to stop serving
                    log.exception("looking at the canary of %s", each.model)

    async def _decided(self, it: Rollout, stage: Stage, why: str) -> bool:
        it.decide(stage, why, round(self._wall_clock() * 1e6))
        log.warning("model %s, version %s: %s: %s", it.model, it.settings.canary, stage, why)
        self._registry.prefer(it.model, it.default)
        self._registry.publish()
        decisions = [each.decision for each in self.rollouts.values() if each.decision is not None]
        async with self._writing:
            return await self._keep(decisions)

    def _attach(self) -> None:
        """Have the versions that serve now tell us of their calls."""
        for it in self.rollouts.values():
            stable, canary = self._pair(it)
            if it.stage is not Stage.RUNNING:
                for each in (stable, canary):
                    if each is not None:
                        each.watcher = None
                continue
            if stable is not None and canary is not None:
                it.problem = unlike(stable.signature, canary.signature)
            if stable is not None and stable.watcher is None:
                stable.watcher = _Watching(it, self._clock, partial(self._copied, it))
            if canary is not None and canary.watcher is None:
                canary.watcher = _Watching(it, self._clock)

    def _copied(
        self, it: Rollout, requests: Sequence[Request], said: Tensors, took_s: float
    ) -> None:
        if self._tasks is not None:
            self._senders[it.model].send(self._tasks, self._pair(it), requests, said, took_s)

    def _pair(self, it: Rollout) -> Sequence[ModelVersion | None]:
        """Return the stable version and the canary, as far as they are ready."""
        there = it.settings.stable, it.settings.canary
        return [self._registry.find(it.model, str(number)) for number in there]


class _Watching:
    """Hears of the calls of one version: of the canary, unless there is who makes copies."""

    def __init__(self, rollout: Rollout, clock: Clock, copied: Copied | None = None) -> None:
        self._rollout = rollout
        self._clock = clock
        self._copied = copied

    @property
    def _side(self) -> Side:
        return self._rollout.canary if self._copied is None else self._rollout.stable

    def answered(self, call: Call, requests: Sequence[Request], said: Tensors, now: float) -> None:
        if call.method == COPY:
            return
        took_s = now - requests[0].arrived
        self._side.answered(took_s, number_in(said), now)
        if self._copied is not None:
            self._copied(requests, said, took_s)

    def failed(self, call: Call, error: BaseException) -> None:
        if call.method != COPY and isinstance(error, BLAMED):
            self._side.failed_at(self._clock())


def unlike(stable: Signature, canary: Signature) -> str:
    """Return why a canary cannot be asked what the stable version is asked; empty: it can."""
    if _inputs(stable) != _inputs(canary):
        return "it takes other inputs than the stable version"
    told = {each.name for each in canary.outputs}
    missing = [each.name for each in stable.outputs if each.name not in told]
    return f"it has no output {missing[0]}" if missing else ""


def _key(by: str, call: Call) -> str:
    """Return what decides who gets what: as long as a call lasts, it is the same."""
    said = call.metadata.get(by) if by in (UNIT, CLIENT_ID) else None
    return str(said) if said else f"@{call.arrived!r}"


def _inputs(signature: Signature) -> set[tuple[object, ...]]:
    return {(each.name, each.datatype.name, each.shape) for each in signature.inputs}
