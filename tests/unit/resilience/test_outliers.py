"""When an instance must go, when a run hangs, and how long to wait before the next attempt."""

import math

import pytest

from inferd.config.resilience import Outliers as Config
from inferd.resilience.outliers import Outliers

#: What takes so long to build may have long pauses.
SLOW_S = 100.0


def outliers(**settings: object) -> Outliers:
    return Outliers(Config.model_validate(settings))


def runs(it: Outliers, index: int, *good: bool) -> list[bool]:
    return [it.ran(index, good=each) for each in good]


def test_an_instance_must_go_after_so_many_failed_runs_in_a_row() -> None:
    assert runs(outliers(consecutive_failures=3), 0, False, False, False) == [False, False, True]


def test_a_single_right_answer_clears_it() -> None:
    it = outliers(consecutive_failures=2)

    assert runs(it, 0, False, True, False, True, False) == [False] * 5
    assert runs(it, 0, False) == [True]


def test_instances_are_judged_each_for_itself() -> None:
    it = outliers(consecutive_failures=2)

    assert runs(it, 0, False) == runs(it, 1, False) == [False]
    assert runs(it, 1, True) == [False]
    assert runs(it, 0, False) == [True]


@pytest.mark.parametrize(
    ("predicted_s", "limit_s"), [(0.0, 1.0), (0.01, 1.0), (0.1, 1.0), (0.2, 2.0), (3.0, 30.0)]
)
def test_a_run_hangs_after_many_times_what_was_predicted_and_not_too_soon(
    predicted_s: float, limit_s: float
) -> None:
    it = outliers(hung_factor=10, hung_min_ms=1000)

    assert it.limit_s(predicted_s) == pytest.approx(limit_s)


def test_the_pauses_grow_up_to_the_longest() -> None:
    it = outliers(rebuild_s=0.2, rebuild_max_s=1.0)

    assert [it.pause_s(0, SLOW_S) for _ in range(5)] == pytest.approx([0.2, 0.4, 0.8, 1.0, 1.0])
    assert it.pause_s(1, SLOW_S) == pytest.approx(0.2), "the other has not been ejected yet"


@pytest.mark.parametrize(("build_s", "longest_s"), [(0.0, 0.2), (0.01, 0.2), (0.05, 0.5), (9, 30)])
def test_what_is_quickly_built_is_often_tried(build_s: float, longest_s: float) -> None:
    it = outliers(rebuild_s=0.2, rebuild_max_s=30.0)

    assert max(it.pause_s(0, build_s) for _ in range(20)) == pytest.approx(longest_s)


def test_a_thousand_failed_attempts_are_no_more_than_the_longest_pause() -> None:
    it = outliers(rebuild_s=0.001, rebuild_max_s=30.0)

    assert [it.pause_s(0, SLOW_S) for _ in range(1500)][-1] == 30.0


def test_a_longest_pause_below_the_first_is_the_only_one() -> None:
    it = outliers(rebuild_s=2.0, rebuild_max_s=1.0)

    assert [it.pause_s(0, SLOW_S), it.pause_s(0, SLOW_S)] == [1.0, 1.0]


def test_only_who_has_served_somebody_since_has_made_a_new_beginning() -> None:
    it = outliers(consecutive_failures=1, rebuild_s=0.2)
    runs(it, 0, False)
    it.pause_s(0, SLOW_S)

    runs(it, 0, False)
    assert it.pause_s(0, SLOW_S) == pytest.approx(0.4)
    runs(it, 0, True)
    assert it.pause_s(0, SLOW_S) == pytest.approx(0.2)


def test_nobody_must_go_and_nothing_hangs_where_that_is_not_wanted() -> None:
    it = outliers(enabled=False, consecutive_failures=1)

    assert runs(it, 0, False, False) == [False, False]
    assert it.limit_s(1.0) == math.inf


def test_good_runs_are_news_after_a_failed_one_and_after_an_ejection() -> None:
    it = outliers(consecutive_failures=5)
    told = [it.all_well]
    for change in (
        lambda: it.ran(0, good=False), lambda: it.ran(0, good=True), lambda: it.pause_s(0, SLOW_S),
        lambda: it.ran(1, good=True), lambda: it.ran(0, good=True),
    ):  # fmt: skip
        change()
        told.append(it.all_well)

    assert told == [True, False, True, False, False, True]


def test_a_successor_has_as_many_failures_to_go_as_anybody() -> None:
    it = outliers(consecutive_failures=2)
    assert runs(it, 0, False, False) == [False, True]

    it.pause_s(0, SLOW_S)

    assert runs(it, 0, False, False) == [False, True]
