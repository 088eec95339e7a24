"""From a history, made up by hand, to figures."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inferd_perf.simulation.calls import Batch, Calls, History, Outcome
from inferd_perf.simulation.measures import max_min, measure
from support.simulated import MS, PLAIN, calls_of

OK, LATE, REFUSED = Outcome.OK, Outcome.LATE, Outcome.REFUSED
DROPPED, EXPIRED, FAILED = Outcome.DROPPED, Outcome.EXPIRED, Outcome.FAILED


def history_of(
    calls: Calls,
    outcomes: list[Outcome],
    ended_ms: list[float],
    *,
    call: list[int] | None = None,
    sent_ms: list[float] | None = None,
    runs: tuple[Batch, ...] = (),
) -> History:
    call = call or list(range(len(outcomes)))
    sent = calls.sent_ns if sent_ms is None else np.array(sent_ms) * MS
    outcome = np.array(outcomes)
    return History(
        calls=calls,
        call=np.array(call),
        sent_ns=sent,
        due_ns=sent + calls.within_ns[call],
        ended_ns=np.array([round(at * MS) for at in ended_ms]),
        outcome=outcome,
        admitted=outcome != REFUSED,
        runs=runs,
        loop_ns=250 * MS,
        end_ns=1000 * MS,
    )


def figures(history: History) -> dict[str, Any]:
    return measure(history, PLAIN, rows_per_s=10.0)


def test_shares_count_calls_and_goodput_counts_rows_in_the_simulated_time() -> None:
    calls = calls_of(0, 1, 2, 3, 995, rows=[1, 1, 1, 1, 3])

    found = figures(history_of(calls, [OK, LATE, REFUSED, DROPPED, OK], [2, 50, 2, 9, 1001]))

    assert found["success"] == 0.4
    assert found["goodput_of_capacity"] == 0.1  # the last one was answered when time was up
    assert found["slo_of_admitted"] == 0.5
    assert found["refused"] == found["late"] == 0.2
    assert found["offered_per_s"] == 5.0
    assert found["loop_busy"] == 0.25


def test_times_are_from_the_sending_to_the_answer_or_the_refusal() -> None:
    calls = calls_of(10, 10, 10, 10, 10)

    found = figures(history_of(calls, [OK, OK, REFUSED, DROPPED, EXPIRED], [12, 14, 10, 15, 110]))

    assert (found["p50_ms"], found["reject_ms_p50"]) == (3.0, 5.0)
    assert found["reject_ms_p99"] == pytest.approx(98.1)


def test_without_answers_there_is_no_latency_and_without_refusals_no_wait() -> None:
    none = figures(history_of(calls_of(0.0), [REFUSED], [0]))
    all_of_them = figures(history_of(calls_of(0.0), [OK], [1]))

    assert none["p50_ms"] is None
    assert all_of_them["reject_ms_p50"] == 0.0


def test_a_call_that_is_tried_again_counts_once_and_from_its_first_attempt() -> None:
    calls = calls_of(0, 1)
    history = history_of(
        calls, [REFUSED, REFUSED, OK], [0, 1, 30], call=[0, 1, 0], sent_ms=[0, 1, 20]
    )

    found = figures(history)

    assert found["success"] == 0.5
    assert found["p50_ms"] == 30.0
    assert found["attempts_per_request"] == 1.5


def test_poison_is_nobodys_failure() -> None:
    calls = calls_of(0, 1, 2, poison=[1])

    found = figures(history_of(calls, [OK, FAILED, LATE], [1, 2, 103]))

    assert found["success"] == 0.5
    assert found["slo_of_admitted"] == 0.5


def test_work_is_wasted_by_the_share_of_members_in_vain() -> None:
    runs = (
        Batch(0, 3 * MS, 0, 3, (0, 1, 2), gone=1, late=1),
        Batch(3 * MS, 4 * MS, 0, 1, (3,)),
    )
    calls = calls_of(0, 0, 0, 0)

    found = figures(history_of(calls, [OK, LATE, LATE, OK], [3, 3, 3, 4], runs=runs))

    assert found["wasted_work"] == 0.5
    assert found["utilisation"] == 0.004
    assert found["batch"] == 2.0


def test_padding_is_the_share_of_time_for_rows_that_nobody_sent() -> None:
    runs = (Batch(0, 4 * MS, 0, 3, (0,)), Batch(4 * MS, 8 * MS, 0, 4, (0,)))
    history = history_of(calls_of(0.0), [OK], [8], runs=runs)

    found = measure(history, replace(PLAIN, padded=True), rows_per_s=10.0)

    assert found["padding"] == 0.125


def test_classes_succeed_each_for_itself() -> None:
    calls = replace(calls_of(0, 1, 2), kind=np.array([0, 1, 1]), kinds=("a", "b", "c"))

    found = figures(history_of(calls, [OK, OK, REFUSED], [1, 2, 2]))

    assert found["by_class"] == {"a": 1.0, "b": 0.5, "c": 0.0}


def burst(bad_ms: tuple[float, float]) -> dict[str, Any]:
    """Return the figures of a call per millisecond, of which those sent in `bad_ms` fail."""
    sent = [float(at) for at in range(200)]
    calls = replace(calls_of(*sent), burst_over_ns=50 * MS)
    outcomes = [REFUSED if bad_ms[0] <= at < bad_ms[1] else OK for at in sent]
    return figures(history_of(calls, outcomes, sent))


def test_the_server_has_recovered_after_the_last_bin_in_which_calls_failed() -> None:
    assert burst((0.0, 0.0))["recovery_ms"] == 0.0
    assert burst((0.0, 60.0))["recovery_ms"] == 20.0
    assert burst((0.0, 95.0))["recovery_ms"] == 60.0
    assert burst((190.0, 200.0))["recovery_ms"] is None
    assert figures(history_of(calls_of(0.0), [OK], [1]))["recovery_ms"] is None


def shared(served_by: dict[int, int], asked_by: dict[int, int], capacity: float) -> float:
    """Jain's index when callers asked for and got so many rows in a second."""
    caller, outcomes = [], []
    for who, asked in asked_by.items():
        caller += [who] * asked
        outcomes += [OK] * served_by[who] + [REFUSED] * (asked - served_by[who])
    calls = replace(calls_of(*[0.0] * len(caller)), caller=np.array(caller), named=True)
    history = history_of(calls, outcomes, [1.0] * len(caller))
    jain: float = measure(history, PLAIN, rows_per_s=capacity)["jain"]
    return jain


def test_it_is_fair_to_give_everybody_an_equal_part_of_what_they_ask_for() -> None:
    asked = {0: 100, 1: 10, 2: 10}

    assert shared({0: 30, 1: 10, 2: 10}, asked, 50.0) == 1.0
    assert shared({0: 50, 1: 0, 2: 0}, asked, 50.0) == pytest.approx(1 / 3, abs=1e-4)
    assert shared({0: 42, 1: 4, 2: 4}, asked, 50.0) < 0.85


def test_max_min_shares_leave_nothing_over_and_nobody_short() -> None:
    assert max_min([100, 10, 10], 50) == [30, 10, 10]
    assert max_min([100, 10, 40], 60) == [25, 10, 25]
    assert max_min([5, 5], 60) == [5, 5]
