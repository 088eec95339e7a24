"""How a deadline is split: seconds in, seconds out. The deadline is at 1 s unless it is said."""

from typing import Any

import pytest

from inferd.config.resilience import Cascade, Rung, Stage
from inferd.resilience.budget import LOOK_AGAIN_EVERY, Budgets
from inferd.resilience.quantile import BATCH

GUARD_S = 0.001
#: Quantiles are up to so much too long.
CLOSE = 0.051


def rung(name: str, seed_ms: float, **settings: Any) -> Rung:
    return Rung(name=name, seed_ms=seed_ms, **settings)


def stage(name: str, *ladder: Rung, **settings: Any) -> Stage:
    return Stage(name=name, ladder=ladder, **settings)


def budgets(*stages: Stage, **settings: Any) -> Budgets:
    return Budgets(Cascade(stages=stages, guard_ms=GUARD_S * 1000, **settings))


#: A full model, a small one and a rule; what follows takes 100 ms.
LADDER = (rung("full", 200), rung("small", 50), rung("rule", 1))
SCORE = stage("score", *LADDER)
ORDER = stage("order", rung("plain", 100))


def allotted(it: Budgets, name: str, at: int, now: float = 0.0, deadline: float = 1.0) -> float:
    """Return the seconds that a rung gets; 0: it is left out."""
    until = it.allot(it.stages[name], at, now, deadline)
    return until - now if until else 0.0


def takes(it: Budgets, name: str, at: int, seconds: float, times: int = 3200) -> None:
    for _ in range(times):
        it.took(it.stages[name], at, seconds, seconds)


def test_a_rung_gets_what_is_left_less_what_must_follow() -> None:
    it = budgets(SCORE, ORDER)

    assert allotted(it, "score", 0) == pytest.approx(1 - GUARD_S - 0.05 - 0.001 - 0.1)
    assert allotted(it, "score", 1) == pytest.approx(1 - GUARD_S - 0.001 - 0.1)
    assert allotted(it, "score", 2) == pytest.approx(1 - GUARD_S - 0.1)
    assert allotted(it, "order", 0) == pytest.approx(1 - GUARD_S)


def test_a_rung_gets_no_more_than_its_cap() -> None:
    it = budgets(stage("score", rung("full", 5, cap_ms=20), rung("rule", 1)))

    assert allotted(it, "score", 0) == pytest.approx(0.02)


def test_a_rung_that_likely_takes_longer_than_there_is_time_is_left_out() -> None:
    it = budgets(SCORE, ORDER)

    assert allotted(it, "score", 0, deadline=0.35) == 0
    assert allotted(it, "score", 1, deadline=0.35) > 0
    assert it.stages["score"].rungs[0].left_out == 1


@pytest.mark.parametrize(("cap_ms", "seed_ms"), [(0.5, 1.0), (20.0, 20.0)])
def test_a_cap_is_no_reason_to_leave_a_rung_out(cap_ms: float, seed_ms: float) -> None:
    it = budgets(stage("score", rung("full", seed_ms, cap_ms=cap_ms), rung("rule", 0.1)))
    takes(it, "score", 0, cap_ms / 1000)  # the quantiles of which are up to 5 % longer

    for now in (0.0, 0.1, 0.7, 12345.678):
        assert allotted(it, "score", 0, now, now + 1) == pytest.approx(cap_ms / 1000)


def test_a_capped_fallback_is_kept_back_for_up_to_its_cap() -> None:
    it = budgets(stage("score", rung("full", 1), rung("rule", 500, cap_ms=10)))

    assert allotted(it, "score", 0) == pytest.approx(1 - GUARD_S - 0.01)


def test_the_last_rung_of_what_every_answer_needs_takes_all_there_is() -> None:
    it = budgets(SCORE, ORDER)

    assert allotted(it, "score", 2, deadline=0.1) == pytest.approx(0.1 - GUARD_S)
    assert allotted(it, "score", 2, deadline=GUARD_S) == 0
    assert allotted(it, "score", 2, deadline=-1.0) == 0


def test_an_optional_stage_takes_nothing_from_what_must_follow() -> None:
    it = budgets(stage("trend", rung("model", 20), optional=True), ORDER)

    assert allotted(it, "trend", 0, deadline=0.2) == pytest.approx(0.2 - GUARD_S - 0.1)
    assert allotted(it, "trend", 0, deadline=0.11) == 0
    assert allotted(it, "trend", 0, deadline=0.05) == 0


