"""What is counted where, and what follows from it."""

import asyncio
import math

import pytest

from inferd.telemetry.event_loop import LoopLag
from inferd.telemetry.statistics import (
    RATIOS,
    Duration,
    Histogram,
    LoadStatistics,
    ModelStatistics,
)


def some_statistics() -> ModelStatistics:
    return ModelStatistics(
        "m",
        "1",
        latency_bounds_s=(0.001, 0.01, 0.1),
        batch_bounds=(1, 2, 4),
        wall_ns=lambda: 1_700_000_000_123_456_789,
    )


def answer(
    statistics: ModelStatistics, *, total_s: float = 0.007, slack_s: float = 0.05, rows: int = 1
) -> None:
    statistics.answered(
        queue_s=0.002,
        batch_wait_s=0.0005,
        compute_s=0.004,
        total_s=total_s,
        slack_s=slack_s,
        rows=rows,
    )


def run_batch(statistics: ModelStatistics, *, size: int, rows: int, reason: str = "FULL") -> None:
    statistics.batch_done(
        size=size, rows=rows, reason=reason, input_s=0.001, infer_s=0.004, output_s=0.002
    )


def test_a_value_on_a_bound_belongs_to_it() -> None:
    histogram = Histogram((1, 2))

    for value in (0.5, 1, 1.5, 2, 2.5):
        histogram.observe(value)

    assert histogram.counts == [2, 2, 1]
    assert histogram.cumulative() == [2, 4, 5]
    assert histogram.count == 5
    assert histogram.sum == 7.5


@pytest.mark.parametrize("bounds", [(2, 1), (1, 1)])
def test_bounds_that_do_not_ascend_are_refused(bounds: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must ascend"):
        Histogram(bounds)


def test_an_answer_counts_its_rows_and_where_its_time_went() -> None:
    statistics = some_statistics()

    answer(statistics, rows=3)
    answer(statistics, rows=1)

    assert statistics.inference_count == 4
    assert statistics.success == Duration(2, 14_000_000)
    assert statistics.queue == Duration(2, 5_000_000), "until the run, not until the pick"
    assert statistics.queue_s.counts == [0, 2, 0, 0]
    assert statistics.batch_wait_s.counts == [2, 0, 0, 0]
    assert statistics.compute_s.counts == [0, 2, 0, 0]
    assert statistics.slack_s.counts == [0, 0, 0, 2, 0]
    assert statistics.fail == Duration(0, 0)


def test_no_deadline_leaves_no_slack() -> None:
    statistics = some_statistics()

    answer(statistics, slack_s=math.inf)

    assert statistics.slack_s.count == 0
    assert statistics.slack_s.sum == 0


@pytest.mark.parametrize("slack_s", [-0.001, 0.0])
def test_a_late_answer_has_a_bucket_of_its_own(slack_s: float) -> None:
    statistics = some_statistics()

    answer(statistics, slack_s=slack_s)

    assert statistics.slack_s.bounds[0] == 0
    assert statistics.slack_s.counts[0] == 1


def test_a_batch_counts_once_by_its_rows_and_for_every_request_in_it() -> None:
    statistics = some_statistics()

    run_batch(statistics, size=3, rows=4, reason="FULL")
    run_batch(statistics, size=1, rows=4, reason="TIGHT")
    run_batch(statistics, size=1, rows=1, reason="FULL")

    assert statistics.execution_count == 3
    assert statistics.inference_count == 0, "rows count when they are answered"
    assert statistics.compute_input == Duration(5, 5_000_000)
    assert statistics.compute_infer == Duration(5, 20_000_000)
    assert statistics.compute_output == Duration(5, 10_000_000)
    assert statistics.closed == {"FULL": 2, "TIGHT": 1}
    assert statistics.batch_rows.counts == [1, 0, 2, 0]
    assert statistics.last_inference_ms == 1_700_000_000_123
    of_four = statistics.batches[4]
    assert (of_four.count, of_four.input_ns, of_four.infer_ns, of_four.output_ns) == (
        2,
        2_000_000,
        8_000_000,
        4_000_000,
    )


def test_instances_are_busy_once_for_a_batch_whoever_is_in_it() -> None:
    statistics = some_statistics()

    run_batch(statistics, size=3, rows=4)
    run_batch(statistics, size=1, rows=1)

    assert statistics.busy_s == pytest.approx(2 * 0.007)


def test_predictions_are_counted_by_how_far_they_were_off() -> None:
    statistics = some_statistics()

    for took_s in (0.5, 1.0, 1.0, 3.0):
        statistics.predicted(1.0, took_s)
    statistics.predicted(0.0, 1.0)

    counts = dict(zip(RATIOS, statistics.prediction.counts, strict=False))
    assert {ratio: count for ratio, count in counts.items() if count} == {0.5: 1, 1.0: 2, 4.0: 1}
    assert statistics.prediction.sum == 5.5, "where nothing was predicted, nothing is off"


@pytest.mark.parametrize(
    ("reason", "tritons"),
    [
        ("MODEL_FAILED", "BACKEND"),
        ("BACKEND", "BACKEND"),
        ("CANCELED", "CANCELED"),
        ("INTERNAL", "OTHER"),
    ],
)
def test_a_failure_is_told_in_tritons_words(reason: str, tritons: str) -> None:
    statistics = some_statistics()

    statistics.failed(reason, 0.25)

    assert {key: count for key, count in statistics.failures.items() if count} == {tritons: 1}
    assert statistics.fail == Duration(1, 250_000_000)
    assert statistics.drops == {}


@pytest.mark.parametrize(
    ("reason", "tritons"),
    [("SHED", "REJECTED"), ("LATE_DROP", "REJECTED"), ("CANCELLED", "CANCELED")],
)
def test_a_drop_is_told_in_our_words_and_tritons(reason: str, tritons: str) -> None:
    statistics = some_statistics()

    statistics.dropped(reason, 0.25)

    assert statistics.drops == {reason: 1}
    assert {key: count for key, count in statistics.failures.items() if count} == {tritons: 1}
    assert statistics.fail == Duration(1, 250_000_000)


def test_only_callers_who_left_are_cancelled() -> None:
    statistics = some_statistics()

    statistics.dropped("CANCELLED", 0.25)
    statistics.dropped("SHED", 0.5)

    assert statistics.cancel == Duration(1, 250_000_000)
    assert statistics.fail == Duration(2, 750_000_000)


def test_a_load_that_succeeds_forgets_why_the_last_one_failed() -> None:
    loads = LoadStatistics()

    loads.load_failed("m", "no such file")
    assert loads.reasons == {"m": "no such file"}
    loads.loaded("m", "1", 1.5)

    assert loads.reasons == {}
    assert loads.failures == {"m": 1}, "a counter never goes back"
    assert loads.durations_s == {("m", "1"): 1.5}
    loads.unloaded("m", "1")
    assert loads.durations_s == {}


async def test_the_loop_is_late_by_as_much_as_something_held_it() -> None:
    lag, loop = LoopLag(interval_s=0.25), asyncio.get_running_loop()
    now = loop.time
    held_s = 0.0
    loop.time = lambda: now() + held_s  # type: ignore[method-assign]
    sampler = asyncio.create_task(lag.sample())

    await asyncio.sleep(0.6)
    assert lag.histogram.count == 2
    assert lag.histogram.sum == pytest.approx(0)
    held_s = 0.3  # time passes between two turns of the loop: something held it
    await asyncio.sleep(0.2)
    sampler.cancel()

    assert lag.histogram.count == 3
    assert lag.histogram.sum == pytest.approx(0.15), "due at 0.75, woken at 0.9"
