"""What a server keeps of clients who have gone."""

from dataclasses import replace

import pytest

from inferd_perf.churn import SPARE_FILES, Outcome, Reading, faults, growth
from inferd_perf.openload import Report

REPORT = Report(
    elapsed_s=2.0,
    calls=100,
    in_time=80,
    late_ok=None,
    send_lag=None,
    answers={},
    sessions={"answered": 9},
    connections={"failed": 0},
    faults=(),
    generator_cpu_s=0.1,
    generator_cores=0.05,
    is_realtime=False,
)


def outcome(rss: list[int], files_after: int = 20, report: Report = REPORT) -> Outcome:
    readings = [Reading(float(i), value, 50) for i, value in enumerate(rss)]
    return Outcome(report, Reading(0.0, rss[0], 20), readings, Reading(9.0, rss[-1], files_after))


def test_what_fills_up_at_first_is_not_growth() -> None:
    assert growth([10, 60, 100, 100, 100, 100, 100, 100, 100]) == 0.0


def test_growth_is_that_of_the_last_third() -> None:
    assert growth([100] * 6 + [150] * 3) == pytest.approx(0.5)


def test_one_high_reading_is_not_growth() -> None:
    assert growth([100, 100, 100, 100, 900, 100, 100, 900, 100]) == 0.0


def test_a_flat_server_has_no_faults() -> None:
    assert faults(outcome([100] * 9, files_after=20 + SPARE_FILES), most=0.02) == []


def test_faults_name_memory_connections_and_refusals() -> None:
    refused = replace(REPORT, connections={"failed": 3}, faults=("no call was measured",))

    found = faults(outcome([100] * 6 + [110] * 3, 20 + SPARE_FILES + 5, refused), most=0.02)

    assert found == [
        "no call was measured",
        "memory grew by 10.0%, allowed 2.0%",
        "5 files were left open",
        "3 connections were refused",
    ]
