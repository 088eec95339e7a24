"""Rolls new versions of models out: steers calls, sends copies, and looks whether that does harm.

What is decided is `rollout.Rollout`'s. Versions tell of every call that they answer or fail at
(`ModelVersion.watcher`), whoever asked, so that there is one place where calls are counted and
copied. All state lives on the event loop.
"""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import NamedTuple

import numpy as np

from inferd.call import CLIENT_ID, CRITICALITY, Call, Criticality
from inferd.config.rollouts import Rollouts as Settings
from inferd.deadline import Clock, Deadline
from inferd.errors import (
    CircuitOpen,
    InferdError,
    ModelFailed,
    NotFound,
    TimedOut,
)
from inferd.inference.registry import Registry
from inferd.inference.request import Request, Tensors
from inferd.inference.rollout import Decision, Place, Rollout, Side, Stage
from inferd.inference.version import ModelVersion
from inferd.runtime.signature import Signature
from inferd.telemetry.rollouts import CopyStatistics

log = logging.getLogger(__name__)

UNIT = "x-unit"
"""Request metadata: who or what an answer is for. It gets the same version every time."""
COPY = "shadow"
"""The method of a call that nobody made: it is a copy."""
INCOMPARABLE = 1e9
"""The difference of answers that are no numbers, or not as many."""
_BLAMED = (ModelFailed, CircuitOpen, TimedOut)
"""What a version is to blame for. Refusals, deadlines and callers' mistakes say nothing of it."""

Keep = Callable[[Sequence[Decision]], Awaitable[bool]]
"""Has decisions outlast a restart, and returns whether they do."""


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
        random: Random | None = None,
    ) -> None:
        """`place` makes places of keys out of a salt; `decided` is what was kept before."""
        self._settings = settings
        self._keep = keep
        self._clock = clock
        self._wall_clock = wall_clock
        self._random = random or Random()
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
                if why := each.harm(self._clock()):
                    await self._decided(each, Stage.ROLLED_BACK, why)

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
            there = it.settings.stable, it.settings.canary
            stable, canary = (self._registry.find(it.model, str(number)) for number in there)
            if it.stage is not Stage.RUNNING:
                for each in (stable, canary):
                    if each is not None:
                        each.watcher = None
                continue
            if stable is not None and canary is not None:
                it.problem = unlike(stable.signature, canary.signature)
            if stable is not None and stable.watcher is None:
                stable.watcher = _Watching(it.stable, self._clock, partial(self._copy, it))
            if canary is not None and canary.watcher is None:
                canary.watcher = _Watching(it.canary, self._clock)

    # -- copies ----------------------------------------------------------------------

    def _copy(self, it: Rollout, requests: Sequence[Request], said: Tensors, took_s: float) -> None:
        """Send a copy of a call to the canary, perhaps. Its caller has their answer by then."""
        if self._tasks is None or not it.copies(self._random.random()):
            return
        stable, canary = (
            self._registry.find(it.model, str(number))
            for number in (it.settings.stable, it.settings.canary)
        )
        copies, settings = self.copies[it.model], it.settings.shadow
        counted = copies.outcomes
        if stable is None or canary is None:
            counted["not ready"] += 1
            return
        if len(requests) > 1 or _bytes(requests[0].inputs) > settings.max_bytes:
            counted["too large"] += 1
            return
        waiting = stable.statistics.queue_depth() + canary.statistics.queue_depth()
        if waiting or copies.under_way >= settings.most:
            counted["busy"] += 1
            return
        # What it was asked may be in memory that others write to once they have their answer.
        inputs = {name: array.copy() for name, array in requests[0].inputs.items()}
        copies.under_way += 1
        original = _Original(inputs, requests[0].rows, requests[0].outputs, said, took_s)
        self._tasks.create_task(self._ask(it, canary, original), name=f"copy for {it.model}")

    async def _ask(self, it: Rollout, canary: ModelVersion, original: "_Original") -> None:
        counted, now = self.copies[it.model], self._clock()
        deadline = Deadline.after(it.settings.shadow.timeout_ms / 1000, now=now)
        metadata = {CRITICALITY: Criticality.SHEDDABLE.value}
        call = Call(COPY, arrived=now, deadline=deadline, metadata=metadata)
        try:
            other = await canary.infer(
                original.inputs, rows=original.rows, outputs=original.outputs, call=call
            )
        except _BLAMED:
            counted.outcomes["failed"] += 1
            it.canary.failed_at(self._clock())
        except InferdError as error:
            counted.outcomes[error.reason.lower()] += 1
        except Exception:  # nobody waits for it, and everybody else is to go on
            log.exception("a copy for version %s of %s", canary.version, it.model)
        else:
            done = self._clock()
            counted.outcomes["answered"] += 1
            counted.difference.observe(difference(original.said, other))
            counted.slower_s.observe(done - now - original.took_s)
            it.canary.answered(None, number_in(other), done)
        finally:
            counted.under_way -= 1


