"""A server that does as it is told, and both clients with one face, to ask it."""

import asyncio
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import numpy as np
from google.protobuf.message_factory import GetMessageClass
from grpc import StatusCode

from inferd.oip import grpc_service_pb2 as pb
from inferd_client import AsyncClient, Client

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
LOCAL = [("grpc.enable_http_proxy", 0)]

Trouble = Callable[[Any], Awaitable[None]]


class FakeServer(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Echoes tensors, adds for `simple`, guesses zero for `digits`; fails when told to."""

    def __init__(self) -> None:
        #: What happens to the next calls, one each, instead of an answer.
        self.troubles: deque[Trouble] = deque()
        #: The method and metadata of each call, and when it came.
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.times: list[float] = []
        #: Set when a call that hangs is cancelled.
        self.cancelled = asyncio.Event()
        #: Set when a call hangs.
        self.hanging = asyncio.Event()
        self.requests: list[Any] = []
        #: How many calls are under way.
        self.under_way = 0
        #: Why streams end as soon as they have begun.
        self.no_streams: Trouble | None = None

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Find the method: `model_infer` for `ModelInfer`."""
        name = details.method.rpartition("/")[2]
        method = getattr(self, re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower(), None)
        if method is None:
            return None
        request = GetMessageClass(SERVICE.methods_by_name[name].input_type).FromString
        if name == "ModelStreamInfer":
            return grpc.stream_stream_rpc_method_handler(method, request, _bytes_of)
        return grpc.unary_unary_rpc_method_handler(self._scripted(name, method), request, _bytes_of)

    def _scripted(self, name: str, method: Callable[[Any], Any]) -> Any:
        async def handle(request: Any, context: Any) -> Any:
            self.calls.append((name, dict(context.invocation_metadata() or ())))
            self.times.append(time.monotonic())
            self.requests.append(request)
            self.under_way += 1
            try:
                if self.troubles:
                    await self.troubles.popleft()(context)
            finally:
                self.under_way -= 1
            if not context.trailing_metadata():
                context.set_trailing_metadata((("x-latency-queue-ms", "0.25"), ("x-batch", "1")))
            return method(request)

        return handle

    async def hang(self, _: Any) -> None:
        """Never answer, and notice when the caller gives up."""
        self.hanging.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    def server_live(self, _: Any) -> Any:
        """Be alive."""
        return pb.ServerLiveResponse(live=True)

    def server_metadata(self, _: Any) -> Any:
        """Be somebody."""
        return pb.ServerMetadataResponse(name="fake", version="0", extensions=["statistics"])

    def repository_model_load(self, _: Any) -> Any:
        """Have nothing to load."""
        return pb.RepositoryModelLoadResponse()

    def model_infer(self, request: Any) -> Any:
        """Answer by the model's name."""
        answer = pb.ModelInferResponse(
            model_name=request.model_name, model_version="3", id=request.id
        )
        tensors = MODELS.get(request.model_name, _echo)(request)
        for name, datatype, shape, raw in tensors:
            answer.outputs.add(name=name, datatype=datatype, shape=shape)
            answer.raw_output_contents.append(raw)
        return answer

    async def model_stream_infer(
        self, requests: AsyncIterator[Any], context: Any
    ) -> AsyncIterator[Any]:
        """Answer each request; an error is an answer too."""
        if self.no_streams:
            await self.no_streams(context)
            return
        async for request in requests:
            if request.model_name == "broken":
                failed = pb.ModelInferResponse(id=request.id)
                yield pb.ModelStreamInferResponse(error_message="broken", infer_response=failed)
            else:
                yield pb.ModelStreamInferResponse(infer_response=self.model_infer(request))


def _bytes_of(message: Any) -> bytes:
    raw: bytes = message.SerializeToString()
    return raw


def _echo(request: Any) -> list[tuple[str, str, Any, bytes]]:
    return [
        (tensor.name, tensor.datatype, tensor.shape, raw)
        for tensor, raw in zip(request.inputs, request.raw_input_contents, strict=True)
    ]


def _add(request: Any) -> list[tuple[str, str, Any, bytes]]:
    left, right = (np.frombuffer(raw, np.int32) for raw in request.raw_input_contents)
    return [
        ("OUTPUT0", "INT32", [1, 16], (left + right).tobytes()),
        ("OUTPUT1", "INT32", [1, 16], (left - right).tobytes()),
    ]


def _guess(request: Any) -> list[tuple[str, str, Any, bytes]]:
    rows = request.inputs[0].shape[0]
    return [
        ("probabilities", "FP32", [rows, 10], np.full((rows, 10), 0.1, np.float32).tobytes()),
        ("label", "INT64", [rows, 1], np.zeros((rows, 1), np.int64).tobytes()),
    ]


MODELS = {"simple": _add, "digits": _guess}


def refusal(
    code: StatusCode, text: str, *trailing: tuple[str, str | bytes]
) -> Callable[[Any], Awaitable[None]]:
    async def refuse(context: Any) -> None:
        await context.abort(code, text, trailing)

    return refuse


def shed(pushback_ms: int) -> Trouble:
    return refusal(StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", str(pushback_ms)))


class InThread:
    """The blocking client with the face of the other: each call runs in a thread."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._client, name)
        return lambda *positional, **named: asyncio.to_thread(method, *positional, **named)

    async def infer_stream(self, *positional: Any, **named: Any) -> AsyncIterator[Any]:
        stream = self._client.infer_stream(*positional, **named)
        while (answer := await asyncio.to_thread(next, stream, None)) is not None:
            yield answer


@asynccontextmanager
async def a_server(port: int = 0) -> AsyncIterator[tuple[FakeServer, str]]:
    fake = FakeServer()
    server = grpc.aio.server(options=[("grpc.max_receive_message_length", 2**26)])
    server.add_generic_rpc_handlers((fake,))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield fake, f"127.0.0.1:{bound}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def a_client(kind: str, address: str, **arguments: Any) -> AsyncIterator[Any]:
    arguments = {**arguments, "options": [*LOCAL, *arguments.get("options", ())]}
    if kind == "asyncio":
        async with AsyncClient(address, **arguments) as client:
            yield client
    else:
        with Client(address, **arguments) as client:
            yield InThread(client)


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(10):
        await event.wait()
