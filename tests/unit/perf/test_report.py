"""Figures as text and JSON."""

import json

import pytest

from inferd_perf import rates, report
from inferd_perf.churn import Outcome, Reading
from inferd_perf.openload import Report
from inferd_perf.rounds import Standing
from inferd_perf.schedule import Window
from inferd_perf.stats import Percentiles, Summary, Tally


def summary() -> Summary:
    tally = Tally(Window(0.0, 1.0), deadline_s=0.1)
    for i in range(10):
        tally.send(i / 10, i / 10)
        tally.answer(i / 10, i / 10 + 0.002, "OK")
    tally.answer(0.5, 0.7, "OK")
    tally.answer(0.5, 0.501, "UNAVAILABLE")
    return tally.summary()


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (0.01234, "0.0123"), (12.34, "12.3"), (123456.7, "123,457")],
)
def test_numbers_have_three_significant_digits_and_are_never_scientific(
    value: float | None, text: str
) -> None:
    assert report.number(value) == text


def test_a_table_aligns_names_left_and_numbers_right() -> None:
    assert report.table(["side", "n"], [["a", "1"], ["bcdef", "100"]]).splitlines() == [
        "side     n",
        "a        1",
        "bcdef  100",
    ]


def test_a_run_shows_every_figure_and_its_verdict() -> None:
    text = report.run_text("title", summary(), 0.5, [])

    assert text.startswith("title\n")
    assert "OK 11 (1 late)  UNAVAILABLE 1" in text
    assert "goodput     10 /s" in text
    assert "0.50 cores" in text
    assert text.endswith("VALID")


def test_an_invalid_run_says_why() -> None:
    assert report.verdict_line(["a", "b"]) == "INVALID: a; b"


def test_json_carries_the_verdict_and_survives_a_round_trip() -> None:
    values = report.run_json({"rate": 10}, summary(), 0.5, ["late"])

    read = json.loads(json.dumps(values))

    assert (read["valid"], read["faults"]) == (False, ["late"])
    assert read["summary"]["statuses"] == {"OK": 11, "UNAVAILABLE": 1}
    assert read["summary"]["latency"]["count"] == 11


def test_progress_says_which_phase_it_is() -> None:
    window = Window(1.0, 2.0)
    tally = Tally(window, 0.1)
    tally.send(0.0, 0.0)

    assert report.progress_line(0.5, window, tally) == (
        "warm-up 0.5/3.0 s  sent 1  in flight 1  in time 0"
    )
    assert report.progress_line(1.5, window, tally).startswith("measuring 1.5/3.0 s")


def test_a_comparison_names_what_its_ratios_refer_to() -> None:
    standing = Standing(
        side="inferd",
        concurrency=64,
        rows_per_s=3000.0,
        lowest_rows_per_s=2900.0,
        highest_rows_per_s=3100.0,
        p50_ms=12.0,
        p99_ms=None,
        cpu_us_per_row=250.0,
        ratio=8.123,
    )

    lines = report.comparison_text("title", [standing], "plain", []).splitlines()

    assert lines[2].split("  ")[0] == "side"
    assert "x plain" in lines[2]
    assert lines[3].split() == ["inferd", "64", "3,000", "2,900..3,100", "8.12", "12", "-", "250"]


def test_an_overload_tells_answers_apart_and_where_the_cpu_went() -> None:
    standing = rates.Standing(
        side="envoy",
        rate=2400.0,
        capacity=1200.0,
        in_time_per_s=1080.0,
        share=0.45,
        answers={
            "OK": rates.Answers(1080.0, 20.0, 45.0),
            "UNAVAILABLE": rates.Answers(1320.0, 0.5, 1.5),
        },
        late=3,
        latest_ms=0.25,
        unanswered=0,
        lag_p99_ms=0.5,
        server_cores={"wrk:worker": 0.75, "idle": 0.001},
        generator_cores=0.1,
        other_cores=0.0,
    )

    text = report.overload_text("title", [standing], ["it was late"])

    assert "capacity: envoy 1,200/s" in text
    words = [line.split() for line in text.splitlines()]
    assert ["envoy", "2,400", "1,080", "45.0%", "90.0%", "3", "0.25", "0", "0.5"] in words
    assert ["envoy", "2,400", "UNAVAILABLE", "1,320", "0.5", "1.5"] in words
    assert "envoy at 2,400/s: wrk:worker 0.75  generator 0.10" in text
    assert text.endswith("INVALID: it was late")


def test_a_churn_shows_memory_sessions_and_answers() -> None:
    seen = Report(
        elapsed_s=1.0,
        calls=1,
        in_time=1,
        late_ok=None,
        send_lag=None,
        answers={"OK": Percentiles(1234, 1.0, 1.0, 1.0, 1.0, 1.0)},
        sessions={"answered": 5, "crashed": 6},
        connections={},
        faults=(),
        generator_cpu_s=0.0,
        generator_cores=0.0,
        is_realtime=False,
    )
    readings = [Reading(float(i), 100_000_000 + i * 1_000_000, 30) for i in range(3)]
    outcome = Outcome(seen, readings[0], readings, readings[2])

    text = report.churn_text("title", {"envoy": outcome}, [])

    assert "answered 5  crashed 6" in text
    assert "OK 1,234" in text
    assert "100.0 to 102.0" in text
    assert "+0.99% over the last two thirds" in text