class _Original(NamedTuple):
    """A call that was answered, to be made again."""

    inputs: Tensors
    rows: int
    outputs: tuple[str, ...]
    said: Tensors
    took_s: float


class _Watching:
    """Hears of the calls of one version."""

    def __init__(
        self,
        side: Side,
        clock: Clock,
        copy: Callable[[Sequence[Request], Tensors, float], None] | None = None,
    ) -> None:
        self._side = side
        self._clock = clock
        self._copy = copy

    def answered(self, call: Call, requests: Sequence[Request], said: Tensors, now: float) -> None:
        if call.method == COPY:
            return
        took_s = now - requests[0].arrived
        self._side.answered(took_s, number_in(said), now)
        if self._copy is not None:
            self._copy(requests, said, took_s)

    def failed(self, call: Call, error: BaseException) -> None:
        if call.method != COPY and isinstance(error, _BLAMED):
            self._side.failed_at(self._clock())


def unlike(stable: Signature, canary: Signature) -> str:
    """Return why a canary cannot be asked what the stable version is asked; empty: it can."""
    if _inputs(stable) != _inputs(canary):
        return "it takes other inputs than the stable version"
    told = {each.name for each in canary.outputs}
    missing = [each.name for each in stable.outputs if each.name not in told]
    return f"it has no output {missing[0]}" if missing else ""


def number_in(said: Tensors) -> float | None:
    """Return a number that stands for an answer: the first there is, fractions before others."""
    numbers = [each for each in said.values() if each.size and each.dtype.kind in "fiub"]
    numbers.sort(key=lambda each: each.dtype.kind != "f")
    if not numbers:
        return None
    value = float(numbers[0].flat[0])
    return value if np.isfinite(value) else None


def difference(said: Tensors, other: Tensors) -> float:
    """Return the largest difference of any number; of what is no number, 1 where it differs."""
    found = 0.0
    for name, array in said.items():
        there = other.get(name)
        if there is None or there.shape != array.shape:
            return INCOMPARABLE
        if not array.size:
            continue
        if array.dtype.kind in "fiub" and there.dtype.kind in "fiub":
            other_than = array != there
            if other_than.any():
                apart = np.abs(
                    array[other_than].astype(np.float64) - there[other_than].astype(np.float64)
                ).max()
                found = max(found, INCOMPARABLE if math.isnan(apart) else float(apart))
        elif not np.array_equal(array, there):
            found = max(found, 1.0)
    return min(found, INCOMPARABLE)


def _key(by: str, call: Call) -> str:
    """Return what decides who gets what: as long as a call lasts, it is the same."""
    said = call.metadata.get(by) if by in (UNIT, CLIENT_ID) else None
    return str(said) if said else f"@{call.arrived!r}"


def _inputs(signature: Signature) -> set[tuple[object, ...]]:
    return {(each.name, each.datatype.name, each.shape) for each in signature.inputs}


def _bytes(inputs: Tensors) -> int:
    return sum(each.nbytes for each in inputs.values())
