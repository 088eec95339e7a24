"""Reflection through the tool that people use it with: grpcurl, in a process of its own."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2 as pb

from inferd.call import Call
from inferd.config import Log, Server
from inferd.errors import InvalidRequest
from inferd.oip import grpc_service_pb2 as oip
from inferd.services import health, reflection
from inferd.services.pipeline import Pipeline
from inferd.services.reflection import Reflection
from inferd.services.routes import bind
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.grpcio import listening

OIP = oip.DESCRIPTOR.services_by_name["GRPCInferenceService"]

needs_grpcurl = pytest.mark.skipif(
    shutil.which("grpcurl") is None and "CI" not in os.environ, reason="grpcurl is not installed"
)


class FakeInference:
    """Echoes what can be told by."""

    def __getattr__(self, name: str) -> Any:
        async def empty(request: Any, call: Call) -> bytes:
            return b""

        async def stream(requests: Any, call: Call) -> AsyncIterator[bytes]:
            async for _ in requests:
                yield b""

        return stream if name == "model_stream_infer" else empty

    async def server_live(self, request: Any, call: Call) -> Any:
        raise InvalidRequest("no such thing", field="inputs[0].shape")

    async def model_ready(self, request: Any, call: Call) -> Any:
        return oip.ModelReadyResponse(ready=request.name == "digits")


@asynccontextmanager
async def a_server() -> AsyncIterator[str]:
    services = [OIP, health.SERVICE]
    routes = bind(OIP, FakeInference()) + Reflection(services).routes()
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    async with listening(Server(port=0), routes, pipeline) as port:
        yield f"127.0.0.1:{port}"


async def grpcurl(*arguments: str, succeeds: bool = True) -> str:
    process = await asyncio.create_subprocess_exec(
        "grpcurl",
        "-plaintext",
        "-max-time",
        "10",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    text = output.decode()
    assert (process.returncode == 0) == succeeds, text
    return text


@needs_grpcurl
async def test_list() -> None:
    async with a_server() as address:
        assert (await grpcurl(address, "list")).split() == [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "inference.GRPCInferenceService",
        ]
        methods = (await grpcurl(address, "list", OIP.full_name)).split()

    assert methods == sorted(method.full_name for method in OIP.methods)


@needs_grpcurl
async def test_describe() -> None:
    async with a_server() as address:
        service = await grpcurl(address, "describe", "inference.GRPCInferenceService")
        message = await grpcurl(address, "describe", "inference.ModelInferRequest.InferInputTensor")
        own = await grpcurl(address, "describe", "grpc.reflection.v1.ServerReflection")

    assert (
        "rpc ModelInfer ( .inference.ModelInferRequest ) returns ( .inference.ModelInferResponse );"
        in service
    )
    assert "repeated int64 shape = 3;" in message
    assert "stream .grpc.reflection.v1.ServerReflectionRequest" in own


@needs_grpcurl
async def test_a_call_without_protos() -> None:
    async with a_server() as address:
        answer = await grpcurl(
            "-d", '{"name": "digits"}', address, "inference.GRPCInferenceService/ModelReady"
        )

    assert '"ready": true' in answer


@needs_grpcurl
async def test_the_details_of_an_error_can_be_read() -> None:
    async with a_server() as address:
        text = await grpcurl(address, "inference.GRPCInferenceService/ServerLive", succeeds=False)

    assert '"reason": "INVALID_REQUEST"' in text
    assert '"field": "inputs[0].shape"' in text


@pytest.mark.parametrize("version", [reflection.V1, reflection.V1ALPHA], ids=["v1", "v1alpha"])
async def test_both_versions_answer_one_question_after_another(version: Any) -> None:
    async with a_server() as address, grpc.aio.insecure_channel(address) as channel:
        ask = channel.stream_stream(
            f"/{version.full_name}/ServerReflectionInfo",
            request_serializer=pb.ServerReflectionRequest.SerializeToString,
            response_deserializer=pb.ServerReflectionResponse.FromString,
        )(timeout=5)
        await ask.write(pb.ServerReflectionRequest(file_containing_symbol="no.such.Symbol"))
        error = await ask.read()
        await ask.write(pb.ServerReflectionRequest(list_services=""))
        services = await ask.read()
        await ask.done_writing()
        after = await ask.read()

    assert error.error_response.error_code == 5
    assert len(services.list_services_response.service) == 4
    assert after is grpc.aio.EOF
