"""The simulator against the server: the same figures of both."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inferd.inference.scheduling import Mode
from inferd_perf.foretell import foretold
from inferd_perf.planned import Ended, Planned
from inferd_perf.simulation.calls import Calls
from inferd_perf.simulation.engine import Engine
from inferd_perf.simulation.front import MEASURED
from inferd_perf.simulation.served import discipline
from inferd_perf.simulation.suites import MLP_LARGE, find
from inferd_perf.validation import (
    Figures,
    Pair,
    Verdict,
    figures_of,
    planned_of,
    seen_of_server,
    sizes_of,
    typical_miss,
    validation_text,
    verdict_json,
    verdicts,
)

MS = 1_000_000


def calls(*within_ms: int, rows: tuple[int, ...] = ()) -> Calls:
    """Return calls that leave at 0, 1, 2, … ms."""
    drawn = find("w1").workload.calls(rows_per_s=1e4, duration_s=0.1, seed=1)
    n = len(within_ms)
    return replace(
        drawn,
        sent_ns=np.arange(n) * MS,
        within_ns=np.array(within_ms, np.int64) * MS,
        rows=np.array(rows or [1] * n),
    )


FIGURES = Figures(
    offered_per_s=1000.0,
    goodput_per_s=800.0,
    success=0.8,
    p50_ms=10.0,
    p99_ms=20.0,
    refused=0.2,
    refused_p50_ms=1.0,
    refused_p99_ms=2.0,
    batch=8.0,
)


def verdict(**changes: Any) -> Verdict:
    return Verdict(workload="w1", load=1.2, server=FIGURES, simulated=replace(FIGURES, **changes))


def test_the_server_gets_the_calls_of_the_simulator() -> None:
    given = calls(25, 50, 25, rows=(4, 1, 4))

    assert sizes_of(given) == [1, 4]
    assert planned_of(given) == [
        Planned(0, 25 * MS, body=1),
        Planned(1 * MS, 51 * MS, body=0),
        Planned(2 * MS, 27 * MS, body=1),
    ]


def test_answers_in_time_late_ones_refusals_and_silence_are_told_apart() -> None:
    ends = [
        Ended(0, "OK", 10 * MS),
        Ended(1, "OK", 26 * MS),
        Ended(2, "UNAVAILABLE", 1 * MS),
        Ended(4, "client:timed_out", 35 * MS),
    ]
    seen = seen_of_server(calls(25, 25, 25, 25, 25), ends)

    figures = figures_of(seen, duration_s=0.5, batch=2.0)

    assert (figures.offered_per_s, figures.goodput_per_s) == (8.0, 2.0)
    assert (figures.success, figures.refused) == (0.25, 0.25)
    assert (figures.refused_p50_ms, figures.refused_p99_ms) == (1.0, 1.0)
    assert figures.p50_ms == 10.0
    assert figures.batch == 2.0


def test_every_call_is_held_against_its_own_deadline() -> None:
    ends = [Ended(1, "OK", 30 * MS), Ended(2, "OK", 30 * MS)]

    figures = figures_of(seen_of_server(calls(9, 50, 25), ends), duration_s=1.0, batch=None)

    assert figures.goodput_per_s == 1.0


def test_a_run_of_nothing_has_no_percentiles() -> None:
    figures = figures_of(seen_of_server(calls(25), []), duration_s=1.0, batch=None)

    assert (figures.success, figures.p99_ms, figures.refused_p50_ms) == (0.0, None, None)


@pytest.mark.parametrize("scheduling", [mode.value for mode in Mode])
def test_the_simulator_is_reduced_to_the_same_figures(scheduling: str) -> None:
    warmup_s, duration_s = 0.05, 0.15
    given = find("w1-50").workload.calls(
        rows_per_s=0.5 * MLP_LARGE.rows_per_s, duration_s=warmup_s + duration_s, seed=1
    )
    chosen = discipline(scheduling, MLP_LARGE, 0.5, 1)
    history = Engine(chosen, MLP_LARGE, given, front=MEASURED).run()

    figures = foretold(history, warmup_s=warmup_s, duration_s=duration_s)

    measured = int((given.sent_ns >= warmup_s * 1e9).sum())
    assert figures.offered_per_s == pytest.approx(measured / duration_s)
    assert figures.success > 0.99
    assert figures.goodput_per_s == pytest.approx(figures.success * figures.offered_per_s)
    assert figures.p50_ms is not None
    assert figures.p50_ms > MLP_LARGE.seconds(1) * 1000
    assert figures.batch is not None
    assert 1 <= figures.batch <= 64


def test_a_difference_is_a_share_of_what_the_server_did() -> None:
    found = verdict(goodput_per_s=840.0, p99_ms=17.0, refused_p50_ms=None)

    assert found.off("goodput_per_s") == pytest.approx(0.05)
    assert found.off("p99_ms") == pytest.approx(-0.15)
    assert found.off("refused_p50_ms") is None


def test_nothing_is_compared_with_nothing() -> None:
    nothing = replace(FIGURES, goodput_per_s=0.0, p99_ms=None)
    found = replace(verdict(), server=nothing)

    assert (found.off("goodput_per_s"), found.off("p99_ms")) == (None, None)
    assert found.misses == []


@pytest.mark.parametrize(
    ("changes", "misses"),
    [
        ({}, []),
        ({"goodput_per_s": 800 * 1.049, "p99_ms": 20 * 0.851}, []),
        ({"goodput_per_s": 800 * 0.94}, ["goodput_per_s"]),
        ({"p99_ms": 20 * 1.16}, ["p99_ms"]),
        ({"p50_ms": 100.0, "refused": 0.9, "batch": 64.0}, []),
    ],
)
def test_the_simulator_is_held_to_goodput_and_p99(
    changes: dict[str, float], misses: list[str]
) -> None:
    assert verdict(**changes).misses == misses


def pair(number: int, goodput: float, p99_ms: float | None = 20.0) -> Pair:
    figures = replace(FIGURES, goodput_per_s=goodput, p99_ms=p99_ms)
    return Pair(workload="w1", load=1.2, round=number, server=figures, simulated=FIGURES)


def test_rounds_are_judged_by_their_medians() -> None:
    pairs = [pair(0, 100.0), pair(1, 900.0, None), pair(2, 820.0, 30.0)]

    (found,) = verdicts([*pairs])

    assert (found.server.goodput_per_s, found.server.p99_ms) == (820.0, 25.0)
    assert found.simulated == FIGURES


def test_workloads_and_loads_are_judged_by_themselves() -> None:
    other = replace(pair(0, 1.0), load=2.0)

    assert [each.load for each in verdicts([pair(0, 1.0), other, pair(1, 1.0)])] == [1.2, 2.0]


def test_the_typical_miss_has_no_sign() -> None:
    found = [verdict(goodput_per_s=800 * each) for each in (0.9, 1.02, 1.3)]

    assert typical_miss(found, "goodput_per_s") == pytest.approx(0.1)
    assert typical_miss([], "goodput_per_s") is None


def test_the_text_has_both_sides_the_difference_and_the_verdict() -> None:
    text = validation_text("title", [verdict(goodput_per_s=880.0), verdict()])

    lines = text.splitlines()
    assert lines[0] == "title"
    assert [line.split()[2] for line in lines[3:9]] == ["server", "simulated", "off"] * 2
    assert "+10.0%" in lines[5]
    assert "misses: goodput_per_s" in lines[5]
    assert lines[8].rstrip().endswith("holds")
    assert "1 of 2 within 5% of the goodput and 15% of the p99" in text


def test_a_verdict_is_plain_values() -> None:
    found = verdict_json(verdict(goodput_per_s=880.0))

    assert found["off"]["goodput_per_s"] == pytest.approx(0.1)
    assert found["misses"] == ["goodput_per_s"]
    assert found["server"]["p99_ms"] == 20.0
