"""Experiments as an operator sees them, on the admin port and in the metrics."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from inferd.errors import InvalidRequest, Unavailable
from inferd.experiments.guardrails import Guardrails
from inferd.experiments.keeping import Keeper
from inferd.experiments.log import Exposures, Log
from inferd.services.admin.experiments import ExperimentCalls
from inferd.telemetry.experiments import ExperimentMetrics
from inferd.v1 import admin_pb2 as pb
from support.administered import a_call
from support.experiments import experiment, in_force, text


class Server:
    def __init__(self, directory: Path, *said: dict[str, Any]) -> None:
        self.path = directory / "experiments.yaml"
        declared = said or (experiment(),)
        self.path.write_text(text(*declared))
        self.keeper = Keeper(
            in_force(*declared), self.path, directory / "stopped.json", now_us=lambda: 7
        )
        self.calls = ExperimentCalls(self.keeper)

    def stop(self, **said: str) -> pb.StopExperimentResponse:
        return asyncio.run(self.calls.stop(pb.StopExperimentRequest(**said), a_call()))

    def reload(self) -> pb.ReloadExperimentsResponse:
        return asyncio.run(self.calls.reload(pb.ReloadExperimentsRequest()))


def test_a_listing_says_who_is_in_what(tmp_path: Path) -> None:
    server = Server(tmp_path, experiment(coverage=0.5), experiment("other", surface="search"))
    for number in range(10):
        surface = server.keeper.experiments.surfaces["search"]
        surface.assign({"user_id": f"user-{number}"}, {})

    both = server.calls.listed(pb.ListExperimentsRequest())
    (it,) = server.calls.listed(pb.ListExperimentsRequest(surface="search")).experiments

    assert [each.name for each in both.experiments] == ["mmr", "other"]
    assert both.experiments[0].coverage == 0.5
    assert both.version == server.keeper.experiments.definitions.version
    assert (it.state, it.unit) == (pb.Experiment.RUNNING, "user_id")
    assert [(each.name, each.weight) for each in it.arms] == [("control", 0.5), ("treatment", 0.5)]
    assert sum(each.assigned for each in it.arms) == 10


def test_a_stopped_arm_is_listed_with_the_reason(tmp_path: Path) -> None:
    server = Server(tmp_path)

    assert server.stop(experiment="mmr", arm="treatment", why="it is slow").kept

    (it,) = server.calls.listed(pb.ListExperimentsRequest()).experiments
    assert it.state == pb.Experiment.RUNNING
    assert (it.arms[1].stopped.why, it.arms[1].stopped.time_us) == ("it is slow", 7)
    assert not it.arms[0].HasField("stopped")


def test_a_stopped_experiment_is_listed_as_such(tmp_path: Path) -> None:
    server = Server(tmp_path)

    server.stop(experiment="mmr", why="errors")

    (it,) = server.calls.listed(pb.ListExperimentsRequest()).experiments
    assert (it.state, it.stopped.why) == (pb.Experiment.STOPPED, "errors")


def test_a_stop_needs_a_reason(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="why") as caught:
        Server(tmp_path).stop(experiment="mmr")

    assert caught.value.violations[0].field == "why"


def test_a_wrong_file_is_refused_by_its_keys_and_that_is_listed(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.path.write_text(text(experiment(when="contry == 'FR'")))

    with pytest.raises(InvalidRequest) as caught:
        server.reload()

    (violation,) = caught.value.violations
    assert violation.field == "experiments.mmr.when"
    assert "did you mean country" in violation.description
    assert server.calls.listed(pb.ListExperimentsRequest()).refused


def test_a_right_file_is_in_force(tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.path.write_text(text(experiment(seed="x")))

    answer = server.reload()

    assert answer.changed
    assert answer.version == server.keeper.experiments.definitions.version
    assert [each.partition(":")[0] for each in answer.moved] == ["experiments.mmr"]


def test_where_there_are_none_nothing_is_listed_and_nothing_can_be_stopped() -> None:
    calls = ExperimentCalls(None)

    assert not calls.listed(pb.ListExperimentsRequest()).experiments
    with pytest.raises(Unavailable, match=r"experiments\.definitions"):
        asyncio.run(calls.stop(pb.StopExperimentRequest(experiment="mmr", why="x"), a_call()))


def test_metrics_tell_arms_apart(tmp_path: Path) -> None:
    server = Server(tmp_path, experiment(forced={"ann": "treatment"}))
    there = server.keeper.experiments
    exposures = Exposures(Log(), window_s=60.0, remember=10, now_us=lambda: 7)
    for user in ("ann", "bob"):
        exposures.used(there.surfaces["home"].assign({"user_id": user}, {}), {"user_id": user})
    (bobs,) = there.surfaces["home"].assign({"user_id": "bob"}, {}).arms
    server.stop(experiment="mmr", arm=bobs.arm, why="errors")
    guardrails = Guardrails(server.keeper, clock=lambda: 0.0)
    registry = CollectorRegistry()
    registry.register(ExperimentMetrics(there, [exposures.log], server.keeper, guardrails))

    told = generate_latest(registry).decode().splitlines()

    assert (
        'inferd_experiment_assignments_total{arm="treatment",experiment="mmr"} '
        + ("3.0" if bobs.arm == "treatment" else "1.0")
        in told
    )
    assert 'inferd_experiment_records_dropped_total{kind="exposure",reason="CLOSED"} 1.0' in told
    assert (
        f'inferd_experiment_stopped{{arm="{bobs.arm}",experiment="mmr",revision="1"}} 1.0' in told
    )
    assert "inferd_experiment_file_refused 0.0" in told
