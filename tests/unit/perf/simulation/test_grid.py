"""Cells: what is in them, and that nothing but the policy makes two of them differ."""

from dataclasses import replace

import pytest

from inferd.inference.scheduling import Discipline, Ticket
from inferd_perf.simulation import plan
from inferd_perf.simulation.decisions import DecisionLog
from inferd_perf.simulation.grid import Cell, cell, scene
from inferd_perf.simulation.setting import Setting
from support.simulated import Queue

SHORT = 0.05
KEYS = {
    "policy", "workload", "load", "seed", "success", "goodput_of_capacity", "wasted_work",
    "reject_ms_p50", "reject_ms_p99", "slo_of_admitted", "p50_ms", "p99_ms",
}  # fmt: skip


def queue(setting: Setting) -> Discipline:
    return Queue(max_batch=setting.policy.max_batch, most=200)


def test_a_cell_has_what_the_report_needs() -> None:
    found = cell("inferd-goodput", "w2", 0.8, 3, SHORT)

    assert set(found) >= KEYS
    assert (found["policy"], found["workload"]) == ("inferd-goodput", "w2")
    assert (found["load"], found["seed"]) == (0.8, 3)
    assert 0 < found["success"] <= 1


def test_a_policy_may_be_given_as_what_makes_it() -> None:
    assert cell(queue, "w1", 0.5, 1, SHORT)["policy"] == "queue"


def test_only_what_is_held_out_counts_as_held_out() -> None:
    assert cell(queue, "h1", 0.5, 1, SHORT, heldout=True)["workload"] == "h1"
    with pytest.raises(KeyError):
        cell(queue, "w1", 0.5, 1, SHORT, heldout=True)


def test_a_policy_is_told_about_the_machine_and_the_workload() -> None:
    told = scene("w2", 0.5, 1, instances=2).setting()

    assert (told.policy.max_batch, told.policy.instances) == (64, 2)
    assert told.deadlines_s == (0.005, 0.010, 0.025, 0.050, 0.100)
    assert told.median_s == 0.025
    assert told.rate_per_s == pytest.approx(7191, rel=1e-3)
    assert told.latency.expect(64) == pytest.approx(0.0089, rel=0.05)


def test_trouble_is_where_the_workload_puts_it_and_not_in_the_capacity() -> None:
    troubled = scene("w10", 0.7, 1, duration_s=10.0)

    assert [(phase.from_s, phase.to_s) for phase in troubled.troubled.slow] == [(3.0, 6.0)]
    assert scene("w10-stalls", 0.7, 1).troubled.stall_share == 0.01
    assert troubled.rows_per_s == scene("w1", 0.7, 1).rows_per_s


def test_the_same_seed_decides_the_same_and_another_does_not() -> None:
    def fingerprint(seed: int) -> str:
        log = DecisionLog()
        scene("w3", 0.8, seed, duration_s=SHORT).play(queue, log=log)
        return log.fingerprint

    assert fingerprint(1) == fingerprint(1)
    assert fingerprint(1) != fingerprint(2)


class Backwards(Queue):
    """The same machine, another order: last come, first served."""

    def enter(self, now: float, ticket: Ticket) -> None:
        self.waiting.insert(0, ticket)


def test_policies_meet_the_same_calls_and_the_same_noise() -> None:
    played = scene("w2", 0.9, 1, duration_s=SHORT)

    one = played.play(queue)
    other = played.play(lambda _: Backwards(max_batch=8))

    calls = len(one.calls)
    assert one.sent_ns[:calls].tolist() == other.sent_ns[:calls].tolist()
    assert one.due_ns[:calls].tolist() == other.due_ns[:calls].tolist()
    assert one.outcome.tolist() != other.outcome.tolist()
    noises = [
        [(run.end_ns - run.start_ns) / played.machine.seconds(run.rows) for run in history.runs]
        for history in (one, other)
    ]
    alike = [
        a == pytest.approx(b, rel=1e-6)
        for a, b, *runs in zip(*noises, one.runs, other.runs, strict=False)
        if not any(run.stopped for run in runs)
    ]
    assert len(alike) > 3
    assert all(alike)


def test_what_was_let_in_was_answered_or_dropped_or_late() -> None:
    found = cell("inferd-goodput", "w1", 2.0, 1, 0.1)

    history = scene("w1", 2.0, 1, duration_s=0.1).play(queue)
    counts = {value: int((history.outcome == value).sum()) for value in range(7)}
    assert counts[0] == 0
    assert sum(counts.values()) == len(history.calls)
    assert counts[1] == int((~history.admitted).sum())
    assert found["success"] <= 1 - found["refused"]


def test_the_ci_grid_has_every_policy_in_every_scene() -> None:
    tasks = plan.ci()

    scenes = {(task.workload, task.load) for task in tasks}
    assert len(tasks) == len(set(tasks)) == len(scenes) * len(plan.CI_POLICIES)
    assert len(scenes) >= 30
    assert {f"w{number}" for number in range(1, 11)} <= {workload for workload, _ in scenes}


def test_whole_suites_have_their_own_seeds() -> None:
    assert {task.seed for task in plan.grid("full")} == {1, 2, 3, 4, 5}
    assert {task.seed for task in plan.grid("heldout")} == {11, 12, 13, 14, 15}


def test_cells_come_in_order_however_many_processes_compute_them() -> None:
    tasks = [
        plan.Task(policy="inferd-goodput", workload="w1", load=load, seed=1, duration_s=0.02)
        for load in (0.5, 1.0, 2.0)
    ]

    assert list(plan.compute(tasks)) == list(plan.compute(tasks, jobs=2))


def a_cell(policy: str, success: float, **more: object) -> Cell:
    return {"policy": policy, "workload": "w", "load": 1.0, "seed": 1, "success": success, **more}


def test_the_gate_names_the_scenes_in_which_another_is_better() -> None:
    ours = a_cell("inferd-goodput", 0.80)
    cells = [ours, a_cell("inferd-fail-fast", 0.99), a_cell("fifo", 0.5), a_cell("nexus", 0.81)]

    assert plan.worse(cells) == []
    assert plan.worse([*cells, a_cell("bento", 0.83)]) == [
        "w at 1x, seed 1: inferd-goodput serves 80.0%, bento 83.0%"
    ]


def test_the_front_is_part_of_a_task() -> None:
    task = plan.Task(policy="inferd-goodput", workload="w1", load=0.5, seed=1, duration_s=SHORT)

    assert task.compute()["loop_busy"] == 0.0
    assert replace(task, front="measured").compute()["loop_busy"] > 0.1
