"""A rollout as callers and operators see it: over the wire, on both transports."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message_factory import GetMessageClass

from inferd.services.admin.service import SERVICE
from inferd.v1 import admin_pb2 as pb
from inferd_client import Client
from support.server import REPOSITORY, Server, serving
from support.transports import Transport

AMPLE_S = 30.0


@pytest.fixture
def server(transport: Transport, tmp_path: Path) -> Iterator[Server]:
    """Serve two versions of a model whose policy is to serve the newest alone."""
    target = tmp_path / "models" / "identity_fp32"
    shutil.copytree(REPOSITORY / "identity_fp32", target)
    shutil.copytree(target / "1", target / "2")
    rollout = {"stable": 1, "canary": 2, "percent": 50, "shadow": {"share": 1.0}}
    said = {
        "rollouts": {"models": {"identity_fp32": rollout}, "decided": "rollouts.json"},
        "admin": {"enabled": True, "port": 0},
    }
    path = tmp_path / "inferd.json"
    path.write_text(json.dumps(said))
    arguments = ("--config", str(path))
    with serving(
        tmp_path, *arguments, repository=tmp_path / "models", transport=transport
    ) as running:
        yield running


def ask(server: Server, rpc: str, request: Any) -> Any:
    found = re.search(r"^  admin +(\S+)$", server.announcement, re.MULTILINE)
    assert found, server.announcement
    output = GetMessageClass(SERVICE.methods_by_name[rpc].output_type)
    with grpc.insecure_channel(found[1]) as channel:
        call = channel.unary_unary(
            f"/{SERVICE.full_name}/{rpc}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=output.FromString,
        )
        return call(request, timeout=AMPLE_S)


def decide(server: Server, stage: Any, why: str = "a test", model: str = "identity_fp32") -> Any:
    request = pb.DecideRolloutRequest(model=model, stage=stage, why=why)
    return ask(server, "DecideRollout", request)


def versions(client: Client, units: int) -> list[str]:
    """Return which version answers each unit."""
    numbers = {"INPUT0": np.ones((1, 1), np.float32)}
    return [
        client.infer(
            "identity_fp32", numbers, timeout_s=AMPLE_S, metadata={"x-unit": f"user-{number}"}
        ).model_version
        for number in range(units)
    ]


def test_users_keep_their_version_until_somebody_decides(server: Server) -> None:
    with Client(server.address) as client:
        got = versions(client, 60)
        assert 10 < got.count("2") < 50
        assert versions(client, 60) == got
        index = {each.version: each.reason for each in client.repository_index(timeout_s=AMPLE_S)}
        assert index == {"1": "", "2": "canary: 50 % of calls, and copies of 100 %"}

        (listed,) = ask(server, "ListRollouts", pb.ListRolloutsRequest()).rollouts
        assert (listed.stage, listed.percent) == (pb.Rollout.RUNNING, 50.0)
        assert listed.stable.calls == 2 * got.count("1")
        assert listed.canary.calls >= 2 * got.count("2"), "copies are answered, too"

        assert decide(server, pb.Rollout.ROLLED_BACK).kept
        assert set(versions(client, 60)) == {"1"}
        assert decide(server, pb.Rollout.PROMOTED).kept
        assert set(versions(client, 60)) == {"2"}

    page = server.get("/metrics")
    assert 'inferd_rollout_stage{model="identity_fp32",stage="PROMOTED",version="2"} 1\n' in page
    assert "inferd_shadow_output_difference_count" in page


def test_what_cannot_be_decided_is_refused(server: Server) -> None:
    for wrong, code in (
        ({"stage": pb.Rollout.STAGE_UNSPECIFIED}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"stage": pb.Rollout.PROMOTED, "why": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"stage": pb.Rollout.PROMOTED, "model": "other"}, grpc.StatusCode.NOT_FOUND),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            decide(server, **wrong)
        assert refused.value.code() is code
