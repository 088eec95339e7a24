"""Reflection through the tool that people use it with: grpcurl, in a process of its own."""

import asyncio
import os
import shutil
from typing import Any

import grpc.aio
import pytest
from grpc_reflection.v1alpha import reflection_pb2 as pb

from inferd.services import reflection
from support.echo_services import OIP
from support.wire import Wires

needs_grpcurl = pytest.mark.skipif(
    shutil.which("grpcurl") is None and "CI" not in os.environ, reason="grpcurl is not installed"
)


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
async def test_list(a_wire: Wires) -> None:
    async with a_wire() as wire:
        assert (await grpcurl(wire.address, "list")).split() == [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "inference.GRPCInferenceService",
        ]
        methods = (await grpcurl(wire.address, "list", OIP.full_name)).split()

    assert methods == sorted(method.full_name for method in OIP.methods)


@needs_grpcurl
async def test_describe(a_wire: Wires) -> None:
    async with a_wire() as wire:
        service = await grpcurl(wire.address, "describe", "inference.GRPCInferenceService")
        message = await grpcurl(
            wire.address, "describe", "inference.ModelInferRequest.InferInputTensor"
        )
        own = await grpcurl(wire.address, "describe", "grpc.reflection.v1.ServerReflection")

    assert (
        "rpc ModelInfer ( .inference.ModelInferRequest ) returns ( .inference.ModelInferResponse );"
        in service
    )
    assert "repeated int64 shape = 3;" in message
    assert "stream .grpc.reflection.v1.ServerReflectionRequest" in own


@needs_grpcurl
async def test_a_call_without_protos(a_wire: Wires) -> None:
    async with a_wire() as wire:
        answer = await grpcurl(
            "-d", '{"name": "digits"}', wire.address, "inference.GRPCInferenceService/ModelReady"
        )

    assert '"ready": true' in answer


@needs_grpcurl
async def test_the_details_of_an_error_can_be_read(a_wire: Wires) -> None:
    async with a_wire() as wire:
        text = await grpcurl(
            wire.address, "inference.GRPCInferenceService/ServerLive", succeeds=False
        )

    assert '"reason": "INVALID_REQUEST"' in text
    assert '"field": "inputs[0].shape"' in text


@pytest.mark.parametrize("version", [reflection.V1, reflection.V1ALPHA], ids=["v1", "v1alpha"])
async def test_both_versions_answer_one_question_after_another(a_wire: Wires, version: Any) -> None:
    async with a_wire() as wire:
        ask = wire.channel.stream_stream(
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
