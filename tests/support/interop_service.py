"""The service of gRPC's public interoperability tests, behind the real routes and pipeline."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

from inferd.call import Call
from inferd.config import Log
from inferd.errors import InferdError
from inferd.services import status
from inferd.services.pipeline import Pipeline
from inferd.services.routes import Route, bind
from inferd.telemetry.rpc import RpcStatistics
from support.server import ROOT

PROTOS = ROOT / "tests" / "interop" / "protos"
ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"


def _described() -> ServiceDescriptor:
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "testing.pb")
        arguments = [f"-I{PROTOS}", f"--descriptor_set_out={target}", "testing.proto"]
        assert protoc.main(["protoc", *arguments]) == 0
        files = FileDescriptorSet.FromString(target.read_bytes())
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return pool.FindServiceByName("grpc.testing.TestService")


SERVICE = _described()
_MESSAGES = SERVICE.file.message_types_by_name


def _message(name: str) -> Any:
    return GetMessageClass(_MESSAGES[name])


SimpleRequest = _message("SimpleRequest")
SimpleResponse = _message("SimpleResponse")
StreamingInputCallResponse = _message("StreamingInputCallResponse")
StreamingOutputCallResponse = _message("StreamingOutputCallResponse")


class AsTold(InferdError):
    """The status that the caller asked for. There is one subclass for each."""


_TOLD = {code: type(f"AsTold{code.name}", (AsTold,), {}) for code in status.Code}


class TestService:
    """Answers as the cases' descriptions want it."""

    async def empty_call(self, request: Any, call: Call) -> Any:
        return request

    async def unary_call(self, request: Any, call: Call) -> Any:
        _echo(call)
        _fail_if_told(request)
        return SimpleResponse(payload={"body": bytes(request.response_size)})

    async def streaming_input_call(self, requests: AsyncIterator[Any], call: Call) -> Any:
        total = sum([len(request.payload.body) async for request in requests])
        return StreamingInputCallResponse(aggregated_payload_size=total)

    async def streaming_output_call(self, request: Any, call: Call) -> AsyncIterator[Any]:
        _echo(call)
        _fail_if_told(request)
        async for answer in _answers(request):
            yield answer

    async def full_duplex_call(
        self, requests: AsyncIterator[Any], call: Call
    ) -> AsyncIterator[Any]:
        _echo(call)
        async for request in requests:
            _fail_if_told(request)
            async for answer in _answers(request):
                yield answer


def build() -> tuple[list[Route], Pipeline]:
    """Return what a transport needs to serve the cases."""
    status.STATUS = {**status.STATUS, **{kind: code for code, kind in _TOLD.items()}}
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    return bind(SERVICE, TestService()), pipeline


async def _answers(request: Any) -> AsyncIterator[Any]:
    for wanted in request.response_parameters:
        await asyncio.sleep(wanted.interval_us / 1e6)
        yield StreamingOutputCallResponse(payload={"body": bytes(wanted.size)})


def _echo(call: Call) -> None:
    if ECHO_INITIAL in call.metadata:
        call.initial.append((ECHO_INITIAL, call.metadata[ECHO_INITIAL]))
    if ECHO_TRAILING in call.metadata:
        call.trailing.append((ECHO_TRAILING, call.metadata[ECHO_TRAILING]))


def _fail_if_told(request: Any) -> None:
    if request.response_status.code:
        told = request.response_status
        raise _TOLD[status.Code(told.code)](told.message)
