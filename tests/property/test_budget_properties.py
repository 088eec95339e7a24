"""However long anything took, a deadline is split so that what must follow has its time."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inferd.config.resilience import Cascade, Rung, Stage
from inferd.resilience.budget import LIKELY, LOOK_AGAIN_EVERY, Budgets, StageBudget

NOW = 1000.0
#: What arithmetic with seconds since the start costs.
EXACT = 1e-9

rungs = st.fixed_dictionaries(
    {
        "seed_ms": st.floats(0, 100),
        "cap_ms": st.one_of(st.just(float("inf")), st.floats(0.1, 200)),
    }
)
stages = st.tuples(st.lists(rungs, min_size=1, max_size=4), st.booleans(), st.booleans())


@dataclass
class Took:
    """So many runs of a rung that took so long."""

    stage: int
    rung: int
    seconds: float
    times: int


runs = st.lists(
    st.builds(
        Took, st.integers(0, 3), st.integers(0, 3), st.floats(1e-5, 0.3), st.integers(1, 200)
    ),
    max_size=8,
)


@st.composite
def cascades(draw: st.DrawFn) -> Cascade:
    declared = draw(st.lists(stages, min_size=1, max_size=4))
    return Cascade(
        stages=tuple(
            Stage(
                name=f"stage{number}",
                ladder=tuple(
                    Rung.model_validate({"name": f"rung{at}", **rung})
                    for at, rung in enumerate(ladder)
                ),
                beside_previous=beside,
                optional=optional,
            )
            for number, (ladder, beside, optional) in enumerate(declared)
        ),
        reserve_quantile=draw(st.sampled_from([0.5, 0.9, 1.0])),
        guard_ms=draw(st.floats(0, 5)),
    )


def having_seen(cascade: Cascade, seen: list[Took]) -> Budgets:
    budgets = Budgets(cascade)
    for took in seen:
        stage = list(budgets.stages.values())[took.stage % len(cascade.stages)]
        at = took.rung % len(stage.rungs)
        for _ in range(took.times):
            seconds = min(took.seconds, stage.rungs[at].cap_s)
            budgets.took(stage, at, seconds, took.seconds)
    return budgets


def must_follow(cascade: Cascade, budgets: Budgets, number: int) -> float:
    """Return the seconds that the stages after one need: those side by side need the longest."""
    groups: list[list[float]] = []
    for at, stage in enumerate(cascade.stages):
        it = budgets.stages[stage.name]
        needs = 0.0 if stage.optional else it.taken.at(cascade.reserve_quantile)
        if stage.beside_previous and groups:
            groups[-1].append(needs)
        else:
            groups.append([needs])
        if at == number:
            here = len(groups)
    return sum(max(group) for group in groups[here:])


def fallbacks(cascade: Cascade, stage: StageBudget, at: int) -> float:
    """Return the seconds of the next rung, and of the last one."""
    below = stage.rungs[at + 1 :]
    kept = {id(each): each for each in below[:1] + below[-1:]}
    return sum(min(each.taken.at(cascade.reserve_quantile), each.cap_s) for each in kept.values())


@given(cascade=cascades(), seen=runs, left_s=st.floats(-0.1, 1.0))
def test_everybody_has_the_time_that_is_left_less_what_must_follow(
    cascade: Cascade, seen: list[Took], left_s: float
) -> None:
    budgets = having_seen(cascade, seen)
    end = NOW + left_s - cascade.guard_ms / 1000
    for number, stage in enumerate(budgets.stages.values()):
        following = must_follow(cascade, budgets, number)
        for at, rung in enumerate(stage.rungs):
            last = at == len(stage.rungs) - 1 and not stage.optional
            budget_s = end - NOW - following - fallbacks(cascade, stage, at)
            budget_s = min(budget_s, rung.cap_s)
            likely_s = min(rung.taken.at(LIKELY), rung.cap_s)

            until = budgets.allot(stage, at, NOW, NOW + left_s)

            if not until:
                assert budget_s < likely_s + EXACT or budget_s <= EXACT
                assert not last or end <= NOW + EXACT
                continue
            assert NOW < until <= min(end, NOW + rung.cap_s) + EXACT
            if budget_s > EXACT:
                assert until == pytest.approx(NOW + budget_s, abs=EXACT)
            else:
                assert last or budget_s > -EXACT, "it takes what must follow needs"


@given(cascade=cascades(), seen=runs, left_s=st.floats(-0.1, 1.0))
def test_no_rung_with_any_time_is_left_out_for_ever(
    cascade: Cascade, seen: list[Took], left_s: float
) -> None:
    budgets = having_seen(cascade, seen)
    end = NOW + left_s - cascade.guard_ms / 1000
    for stage in budgets.stages.values():
        for at, rung in enumerate(stage.rungs):
            if end - NOW - rung.kept_back_s <= EXACT:
                continue

            begun = [
                budgets.allot(stage, at, NOW, NOW + left_s) > 0 for _ in range(LOOK_AGAIN_EVERY)
            ]

            assert any(begun)
