"""Places where the server can be broken on purpose, by name.

Every part that can fail in earnest has a `FaultPoint` that it passes on its way. While nothing is
wrong its `fault` is None, and to see that is all that it costs:

    if point.fault is not None:
        await point.before(call)

What is wrong is put there by `FaultPoints`, which knows them all, and taken away when its time is
over.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar, get_args

from inferd import errors
from inferd.call import Call
from inferd.config import faults as config
from inferd.deadline import Clock
from inferd.resilience.faults.by_call import faults_of
from inferd.resilience.faults.corruption import corrupted
from inferd.resilience.faults.injection import Injection

T = TypeVar("T")

Kinds = tuple[type[config.Fault], ...]
TOXICS: Kinds = get_args(config.Toxic)
#: What can be wrong with a part of this server.
OWN: Kinds = tuple(
    kind for kind in get_args(config.Fault) if kind not in TOXICS or kind is config.Latency
)
RAISED: dict[str, type[errors.InferdError]] = {
    each.reason: each
    for each in (
        errors.FaultInjected, errors.DependencyFailed, errors.Unavailable, errors.NotReady,
        errors.ModelFailed, errors.NotFound, errors.InvalidRequest, errors.TimedOut,
        errors.Internal,
    )
}  # fmt: skip
"""What a fault of the kind `error` raises, by its reason."""


def _never() -> bool:
    return False


class FaultPoint:
    """One place that can be broken. `before` is passed on the way in, `after` on the way out."""

    __slots__ = ("_changed", "_clock", "_idle", "_random", "fault", "kinds", "name")

    def __init__(
        self,
        name: str,
        clock: Clock,
        dice: Callable[[], float],
        *,
        by_call: bool = False,
        kinds: Kinds = OWN,
        changed: Callable[[], None] | None = None,
    ) -> None:
        """With `by_call`, calls may carry faults of their own, so that `fault` is never None."""
        self.name = name
        self.kinds = kinds
        self._clock = clock
        self._random = dice
        self._idle: tuple[Injection, ...] | None = () if by_call else None
        self._changed = changed
        #: What is wrong here at the moment. None: nothing, and nobody need come in.
        self.fault: tuple[Injection, ...] | None = self._idle

    @property
    def heeds_calls(self) -> bool:
        """Whether calls may carry faults of their own to here."""
        return self._idle is not None

    async def before(self, call: Call | None = None) -> None:
        """Suffer what is wrong here, on the event loop. Raises what the fault says."""
        for each in self._striking(call):
            match each.fault:
                case config.Latency() as latency:
                    await asyncio.sleep(self.delay_s(latency))
                case config.Drop():
                    await asyncio.get_running_loop().create_future()  # nobody will answer
                case config.Hang():
                    await each.hang()
                case _:
                    self._suffer_at_once(each)

    def before_on_thread(self, stopped: Callable[[], bool] = _never) -> None:
        """Suffer what is wrong here, on a thread, but not for long after `stopped()`."""
        for each in self._striking(None):
            match each.fault:
                case config.Latency() as latency:
                    each.hang_on_thread(self.delay_s(latency), stopped)
                case config.Drop() | config.Hang():
                    self._refuse_on_loop()
                    each.hang_on_thread(math.inf, stopped)
                case _:
                    self._suffer_at_once(each)

    def after(self, value: T, call: Call | None = None) -> T:
        """Return `value`, or what became of it. Raises `FaultInjected` where it cannot spoil."""
        for _ in self._striking(call, corrupting=True):
            value = corrupted(value)
        return value

    def delay_s(self, latency: config.Latency) -> float:
        """Roll the dice for one delay."""
        jitter_ms = latency.jitter_ms * (2 * self._random() - 1) if latency.jitter_ms else 0.0
        return max(0.0, latency.ms + jitter_ms) / 1000

    def arm(self, injections: Iterable[Injection]) -> None:
        """Be broken by those of `injections` that are for here, and by no others."""
        fault = tuple(each for each in injections if each.is_for(self.name)) or self._idle
        if fault != self.fault:
            self.fault = fault
            if self._changed is not None:
                self._changed()

    def _striking(self, call: Call | None, *, corrupting: bool = False) -> Iterator[Injection]:
        now = self._clock()
        for each in (*(self.fault or ()), *self._of(call, now)):
            concerns = isinstance(each.fault, config.Corrupt) is corrupting
            if concerns and each.strikes(now, self._random):
                yield each

    def _of(self, call: Call | None, now: float) -> Iterator[Injection]:
        """Return what a call brought for itself."""
        if call is None or self._idle is None:
            return
        for place, fault in faults_of(call):
            injection = Injection(0, place, fault, now)
            if injection.is_for(self.name):
                yield injection

    def _suffer_at_once(self, injection: Injection) -> None:
        match injection.fault:
            case config.Error(reason=reason):
                raise RAISED[reason](f"it was broken on purpose, at {self.name}")
            case config.CpuStall(ms=ms):
                until = self._clock() + ms / 1000
                while self._clock() < until:
                    pass
            case config.MemoryPressure(mib=mib):
                injection.hold(mib)

    def _refuse_on_loop(self) -> None:
        """Nobody could end it there: whoever might is waiting for the loop."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise errors.FaultInjected(f"{self.name} would hang, but this is the event loop's thread")
