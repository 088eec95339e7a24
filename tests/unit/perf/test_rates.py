"""What servers did at the rates that they were offered."""

from dataclasses import replace

from inferd_perf.openload import Report
from inferd_perf.rates import Answers, Measurement, faults, standings
from inferd_perf.stats import Percentiles


def percentiles(count: int, p99_ms: float = 3.0) -> Percentiles:
    return Percentiles(count, p50_ms=1.0, p90_ms=2.0, p99_ms=p99_ms, p999_ms=4.0, max_ms=9.0)


REPORT = Report(
    elapsed_s=2.0,
    calls=100,
    in_time=80,
    late_ok=None,
    send_lag=percentiles(100),
    answers={"OK": percentiles(80)},
    sessions={},
    connections={},
    faults=(),
    generator_cpu_s=0.1,
    generator_cores=0.05,
    is_realtime=False,
)


def measurement(number: int, report: Report, rate: float = 50.0) -> Measurement:
    cores = {"python": 0.5, "worker": float(number)}
    return Measurement(
        side="a", round=number, rate=rate, report=report, server_cores=cores, other_cores=0.1
    )


def test_a_side_stands_with_the_medians_of_its_rounds() -> None:
    group = [measurement(i, replace(REPORT, in_time=n)) for i, n in enumerate([10, 90, 60])]

    (standing,) = standings(group, {"a": 40.0})

    assert (standing.in_time_per_s, standing.share) == (30.0, 0.6)
    assert standing.of_capacity == 0.75
    assert standing.server_cores == {"python": 0.5, "worker": 1.0}


def test_each_rate_has_a_standing_in_the_order_in_which_they_were_offered() -> None:
    group = [measurement(0, REPORT, rate) for rate in (200.0, 50.0)]

    assert [standing.rate for standing in standings(group, {})] == [200.0, 50.0]


def test_without_a_capacity_there_is_no_share_of_it() -> None:
    (standing,) = standings([measurement(0, REPORT)], {})

    assert standing.of_capacity is None


def test_answers_are_told_apart_by_status_and_a_round_without_them_had_none() -> None:
    refusing = replace(REPORT, answers={"OK": percentiles(60), "UNAVAILABLE": percentiles(40, 7.0)})

    (standing,) = standings([measurement(0, refusing), measurement(1, REPORT)], {})

    assert standing.answers["OK"] == Answers(35.0, 1.0, 3.0)
    assert standing.answers["UNAVAILABLE"] == Answers(10.0, 1.0, 7.0)


def test_late_and_missing_answers_are_added_up_over_the_rounds() -> None:
    bad = replace(
        REPORT,
        late_ok=percentiles(2),
        answers={"client:timed_out": percentiles(3), "client:not_sent": percentiles(1)},
    )

    (standing,) = standings([measurement(0, bad), measurement(1, bad), measurement(2, REPORT)], {})

    assert (standing.late, standing.latest_ms, standing.unanswered) == (4, 9.0, 8)


def test_faults_say_where_they_happened() -> None:
    bad = measurement(1, replace(REPORT, faults=("it broke",)), rate=1234.5)

    assert faults([measurement(0, REPORT), bad]) == ["a, round 2, 1234/s: it broke"]
