"""The admin port on the wire: there when it is enabled, by itself, and with errors for programs."""

import asyncio
from typing import Any

import grpc.aio
import pytest
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from inferd.app.admin import serving_admin
from inferd.config import Config
from inferd.services.admin.service import SERVICE
from inferd.services.reflection import Reflection
from inferd.services.routes import Route, bind
from inferd.v1 import admin_pb2 as pb
from support.administered import Server


def config(**server: Any) -> Config:
    return Config.model_validate({"server": server, "admin": {"enabled": True, "port": 0}})


def routes(server: Server | None = None) -> list[Route]:
    admin = (server or Server()).admin
    return [*bind(SERVICE, admin), *Reflection([SERVICE]).routes()]


async def ask(port: int | None, rpc: str, request: Any) -> Any:
    """Make one call of the service."""
    output = GetMessageClass(SERVICE.methods_by_name[rpc].output_type)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            f"/{SERVICE.full_name}/{rpc}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=output.FromString,
        )
        return await call(request, timeout=30)


async def refused(port: int | None, rpc: str, request: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(port, rpc, request)
    return caught.value


async def test_there_is_no_admin_port_unless_it_is_enabled() -> None:
    async with serving_admin(Config(), routes()) as port:
        assert port is None


async def test_it_answers_on_a_port_of_its_own() -> None:
    async with serving_admin(config(), routes()) as port:
        answer = await ask(port, "ListDependencies", pb.ListDependenciesRequest(name="redis"))

    assert [each.name for each in answer.dependencies] == ["redis"]
    assert answer.dependencies[0].breaker.state == pb.Breaker.CLOSED


async def test_what_is_set_on_the_wire_is_set() -> None:
    server = Server()

    async with serving_admin(config(), routes(server)) as port:
        request = pb.SetBreakerRequest(name="redis", mode=pb.SetBreakerRequest.FORCED_OPEN)
        await ask(port, "SetBreaker", request)

    assert server.toolbox.dependencies["redis"].breaker.state == "forced_open"


@pytest.mark.parametrize(
    ("rpc", "request_", "code", "reason"),
    [
        ("ListDependencies", pb.ListDependenciesRequest(name="x"), "NOT_FOUND", "NOT_FOUND"),
        ("ListEndpoints", pb.ListEndpointsRequest(method="x"), "NOT_FOUND", "NOT_FOUND"),
        ("ListInstances", pb.ListInstancesRequest(model="x"), "NOT_FOUND", "NOT_FOUND"),
        ("ClearFaults", pb.ClearFaultsRequest(id=9), "NOT_FOUND", "NOT_FOUND"),
        ("SetBreaker", pb.SetBreakerRequest(name="redis"), "INVALID_ARGUMENT", "INVALID_REQUEST"),
        (
            "InjectFault",
            pb.InjectFaultRequest(fault=pb.Fault(point="redis", drop={})),
            "UNAVAILABLE",
            "UNAVAILABLE",
        ),
    ],
)
async def test_a_refusal_has_the_status_that_the_proto_promises(
    rpc: str, request_: Any, code: str, reason: str
) -> None:
    async with serving_admin(config(), routes(Server(faults_enabled=False))) as port:
        error = await refused(port, rpc, request_)

    assert error.code().name == code
    metadata = error.trailing_metadata()
    assert metadata is not None
    assert metadata["x-reason"] == reason


async def test_a_fault_that_makes_no_sense_names_its_fields() -> None:
    fault = pb.Fault(point="redis", latency={"ms": -1})

    async with serving_admin(config(), routes()) as port:
        error = await refused(port, "InjectFault", pb.InjectFaultRequest(fault=fault))

    metadata = error.trailing_metadata()
    assert metadata is not None
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    wrong = error_details_pb2.BadRequest()
    assert any(each.Unpack(wrong) for each in status.details)
    assert [each.field for each in wrong.field_violations] == ["fault.latency.ms"]


async def test_processes_that_share_the_port_of_calls_do_not_share_the_admin_port(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with serving_admin(config(reuse_port=True), routes()) as port:
        taken = Config.model_validate(
            {"server": {"reuse_port": True}, "admin": {"enabled": True, "port": port}}
        )
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            async with serving_admin(taken, routes()):
                pass

    assert capfd.readouterr().err == ""


async def test_whoever_looks_on_does_not_hold_up_the_end() -> None:
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    async with asyncio.timeout(30):
        async with serving_admin(config(), routes()) as port:
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
            watching = channel.stream_stream(path)()
            await watching.write(b"")
            assert await watching.read() is not None

        assert await watching.code() is grpc.StatusCode.UNAVAILABLE
        await channel.close()
