"""A stage may be another server: the deadline goes there, with who asks and how much it matters."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cascade import ranking_pb2 as pb
from inferd_client import Client, HedgePolicy
from support.server import ROOT, Server, eventually, serving

EXAMPLE = ROOT / "examples" / "cascade"
RANK = "/example.v1.Ranking/Rank"
LADDERS = """
server:
  services: [cascade.ranking:services]
  service_options: {{trend: "{target}"}}
resilience:
  cascades:
    /example.v1.Ranking/Rank:
      stages:
        - {{name: taste, ladder: [{{name: nobody}}]}}
        - {{name: trend, optional: true, ladder: [{{name: remote, cap_ms: 400}}]}}
        - {{name: score, ladder: [{{name: full}}, {{name: rule}}]}}
        - {{name: order, ladder: [{{name: varied}}, {{name: plain}}]}}
"""
#: All calls go to the log, one JSON object each, and so tell what deadline they had.
TELLING = {
    "INFERD__TELEMETRY__LOG__SLOW_MS": "0",
    "INFERD__TELEMETRY__LOG__FORMAT": "json",
}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    repository = EXAMPLE / "model_repository"
    with serving(directory, repository=repository, environment=TELLING) as server:
        yield server


@pytest.fixture
def here(tmp_path: Path, elsewhere: Server) -> Iterator[Server]:
    directory = tmp_path / "here"
    directory.mkdir()
    config = directory / "config.yaml"
    config.write_text(LADDERS.format(target=elsewhere.address))
    with serving(
        directory,
        *("--config", str(config)),
        repository=EXAMPLE / "model_repository",
        environment={"PYTHONPATH": str(EXAMPLE.parent)},
    ) as server:
        yield server


def rank(server: Server, **options: object) -> list[tuple[str, str, str]]:
    """Return what the answer had to do without."""
    request = pb.RankRequest(user_id="user-1", item_ids=[1, 2, 3])
    with Client(server.address, hedge=HedgePolicy(max_attempts=1)) as client:
        answer = client.call(RANK, request, pb.RankResponse, timeout_s=10.0, **options)  # type: ignore[arg-type]
    said = [(it.stage, it.source, it.reason) for it in answer.message.degradations]
    assert [(it.stage, it.source, it.reason) for it in answer.degraded] == said
    return said


def asked(server: Server) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in server.logged().splitlines() if line.startswith("{")]
    return [line for line in lines if "ModelInfer" in str(line.get("method"))]


def test_what_is_left_of_the_deadline_goes_along(here: Server, elsewhere: Server) -> None:
    assert rank(here, criticality="SHEDDABLE") == []

    eventually(lambda: len(asked(elsewhere)) == 1)
    [call] = asked(elsewhere)
    # The rung's cap, of the ten seconds that there were.
    assert 0 < float(str(call["deadline_ms"])) <= 400


def test_without_the_other_server_the_answer_does_without(here: Server, elsewhere: Server) -> None:
    elsewhere.process.kill()
    elsewhere.exit_code = -9
    elsewhere.ended()

    assert rank(here) == [("trend", "none", "DEPENDENCY_FAILED")]
