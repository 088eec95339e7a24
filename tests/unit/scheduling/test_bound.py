"""Smaller batches while some inputs make runs fail, and only then."""

import random
from collections.abc import Sequence

import pytest

from inferd.inference.scheduling import LatencyModel, buckets_of
from inferd.inference.scheduling.bound import Bound

MAX_BATCH = 64


def a_bound() -> Bound:
    latency = LatencyModel(buckets_of(MAX_BATCH))
    for rows in latency.buckets:
        latency.seed(rows, 0.001 + 0.0001 * rows)
    return Bound(MAX_BATCH, latency)


def after(bound: Bound, *, batches: int, every: int, rows: int = MAX_BATCH) -> Bound:
    """Let one in so many of the batches fail; never, for 0."""
    for number in range(batches):
        bound.note(rows, failed=bool(every) and number % every == 0)
    return bound


def test_while_nothing_fails_a_batch_may_be_as_large_as_the_model_takes() -> None:
    assert a_bound().rows == MAX_BATCH
    assert after(a_bound(), batches=100, every=0).rows == MAX_BATCH


def test_the_more_inputs_are_bad_the_smaller_are_the_batches() -> None:
    bounds = [after(a_bound(), batches=400, every=every).rows for every in (200, 20, 4, 1)]

    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] == MAX_BATCH > bounds[-2] > bounds[-1]


def test_what_it_says_does_not_depend_on_the_size_of_the_batches() -> None:
    large = after(a_bound(), batches=1000, every=2, rows=64)
    small = after(a_bound(), batches=1000, every=8, rows=16)

    assert large.rows == small.rows


def test_when_all_are_bad_each_runs_alone() -> None:
    assert after(a_bound(), batches=500, every=1, rows=2).rows == 1


def test_it_is_forgotten() -> None:
    bound = after(a_bound(), batches=100, every=2)
    assert bound.rows < MAX_BATCH

    assert after(bound, batches=500, every=0, rows=8).rows == MAX_BATCH


@pytest.mark.parametrize("bad", [0.003, 0.03, 0.3])
def test_the_size_is_the_one_that_serves_most_with_the_search_for_the_bad_counted(
    bad: float,
) -> None:
    rng = random.Random(1)

    def seconds(rows: int) -> float:
        return 0.001 + 0.0001 * rows

    def search(rows: Sequence[bool]) -> float:
        """Return what it takes to run these, where True stands for a bad one."""
        if not any(rows) or len(rows) == 1:
            return seconds(len(rows))
        middle = len(rows) // 2
        return seconds(len(rows)) + search(rows[:middle]) + search(rows[middle:])

    def rows_per_s(size: int) -> float:
        batches = [[rng.random() < bad for _ in range(size)] for _ in range(400)]
        return size * len(batches) / sum(map(search, batches))

    bound = a_bound()
    for _ in range(2000):
        bound.note(8, failed=any(rng.random() < bad for _ in range(8)))

    rates = {size: rows_per_s(size) for size in buckets_of(MAX_BATCH)}
    assert rates[bound.rows] >= 0.9 * max(rates.values())
