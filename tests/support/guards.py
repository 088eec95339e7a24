"""Guards in virtual time, and what they guard: functions that do as they are told."""

import asyncio
from collections.abc import Callable
from typing import Any

from inferd.call import Call, Value
from inferd.config import resilience
from inferd.config.faults import Faults
from inferd.deadline import Clock, Deadline
from inferd.resilience.alarms import EARLY_S, Alarms
from inferd.resilience.dependency import Dependency
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.telemetry.statistics import Histogram

BOUNDS_S = (0.001, 0.01, 0.1, 1.0)
#: Long enough for anything, in virtual time.
AMPLE_S = 10.0

Act = float | BaseException | tuple[float, BaseException]
"""Seconds until it answers, what it raises at once, or what it raises after so many seconds."""


class Scripted:
    """A function that does one act per attempt, the last one for ever. It answers its number."""

    def __init__(self, *acts: Act) -> None:
        self._acts = acts
        #: Until when each attempt was told that it may run.
        self.until: list[float] = []
        self.cancelled: list[int] = []
        self.under_way = 0

    @property
    def attempts(self) -> int:
        return len(self.until)

    async def __call__(self, call: Call, deadline: Deadline) -> int:
        self.until.append(deadline.at)
        number = self.attempts
        act = self._acts[min(number, len(self._acts)) - 1]
        seconds, error = _parsed(act)
        self.under_way += 1
        try:
            if seconds:
                await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.under_way -= 1
        if error is not None:
            raise error
        return number


def _parsed(act: Act) -> tuple[float, BaseException | None]:
    if isinstance(act, tuple):
        return act
    return (0.0, act) if isinstance(act, BaseException) else (act, None)


def now() -> float:
    return asyncio.get_running_loop().time()


def a_call(within_s: float = AMPLE_S, metadata: dict[str, Value] | None = None) -> Call:
    deadline = Deadline.after(within_s, now=now())
    return Call("/shop.Ranking/Rank", arrived=now(), deadline=deadline, metadata=metadata)


def a_dependency(
    name: str = "it",
    *,
    alarms: Alarms | None = None,
    random: Callable[[], float] = lambda: 0.5,
    **settings: Any,
) -> Dependency:
    """Return one whose limit and back-off are plain, unless it is told otherwise."""
    clock = asyncio.get_running_loop().time
    settings = {"limit": resilience.Limit(mode="off"), **settings}
    return Dependency(
        name,
        resilience.Dependency(**settings),
        alarms=alarms or Alarms(clock),
        fault=FaultPoints(Faults(enabled=True), clock).point(name),
        durations=Histogram(BOUNDS_S),
        clock=clock,
        random=random,
    )


def a_toolbox(clock: Clock, **config: Any) -> Toolbox:
    points = FaultPoints(Faults(), clock)
    return Toolbox(
        resilience.Resilience(**config),
        points,
        histogram=lambda: Histogram(BOUNDS_S),
        clock=clock,
    )


def used_to(dependency: Dependency, seconds: float) -> float:
    """Have a dependency learn that it takes so long, and return after how long it hedges."""
    for _ in range(640):
        dependency.learn(seconds)
    return dependency.hedge_after_s + EARLY_S


def cancelling() -> int:
    """Return how many cancellations of this task have not been taken back."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()
