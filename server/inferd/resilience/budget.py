"""How a deadline is split over the stages of an endpoint. Pure.

A stage may use what is left, less what is kept back for whatever must still follow: the later
stages, and its own fallbacks, so that there is always time for an answer, be it a poorer one. What
is kept back is not configured but measured, a quantile of how long each took of late (the rule of
PARD, with ladders added); the configuration seeds it, and caps a rung where it should give up
earlier.
"""

from collections.abc import Iterator, Sequence

from inferd.config.resilience import Cascade, Rung, Stage
from inferd.resilience.quantile import LiveQuantile

LIKELY = 0.5
"""A rung is left out where this share of its runs would not end in time."""
LOOK_AGAIN_EVERY = 16
"""One in so many of those is run nevertheless: nobody learns from what is left out."""


class RungBudget:
    """What one rung took of late, and what it may take."""

    __slots__ = ("cap_s", "kept_back_s", "last_s", "left_out", "name", "needs_s", "taken")

    def __init__(self, rung: Rung) -> None:
        self.name = rung.name
        self.cap_s = rung.cap_ms / 1000
        self.taken = LiveQuantile(seed_s=rung.seed_ms / 1000)
        #: For the fallbacks below it and for the stages that follow, in seconds.
        self.kept_back_s = 0.0
        #: Less than this is not worth beginning.
        self.needs_s = 0.0
        #: The seconds that were allotted last; not more than 0 if it was left out.
        self.last_s = 0.0
        #: How often it was, for want of time.
        self.left_out = 0

    def likely_s(self, share: float) -> float:
        """Return the seconds in which this share of its runs ends: no more than it may take."""
        return min(self.taken.at(share), self.cap_s)


class StageBudget:
    """The rungs of a stage, and what it took as a whole."""

    __slots__ = ("name", "optional", "reserve_s", "rungs", "taken")

    def __init__(self, stage: Stage) -> None:
        self.name = stage.name
        self.optional = stage.optional
        self.rungs = tuple(RungBudget(rung) for rung in stage.ladder)
        self.taken = LiveQuantile(seed_s=stage.ladder[0].seed_ms / 1000)
        #: What others keep back for it.
        self.reserve_s = 0.0


class Budgets:
    """The budgets of one endpoint's stages."""

    def __init__(self, cascade: Cascade) -> None:
        self._quantile = cascade.reserve_quantile
        self._guard_s = cascade.guard_ms / 1000
        self.stages = {stage.name: StageBudget(stage) for stage in cascade.stages}
        self._groups = tuple(
            tuple(self.stages[stage.name] for stage in group) for group in _groups(cascade.stages)
        )
        self._refresh()

    def allot(self, stage: StageBudget, at: int, now: float, deadline: float) -> float:
        """Return until when rung `at` of a stage may run; 0: it is not to be begun.

        Times are monotonic seconds. The last rung of a stage that every answer needs gets what
        there is: it is the fallback that all the others kept back for.
        """
        rung = stage.rungs[at]
        left_s = deadline - self._guard_s - now
        budget_s = left_s - rung.kept_back_s
        budget_s = min(budget_s, rung.cap_s)
        if budget_s < rung.needs_s or budget_s <= 0:
            budget_s = self._in_need(stage, at, budget_s, left_s)
        rung.last_s = budget_s
        return now + budget_s if budget_s > 0 else 0.0

    def _in_need(self, stage: StageBudget, at: int, budget_s: float, left_s: float) -> float:
        """Return the seconds for a rung that has too few of them; negative: it is left out."""
        rung = stage.rungs[at]
        if at == len(stage.rungs) - 1 and not stage.optional:
            # What the stages after it keep back is lost without it.
            return budget_s if budget_s > 0 else min(left_s, rung.cap_s)
        rung.left_out += 1
        return budget_s if rung.left_out % LOOK_AGAIN_EVERY == 0 else -1.0

    def took(self, stage: StageBudget, at: int, rung_s: float, stage_s: float) -> None:
        """Learn how long a stage took, and the rung that served in the end."""
        changed = stage.rungs[at].taken.observe(rung_s)
        if stage.taken.observe(stage_s) or changed:
            self._refresh()

    def _refresh(self) -> None:
        following = 0.0
        for group in reversed(self._groups):
            for stage in group:
                self._refresh_stage(stage, following)
            # Those at the same time take as long as the longest.
            following += max(stage.reserve_s for stage in group)

    def _refresh_stage(self, stage: StageBudget, following: float) -> None:
        stage.reserve_s = 0.0 if stage.optional else stage.taken.at(self._quantile)
        last = len(stage.rungs) - 1
        for at, rung in enumerate(stage.rungs):
            below = {last, at + 1} if at < last else set()
            rung.kept_back_s = following + sum(
                stage.rungs[each].likely_s(self._quantile) for each in below
            )
            rung.needs_s = rung.likely_s(LIKELY)


def _groups(stages: Sequence[Stage]) -> Iterator[list[Stage]]:
    """Group those that run at the same time, in order."""
    group: list[Stage] = []
    for stage in stages:
        if group and not stage.beside_previous:
            yield group
            group = []
        group.append(stage)
    if group:
        yield group