def test_nothing_is_kept_back_for_an_optional_stage() -> None:
    it = budgets(SCORE, stage("trend", rung("model", 500), optional=True))

    assert allotted(it, "score", 2) == pytest.approx(1 - GUARD_S)


def test_stages_at_the_same_time_share_one_budget() -> None:
    slower = stage("rules", rung("all", 300), beside_previous=True)
    it = budgets(stage("before", rung("it", 1)), SCORE, slower, ORDER)

    assert allotted(it, "before", 0) == pytest.approx(1 - GUARD_S - 0.3 - 0.1)
    assert allotted(it, "rules", 0) == pytest.approx(1 - GUARD_S - 0.1)
    assert allotted(it, "score", 2) == pytest.approx(1 - GUARD_S - 0.1)


def test_what_is_kept_back_follows_how_long_it_takes_of_late() -> None:
    it = budgets(SCORE, ORDER)

    takes(it, "order", 0, 0.3)
    assert allotted(it, "score", 2) == pytest.approx(1 - GUARD_S - 0.3, rel=CLOSE)
    takes(it, "order", 0, 0.01, times=10_000)
    assert allotted(it, "score", 2) == pytest.approx(1 - GUARD_S - 0.01, rel=CLOSE)


def test_the_quantile_that_is_kept_back_is_configured() -> None:
    def kept_back(quantile: float) -> float:
        it = budgets(SCORE, ORDER, reserve_quantile=quantile)
        for number in range(3200):
            takes(it, "order", 0, 0.4 if number % 5 == 0 else 0.1, times=1)
        return it.stages["score"].rungs[-1].kept_back_s

    assert kept_back(0.7) == pytest.approx(0.1, rel=CLOSE)
    assert kept_back(0.9) == pytest.approx(0.4, rel=CLOSE)


def test_one_in_so_many_is_run_nevertheless_and_what_is_fast_again_returns() -> None:
    it = budgets(stage("score", rung("full", 1), rung("rule", 1)))
    takes(it, "score", 0, 0.5)

    calls = [allotted(it, "score", 0, deadline=0.1) > 0 for _ in range(4 * LOOK_AGAIN_EVERY)]
    assert calls.count(True) == 4
    for _ in range(3000 * LOOK_AGAIN_EVERY):
        if allotted(it, "score", 0, deadline=0.1):
            takes(it, "score", 0, 0.001, times=1)

    assert all(allotted(it, "score", 0, deadline=0.1) for _ in range(2 * LOOK_AGAIN_EVERY))


def test_nobody_looks_again_where_there_is_no_time_at_all() -> None:
    it = budgets(SCORE, ORDER)

    assert not any(allotted(it, "score", 0, deadline=0.1) for _ in range(10 * LOOK_AGAIN_EVERY))


def test_a_rung_that_takes_no_time_needs_some() -> None:
    it = budgets(stage("score", rung("full", 0), rung("rule", 0)))

    assert allotted(it, "score", 0, deadline=0.5) > 0
    assert allotted(it, "score", 0, deadline=GUARD_S) == 0


def test_what_was_allotted_last_can_be_seen() -> None:
    it = budgets(SCORE, ORDER)
    full = it.stages["score"].rungs[0]

    allotted(it, "score", 0)
    assert full.last_s == pytest.approx(0.848)
    allotted(it, "score", 0, deadline=0.1)
    assert full.last_s < 0


def test_a_stage_that_fell_down_its_ladder_is_kept_back_for_as_a_whole() -> None:
    it = budgets(stage("taste", rung("store", 1)), SCORE)

    for _ in range(3200):
        it.took(it.stages["score"], 2, 0.001, 0.4)

    assert it.stages["taste"].rungs[-1].kept_back_s == pytest.approx(0.4, rel=CLOSE)
    assert it.stages["score"].rungs[0].kept_back_s < 0.06


def test_quantiles_change_by_the_batch() -> None:
    it = budgets(SCORE, ORDER)

    takes(it, "order", 0, 0.3, times=BATCH - 1)
    assert it.stages["score"].rungs[-1].kept_back_s == 0.1
    takes(it, "order", 0, 0.3, times=1)
    assert it.stages["score"].rungs[-1].kept_back_s > 0.29


@pytest.mark.parametrize(
    "stages", [(SCORE, SCORE), (stage("score", rung("full", 1), rung("full", 2)),)]
)
def test_names_differ(stages: tuple[Stage, ...]) -> None:
    with pytest.raises(ValueError, match="names must differ"):
        budgets(*stages)
