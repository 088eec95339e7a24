"""Turns, medians and ratios of a comparison."""

import pytest

from inferd_perf.rounds import Measurement, Point, faults, limit_at, standings, turns


def measurement(side: str, number: int, rows_per_s: float, concurrency: int = 1) -> Measurement:
    return Measurement(side=side, round=number, concurrency=concurrency, rows_per_s=rows_per_s)


def test_sides_take_turns() -> None:
    assert turns(["a", "b"], 2) == [(0, "a"), (0, "b"), (1, "a"), (1, "b")]


def test_a_side_stands_with_the_median_and_the_range_of_its_rounds() -> None:
    rates = [10.0, 40.0, 20.0]

    (standing,) = standings([measurement("a", i, r) for i, r in enumerate(rates)], "a")

    assert standing.rows_per_s == 20.0
    assert (standing.lowest_rows_per_s, standing.highest_rows_per_s) == (10.0, 40.0)
    assert standing.ratio == 1.0


def test_ratios_are_taken_at_the_same_concurrency() -> None:
    measured = [
        measurement("a", 0, 30.0, 1),
        measurement("b", 0, 10.0, 1),
        measurement("a", 0, 400.0, 64),
        measurement("b", 0, 100.0, 64),
    ]

    found = {(s.concurrency, s.side): s.ratio for s in standings(measured, "b")}

    assert found == {(1, "a"): 3.0, (1, "b"): 1.0, (64, "a"): 4.0, (64, "b"): 1.0}


@pytest.mark.parametrize("reference", ["absent", "idle"])
def test_there_is_no_ratio_to_nothing(reference: str) -> None:
    measured = [measurement("a", 0, 30.0), measurement("idle", 0, 0.0)]

    assert {s.ratio for s in standings(measured, reference)} == {None}


def test_figures_that_a_side_does_not_have_stay_away() -> None:
    with_p50 = Measurement(side="a", round=1, concurrency=1, rows_per_s=1.0, p50_ms=2.0)

    (standing,) = standings([measurement("a", 0, 1.0), with_p50], "a")

    assert (standing.p50_ms, standing.p99_ms, standing.cpu_us_per_row) == (2.0, None, None)


POINTS = [Point(1, 100.0, 10_000.0), Point(8, 500.0, 16_000.0), Point(64, 400.0, 160_000.0)]


@pytest.mark.parametrize(
    ("concurrency", "rows", "batch"), [(1, 1, 1), (7, 1, 1), (8, 1, 8), (2, 4, 8), (64, 1, 8)]
)
def test_the_limit_is_the_best_batch_that_the_callers_can_fill(
    concurrency: int, rows: int, batch: int
) -> None:
    assert limit_at(POINTS, concurrency, rows).batch == batch


def test_the_limit_is_never_below_the_smallest_batch_measured() -> None:
    assert limit_at(POINTS[1:], 1, 1).batch == 8


def test_faults_say_where_they_happened() -> None:
    bad = Measurement(side="a", round=1, concurrency=64, rows_per_s=0.0, faults=("it broke",))

    assert faults([measurement("b", 0, 1.0), bad]) == ["a, round 2, concurrency 64: it broke"]
