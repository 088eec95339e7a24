"""From a server that is measured to one that is foretold: here, a server that is simulated, too."""

from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from inferd_perf.calibration import Batches, Sounding, slowed
from inferd_perf.foretell import Plan, calibrate, compare
from inferd_perf.payload import Recipe
from inferd_perf.planned import Ended
from inferd_perf.replay import Manner, Replayed
from inferd_perf.simulation.calls import Calls, History, Outcome
from inferd_perf.simulation.engine import Engine
from inferd_perf.simulation.front import MEASURED
from inferd_perf.simulation.served import discipline
from inferd_perf.simulation.suites import MLP_LARGE
from unit.perf.test_rates import REPORT

WARMUP_S, DURATION_S = 0.05, 0.2
#: What the server really does, and what nobody has told us.
SLOWNESS = 1.3
FRONT = replace(MEASURED, shed_above_busy=1.0)
STATUS = {Outcome.OK: "OK", Outcome.REFUSED: "UNAVAILABLE"}

PLAN = Plan(
    repository=Path(),
    recipe=Recipe(model="m", shapes={}),
    manner=Manner(warmup_s=WARMUP_S, grace_s=0.0, connections=1),
    workloads=["w1"],
    loads=[0.7, 1.5],
    scheduling="goodput",
    rounds=1,
    duration_s=DURATION_S,
    threads=1,
    guard_ms=FRONT.guard_ms,
    shed_above_busy=1.0,
    ready_timeout_s=1.0,
    direct_s=1.0,
    sounding_s=DURATION_S,
    settle_s=0.0,
)


def ends_of(history: History) -> list[Ended]:
    columns = (history.sent_ns.tolist(), history.ended_ns.tolist(), history.outcome.tolist())
    return [
        Ended(row, STATUS.get(outcome, "DEADLINE_EXCEEDED"), ended - sent)
        for row, (sent, ended, outcome) in enumerate(zip(*columns, strict=True))
        if sent >= WARMUP_S * 1e9
    ]


def sounding_of(history: History, load: float) -> Sounding:
    count, seconds = Counter[int](), defaultdict[int, float](float)
    for run in history.runs:
        count[run.rows] += 1
        seconds[run.rows] += (run.end_ns - run.start_ns) / 1e9
    answered = int((history.outcome == Outcome.OK).sum())
    return Sounding(
        load=load,
        duration_s=WARMUP_S + DURATION_S,
        answered=answered,
        refused=len(history.outcome) - answered,
        batches=Batches(count, seconds),
        handover_s=0.0,
        loop_s=history.loop_ns / 1e9,
    )


class Pretender:
    """A server that is simulated, with a slowness that only shows in what it does."""

    def __init__(self) -> None:
        self.machine = slowed(MLP_LARGE, SLOWNESS)
        self.replayed: list[Calls] = []

    def alone_s(self) -> float:
        costs = FRONT.receive_us + FRONT.admit_us + FRONT.answer_us + FRONT.dispatch_us
        return MLP_LARGE.seconds(1) + (costs + FRONT.round_trip_us) * 1e-6

    def replay(self, calls: Calls, *, load: float, duration_s: float) -> Replayed:
        self.replayed.append(calls)
        chosen = discipline("goodput", self.machine, FRONT.guard_ms, 99)
        history = Engine(chosen, self.machine, calls, seed=99, front=FRONT).run()
        return Replayed(replace(REPORT), ends_of(history), sounding_of(history, load), 0.1)


def told(_text: str) -> None:
    pass


def test_a_server_that_the_simulator_describes_is_foretold() -> None:
    server = Pretender()

    known = calibrate(PLAN, server, MLP_LARGE, told)
    pairs = list(compare(PLAN, server, known, told))

    assert [(pair.workload, pair.load) for pair in pairs] == [("w1", 0.7), ("w1", 1.5)]
    for pair in pairs:
        assert pair.simulated.goodput_per_s == pytest.approx(pair.server.goodput_per_s, rel=0.05)
        assert pair.simulated.p50_ms == pytest.approx(pair.server.p50_ms, rel=0.15)
        assert pair.simulated.batch == pytest.approx(pair.server.batch, rel=0.15)


def test_what_was_measured_is_found_again() -> None:
    known = calibrate(PLAN, Pretender(), MLP_LARGE, told)

    assert known.slowdowns == pytest.approx({0.7: SLOWNESS, 1.5: SLOWNESS}, rel=0.03)
    assert known.capacity == pytest.approx(MLP_LARGE.rows_per_s / SLOWNESS, rel=0.03)
    answer = FRONT.receive_us + FRONT.admit_us + FRONT.answer_us
    found = known.front.receive_us + known.front.admit_us + known.front.answer_us
    assert found == pytest.approx(answer, rel=0.2)


def test_nothing_is_calibrated_with_the_calls_that_are_validated() -> None:
    server = Pretender()

    known = calibrate(PLAN, server, MLP_LARGE, told)
    sounded = len(server.replayed)
    pairs = list(compare(PLAN, server, known, told))

    assert len(pairs) == len(server.replayed) - sounded == 2
    for validated in server.replayed[sounded:]:
        for calibrating in server.replayed[:sounded]:
            shared = set(validated.sent_ns.tolist()) & set(calibrating.sent_ns.tolist())
            assert len(shared) <= 1


def test_what_is_given_is_not_calibrated() -> None:
    given = replace(PLAN, slowdown=1.0, front=FRONT, shed_above_busy=0.3)

    known = calibrate(given, Pretender(), MLP_LARGE, told)

    assert set(known.slowdowns.values()) == {1.0}
    assert known.front == replace(FRONT, shed_above_busy=0.3)


def test_both_are_told_the_same() -> None:
    side = replace(PLAN, guard_ms=0.7, shed_above_busy=0.4, scheduling="fifo").side

    assert side.environment["INFERD__INFERENCE__SCHEDULING"] == "fifo"
    assert side.environment["INFERD__INFERENCE__GUARD_MS"] == "0.7"
    assert side.environment["INFERD__SERVER__ENVOY__SHED_ABOVE_BUSY"] == "0.4"
