"""All fault points and all faults: which is wrong where, and until when.

Points come into being when a part of the server asks for one. A fault is put in place at all
those that it is for, also at those that come later, and taken away when its time is over: those who
hang then go on, and memory is freed.
"""

import asyncio
import itertools
import logging
import math
import random
from collections.abc import Callable
from typing import NamedTuple

from inferd import errors
from inferd.call import Call
from inferd.config import faults as config
from inferd.deadline import Clock
from inferd.resilience.faults.by_call import faults_of, refuse
from inferd.resilience.faults.injection import Injection
from inferd.resilience.faults.point import OWN, FaultPoint, Kinds

__all__ = ["FaultPoint", "FaultPoints", "Listed"]

log = logging.getLogger(__name__)


class Listed(NamedTuple):
    """What there is to say of a fault."""

    number: int
    point: str
    kind: str
    parameters: dict[str, object]
    #: Until it is over; infinity, if it is to be cleared.
    remaining_s: float
    struck: int
    #: Whether it is there at the moment: a flapping one comes and goes.
    on: bool


class FaultPoints:
    """All points, and all faults. Lives on the event loop; threads only pass points."""

    def __init__(self, settings: config.Faults, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random.Random(settings.seed).random
        self._points: dict[str, FaultPoint] = {}
        self._injections: dict[int, Injection] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._numbers = itertools.count(1)

    def point(
        self, name: str, *, kinds: Kinds = OWN, changed: Callable[[], None] | None = None
    ) -> FaultPoint:
        """Return the point of that name. `changed` is called when other things are wrong there.

        One of several, such as `a#1`, works for many calls at once, and heeds none of them.
        """
        if name not in self._points:
            self._points[name] = FaultPoint(
                name,
                self._clock,
                self._random,
                by_call=self.by_call and "#" not in name,
                kinds=kinds,
                changed=changed,
            )
            self._spread()
        return self._points[name]

    @property
    def by_call(self) -> bool:
        """Whether calls may bring faults of their own, in their metadata."""
        return self._settings.enabled and self._settings.by_metadata

    def names(self) -> list[str]:
        """Return the names of all points."""
        return sorted(self._points)

    def check(self, call: Call) -> None:
        """Raise `InvalidRequest` for a call that brings what cannot be, or to where nothing is."""
        for place, fault in faults_of(call):
            brought = Injection(0, place, fault, 0.0)
            heeding = [each.name for each in self._points.values() if each.heeds_calls]
            if not any(map(brought.is_for, heeding)):
                known = ", ".join(sorted(heeding)) or "none"
                refuse(f"nothing that heeds a call's faults is called {place}; there are {known}")

    def inject(self, place: str, fault: config.Fault, *, ahead: bool = False) -> int:
        """Break a point, or all that begin with what is before a `*`; return the fault's number.

        Raises `Unavailable` unless fault injection is enabled, `NotFound` where there is no
        such point, unless it may come later (`ahead`), and `InvalidRequest` where the fault is
        of no kind for it.
        """
        if not self._settings.enabled:
            raise errors.Unavailable("fault injection is not enabled: faults.enabled is false")
        injection = Injection(next(self._numbers), place, fault, self._clock())
        self._require_point(injection, ahead=ahead)
        self._require_memory(fault)
        self._injections[injection.number] = injection
        log.warning("injected: %s", injection)
        self._follow(injection)
        return injection.number

    def clear(self, number: int | None = None) -> None:
        """End one fault, or all. Raises `NotFound` where there is none of that number."""
        if number is not None and number not in self._injections:
            raise errors.NotFound(f"there is no fault {number}")
        for each in [number] if number is not None else list(self._injections):
            self._end(self._injections[each])

    def listing(self) -> list[Listed]:
        """Return all faults that are not over, the oldest first."""
        now = self._clock()
        return [
            Listed(
                each.number,
                each.place,
                each.fault.kind,
                each.parameters(),
                each.remaining_s(now),
                each.struck,
                each.on(now),
            )
            for each in self._injections.values()
        ]

    def _follow(self, injection: Injection) -> None:
        """Put it in place or take it away, and come back when that changes."""
        now = self._clock()
        if not injection.remaining_s(now):
            self._end(injection)
            return
        if injection.on(now):
            injection.begin()
        else:
            injection.end()
        self._spread()
        wait_s = injection.changes_in_s(now)
        if wait_s < math.inf:
            loop = asyncio.get_running_loop()
            self._timers[injection.number] = loop.call_later(wait_s, self._follow, injection)

    def _end(self, injection: Injection) -> None:
        log.warning("ended: %s, it struck %d times", injection, injection.struck)
        if timer := self._timers.pop(injection.number, None):
            timer.cancel()
        del self._injections[injection.number]
        injection.end()
        self._spread()

    def _spread(self) -> None:
        now = self._clock()
        there = [each for each in self._injections.values() if each.on(now)]
        for point in self._points.values():
            point.arm(each for each in there if isinstance(each.fault, point.kinds))

    def _require_point(self, injection: Injection, *, ahead: bool) -> None:
        concerned = [each for each in self._points.values() if injection.is_for(each.name)]
        if not concerned and not ahead:
            known = ", ".join(self.names()) or "none"
            raise errors.NotFound(f"no fault point is called {injection.place}; there are {known}")
        if concerned and not any(isinstance(injection.fault, each.kinds) for each in concerned):
            kinds = ", ".join(each.model_fields["kind"].default for each in concerned[0].kinds)
            raise errors.InvalidRequest(
                f"{injection.fault.kind} is no fault for {concerned[0].name}; there are {kinds}",
                field="kind",
            )

    def _require_memory(self, fault: config.Fault) -> None:
        faults = [fault, *(each.fault for each in self._injections.values())]
        mib = sum(each.mib for each in faults if isinstance(each, config.MemoryPressure))
        if isinstance(fault, config.MemoryPressure) and mib > self._settings.max_memory_mib:
            raise errors.InvalidRequest(
                f"all faults together may take {self._settings.max_memory_mib} MiB, not {mib}"
                " (faults.max_memory_mib)",
                field="mib",
            )
