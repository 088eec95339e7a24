"""Guardrails: arms that do harm are stopped without anybody watching.

What answers are like, and what units do, is added up as it happens, a few additions each, and only
for experiments that have guardrails. Arms are compared with their control every now and then, off
the path of requests. Lives on the event loop; times are in seconds, by any clock.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from inferd.deadline import Clock
from inferd.errors import NotFound
from inferd.experiments.declared import Experiment
from inferd.experiments.guardrails_declared import (
    DEGRADED,
    ERROR,
    LATENCY,
    PREDICTION,
    SERVED,
    Guardrail,
)
from inferd.experiments.keeping import Keeper
from inferd.experiments.plan import Assignments
from inferd.resilience.comparison import (
    BUCKETS,
    Limit,
    Moments,
    Recently,
    RecentValues,
    harm,
    shift,
)

log = logging.getLogger(__name__)

MOST_UNITS = 100_000
"""Units of an arm whose outcomes are added up; the first of them are forgotten for others."""


class UnitSums:
    """What units did who came into an arm of late: one value for each, also if that is 0."""

    def __init__(self, seconds: float) -> None:
        self._width_s = seconds / BUCKETS
        self._buckets: OrderedDict[int, Moments] = OrderedDict()
        #: By unit: when it came, as a bucket, and what it did since.
        self._units: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def came(self, unit: str, now: float) -> None:
        """Note that a unit is in the arm, unless that is known."""
        if unit in self._units:
            return
        index = int(now // self._width_s)
        self._buckets.setdefault(index, Moments()).add(0.0)
        self._units[unit] = index, 0.0
        self._forget(index)

    def did(self, unit: str, amount: float) -> None:
        """Add to what a unit did, if it is known."""
        index, before = self._units.get(unit, (0, 0.0))
        bucket = self._buckets.get(index)
        if unit not in self._units or bucket is None:
            return
        after = before + amount
        bucket.total += amount
        bucket.squares += after * after - before * before
        self._units[unit] = index, after

    def moments(self, now: float) -> Moments:
        """Return what there is of late."""
        self._forget(int(now // self._width_s))
        return sum(self._buckets.values(), start=Moments())

    def _forget(self, index: int) -> None:
        while self._buckets and next(iter(self._buckets)) <= index - BUCKETS:
            self._buckets.popitem(last=False)
        while self._units:
            came, _ = next(iter(self._units.values()))
            if came > index - BUCKETS and len(self._units) <= MOST_UNITS:
                break
            self._units.popitem(last=False)


class Watch:
    """One guardrail of one experiment: what is known of each arm."""

    def __init__(self, it: Experiment, guardrail: Guardrail) -> None:
        self.experiment = it
        self.guardrail = guardrail
        #: The first is the control.
        self.arms = [each.name for each in it.arms]
        seconds, arms = guardrail.window_s, self.arms
        self.values = {arm: Recently(seconds) for arm in arms}
        self.said = {arm: RecentValues(seconds) for arm in arms}
        self.units = {arm: UnitSums(seconds) for arm in arms}
        self._limit = Limit(
            guardrail.times,
            guardrail.slack,
            lower_is_worse=guardrail.worse == "lower",
            minimum=guardrail.minimum,
            alpha=guardrail.alpha,
        )

    def harm(self, arm: str, now: float) -> str:
        """Return what harm an arm does; empty: none that is known of."""
        control = self.arms[0]
        if self.guardrail.metric == PREDICTION:
            found = shift(self.said[control].values(now), self.said[arm].values(now), self._limit)
        else:
            found = harm(self._moments(control, now), self._moments(arm, now), self._limit)
        return found and f"{self.guardrail.metric}: {found}"

    def _moments(self, arm: str, now: float) -> Moments:
        served = self.guardrail.metric in SERVED
        return (self.values if served else self.units)[arm].moments(now)


class Harm(NamedTuple):
    """An arm that does harm."""

    experiment: str
    arm: str
    why: str


class Guardrails:
    """Those of all experiments in force."""

    def __init__(self, keeper: Keeper, *, clock: Clock) -> None:
        self._keeper = keeper
        self._clock = clock
        #: By experiment and revision.
        self._watches: dict[tuple[str, int], list[Watch]] = {}
        #: Arms that were stopped for a guardrail, by experiment, arm and metric.
        self.stopped: dict[tuple[str, str, str], int] = {}
        self._follow()

    def served(
        self,
        assignments: Assignments,
        took_s: float,
        *,
        failed: bool = False,
        degraded: bool = False,
        said: float | None = None,
    ) -> None:
        """Note what an answer was like; `said`: a number that stands for it. Never raises."""
        if not (self._watches and assignments.arms):
            return
        now = self._clock()
        values = {LATENCY: took_s * 1000, ERROR: float(failed), DEGRADED: float(degraded)}
        for arm in assignments.arms:
            if arm.forced:
                continue
            for watch in self._watches.get((arm.experiment, arm.revision), ()):
                metric = watch.guardrail.metric
                if metric == PREDICTION and said is not None and arm.arm in watch.said:
                    watch.said[arm.arm].add(said, now)
                elif metric in values and arm.arm in watch.values:
                    watch.values[arm.arm].add(values[metric], now)

    def exposed(self, experiment: str, revision: int, arm: str, value: str) -> None:
        """Note that a unit is in an arm."""
        for watch in self._watches.get((experiment, revision), ()):
            if watch.guardrail.metric not in SERVED and arm in watch.units:
                watch.units[arm].came(value, self._clock())

    def happened(self, value: str, metric: str, amount: float) -> None:
        """Note what a unit did."""
        for watches in self._watches.values():
            for watch in watches:
                if watch.guardrail.metric == metric:
                    for units in watch.units.values():
                        units.did(value, amount)

    def harmful(self, now: float) -> Iterable[Harm]:
        """Return the arms that do harm now, each for the first reason there is."""
        self._follow()
        there, found = self._keeper.experiments, dict[tuple[str, str], Harm]()
        for watches in self._watches.values():
            for watch in watches:
                it = watch.experiment
                for arm in watch.arms[1:]:
                    if there.stopped(it, arm) or there.stopped(it, watch.arms[0]):
                        continue
                    if why := watch.harm(arm, now):
                        found.setdefault((it.name, arm), Harm(it.name, arm, why))
        return found.values()

    async def look(self, every_s: float) -> None:
        """Stop arms that do harm, for ever."""
        while True:
            await asyncio.sleep(every_s)
            try:
                for each in [*self.harmful(self._clock())]:
                    await self._stop(each)
            except Exception:  # a bug of ours is no reason to look no more
                log.exception("looking at guardrails")

    async def _stop(self, it: Harm) -> None:
        try:
            await self._keeper.stop(it.experiment, it.arm, f"guardrail: {it.why}")
        except NotFound:  # it has left the file meanwhile
            log.info("experiment %s: %s: it is no more", it.experiment, it.why)
            return
        key = it.experiment, it.arm, it.why.partition(":")[0]
        self.stopped[key] = self.stopped.get(key, 0) + 1

    def _follow(self) -> None:
        """Watch what is in force now, and go on watching what was."""
        there = self._keeper.experiments
        known, wanted = self._watches, dict[tuple[str, int], list[Watch]]()
        for it in there.definitions.declared.experiments:
            key = it.name, it.revision
            if not it.guardrails or there.stopped(it) is not None:
                continue
            before = known.get(key, [])
            same = [(each.guardrail, each.arms) for each in before] == [
                (each, [arm.name for arm in it.arms]) for each in it.guardrails
            ]
            wanted[key] = before if same else [Watch(it, each) for each in it.guardrails]
        self._watches = wanted
