"""A real server looked after from its admin port, whatever carries its calls."""

import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import environ
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc

import inferd_client
from inferd.services.admin.service import SERVICE
from inferd.v1 import admin_pb2 as pb
from inferd_client import Client, RetryPolicy
from support.server import NotStarted, Server, eventually, serving
from support.transports import TRANSPORTS, Transport

AMPLE_S = 30.0
ONCE = RetryPolicy(max_attempts=1)
ONLY_SIMPLE = ("--control-mode", "explicit", "--load-model", "simple")
ADMIN = {"INFERD__ADMIN__ENABLED": "true", "INFERD__ADMIN__PORT": "0"}
FAULTS = {"INFERD__FAULTS__ENABLED": "true"}
PAIR = {name: np.ones((1, 16), np.int32) for name in ("INPUT0", "INPUT1")}
GRPCURL = shutil.which("grpcurl")

needs_grpcurl = pytest.mark.skipif(
    GRPCURL is None and "CI" not in environ, reason="grpcurl is not installed"
)


@dataclass(frozen=True)
class Administered:
    """A server, and where it is looked after."""

    server: Server
    address: str
    channel: grpc.Channel

    def ask(self, rpc: str, request: Any) -> Any:
        output = GetMessageClass(SERVICE.methods_by_name[rpc].output_type)
        call = self.channel.unary_unary(
            f"/{SERVICE.full_name}/{rpc}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=output.FromString,
        )
        return call(request, timeout=AMPLE_S)

    def set_breaker(self, mode: Any) -> None:
        self.ask("SetBreaker", pb.SetBreakerRequest(name="model/simple/1", mode=mode))

    def infer(self) -> None:
        with Client(self.server.address, retry=ONCE) as client:
            client.infer("simple", PAIR, timeout_s=AMPLE_S)


@contextmanager
def administered(server: Server) -> Iterator[Administered]:
    found = re.search(r"^  admin +(\S+)$", server.announcement, re.MULTILINE)
    assert found, server.announcement
    with grpc.insecure_channel(found[1]) as channel:
        yield Administered(server, found[1], channel)


@pytest.fixture(scope="module", params=TRANSPORTS)
def admin(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Administered]:
    transport: Transport = request.param
    directory = tmp_path_factory.mktemp(transport)
    with (
        serving(directory, *ONLY_SIMPLE, transport=transport, environment=ADMIN | FAULTS) as server,
        administered(server) as admin,
    ):
        yield admin


def test_a_breaker_held_open_turns_calls_away_until_it_is_let_go(admin: Administered) -> None:
    admin.set_breaker(pb.SetBreakerRequest.FORCED_OPEN)
    with pytest.raises(inferd_client.Unavailable) as refused:
        admin.infer()
    page = admin.server.get("/metrics")
    admin.set_breaker(pb.SetBreakerRequest.AUTOMATIC)
    admin.infer()

    assert refused.value.reason == "BREAKER_OPEN"
    assert 'inferd_breaker_state{breaker="model/simple/1",state="forced_open"} 1\n' in page


def test_a_model_broken_on_purpose_fails_until_it_is_repaired(admin: Administered) -> None:
    fault = pb.Fault(point="model.simple", error=pb.Fault.Error(reason="MODEL_FAILED"))

    admin.ask("InjectFault", pb.InjectFaultRequest(fault=fault))
    with pytest.raises(inferd_client.InferdError):
        admin.infer()
    listed = admin.ask("ListFaults", pb.ListFaultsRequest())
    admin.ask("ClearFaults", pb.ClearFaultsRequest())
    admin.infer()

    assert [each.fault.point for each in listed.faults] == ["model.simple"]
    assert listed.faults[0].struck >= 1


def test_it_shows_every_version_and_its_instances(admin: Administered) -> None:
    listed = admin.ask("ListInstances", pb.ListInstancesRequest())

    (simple,) = listed.versions
    assert (simple.model, simple.version, simple.state) == ("simple", "1", "READY")
    assert all(each.in_service for each in simple.instances)
    assert simple.capacity_rows_per_s > 0


def test_it_is_not_on_the_port_of_calls(admin: Administered) -> None:
    path = f"/{SERVICE.full_name}/ListDependencies"

    with (
        grpc.insecure_channel(admin.server.address) as channel,
        pytest.raises(grpc.RpcError) as refused,
    ):
        channel.unary_unary(path)(b"", timeout=AMPLE_S)

    error: Any = refused.value
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


@needs_grpcurl
def test_grpcurl_needs_no_protos_to_look_after_a_server(admin: Administered) -> None:
    services = grpcurl(admin.address, "list").split()
    data = json.dumps({"name": "model/simple/1", "mode": "AUTOMATIC"})
    answer = json.loads(grpcurl("-d", data, admin.address, "inferd.v1.AdminService/SetBreaker"))

    assert "inferd.v1.AdminService" in services
    assert "inference.GRPCInferenceService" not in services
    assert answer["breaker"]["state"] == "CLOSED"


def grpcurl(*arguments: str) -> str:
    assert GRPCURL, "grpcurl is not installed"
    command = [GRPCURL, "-plaintext", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_server_that_drains_can_be_looked_at(transport: Transport, tmp_path: Path) -> None:
    settings = ADMIN | {"INFERD__SERVER__DRAIN_PAUSE_S": "600"}
    at_once = 128 + signal.SIGTERM
    with (
        serving(
            tmp_path, *ONLY_SIMPLE, transport=transport, environment=settings, exit_code=at_once
        ) as server,
        administered(server) as admin,
    ):
        health = health_pb2_grpc.HealthStub(admin.channel)
        server.signal(signal.SIGTERM)
        eventually(lambda: not serves(health))

        listed = admin.ask("ListInstances", pb.ListInstancesRequest())
        server.signal(signal.SIGTERM)
        server.ended()

    assert [each.model for each in listed.versions] == ["simple"]


def serves(health: Any) -> bool:
    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=AMPLE_S)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_server_whose_admin_port_is_taken_does_not_start(
    transport: Transport, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = ADMIN | {"INFERD__ADMIN__PORT": str(port)}
        why = f"exit code 2\n.*cannot listen on 127.0.0.1:{port}: address already in use"
        with (
            pytest.raises(NotStarted, match=re.compile(why, re.DOTALL)),
            serving(tmp_path, *ONLY_SIMPLE, transport=transport, environment=environment),
        ):
            pytest.fail("the block must not run")
