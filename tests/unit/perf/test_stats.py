"""The tally of a run and the verdict on the generator."""

import pytest

from inferd_perf.schedule import Window
from inferd_perf.stats import Durations, Tally, faults


def tally(*, warmup_s: float = 0.0, count: int | None = None) -> Tally:
    return Tally(Window(warmup_s, duration_s=10.0, count=count), deadline_s=0.1)


def answered(into: Tally, at: float, latency: float, status: str = "OK", lag: float = 0.0) -> None:
    into.send(at, at + lag)
    into.answer(at, at + latency, status)


def test_percentiles_are_in_milliseconds() -> None:
    durations = Durations()

    for i in range(1, 1001):
        durations.record(i / 1000)

    summary = durations.summary()
    assert summary is not None
    assert summary.count == 1000
    assert summary.p50_ms == pytest.approx(500, rel=0.002)
    assert summary.p90_ms == pytest.approx(900, rel=0.002)
    assert summary.p99_ms == pytest.approx(990, rel=0.002)
    assert summary.p999_ms == pytest.approx(999, rel=0.002)
    assert summary.max_ms == pytest.approx(1000, rel=0.002)


def test_durations_outside_the_histogram_are_counted_at_its_ends() -> None:
    durations = Durations()

    durations.record(-1.0)
    durations.record(1e9)

    summary = durations.summary()
    assert summary is not None
    assert (summary.count, summary.p50_ms) == (2, 0.001)
    assert summary.max_ms == pytest.approx(120_000, rel=0.002)


def test_nothing_recorded_has_no_percentiles() -> None:
    assert Durations().summary() is None


def test_goodput_counts_only_ok_answers_within_the_deadline() -> None:
    run = tally()

    answered(run, 1.0, 0.05)
    answered(run, 2.0, 0.2)
    answered(run, 3.0, 0.05, "DEADLINE_EXCEEDED")
    summary = run.summary()

    assert (summary.good, summary.late, summary.requests) == (1, 1, 3)
    assert summary.goodput_rps == pytest.approx(0.1)
    assert summary.throughput_rps == pytest.approx(0.3)
    assert summary.statuses == {"OK": 2, "DEADLINE_EXCEEDED": 1}


def test_latency_is_that_of_ok_answers_and_failures_stand_apart() -> None:
    run = tally()

    answered(run, 1.0, 0.05)
    answered(run, 1.0, 0.001, "UNAVAILABLE")
    summary = run.summary()

    assert summary.latency is not None
    assert summary.failure_latency is not None
    assert summary.latency.max_ms == pytest.approx(50, rel=0.002)
    assert summary.failure_latency.max_ms == pytest.approx(1, rel=0.002)


def test_latency_counts_from_the_intended_time_so_a_stall_shows() -> None:
    run = tally()

    run.send(1.0, 4.0)
    run.answer(1.0, 4.001, "OK")
    summary = run.summary()

    assert summary.latency is not None
    assert summary.latency.max_ms == pytest.approx(3001, rel=0.002)
    assert summary.late == 1


def test_the_warm_up_is_not_measured() -> None:
    run = tally(warmup_s=1.0)

    answered(run, 0.5, 0.05, lag=0.5)
    run.skip(0.5)
    summary = run.summary()

    assert (run.sent, run.answered) == (1, 1)
    assert (summary.requests, summary.skipped, summary.lag) == (0, 0, None)


def test_rates_are_taken_over_the_time_until_the_last_answer() -> None:
    run = tally()

    answered(run, 9.0, 11.0)

    assert run.summary().elapsed_s == pytest.approx(20.0)


def test_a_run_bounded_by_its_count_does_not_wait_for_the_window() -> None:
    run = tally(warmup_s=1.0, count=1)

    answered(run, 1.5, 0.5)

    assert run.summary().elapsed_s == pytest.approx(1.0)


def test_requests_in_flight_are_sent_and_not_answered() -> None:
    run = tally()

    run.send(1.0, 1.0)
    run.send(1.0, 1.0)
    run.answer(1.0, 2.0, "OK")

    assert run.in_flight == 1
    assert repr(run) == "<Tally sent=2 answered=1 {'OK': 1}>"


def test_a_punctual_run_is_valid() -> None:
    run = tally()

    for _ in range(100):
        answered(run, 1.0, 0.01, lag=0.0009)

    assert faults(run.summary()) == []


def test_a_few_late_sends_are_forgiven_and_many_are_not() -> None:
    run = tally()
    for _ in range(1000):
        answered(run, 1.0, 0.01)

    for _ in range(5):
        answered(run, 1.0, 0.01, lag=0.005)
    forgiven = faults(run.summary())
    for _ in range(20):
        answered(run, 1.0, 0.01, lag=0.005)

    assert forgiven == []
    assert faults(run.summary()) == ["the generator sent late: lag p99 5 ms, limit 1"]


def test_a_run_that_measured_nothing_is_invalid() -> None:
    assert faults(tally().summary()) == ["no request was measured"]


def test_a_run_that_dropped_arrivals_is_invalid() -> None:
    run = tally()
    answered(run, 1.0, 0.01)

    run.skip(2.0)

    assert faults(run.summary()) == ["the generator dropped 1 arrivals: too many in flight"]
