"""Routes on a `grpc.aio` server: bytes in, bytes out.

gRPC is asked for as little as possible, because most of what a call costs is spent there:
no interceptors, no serialisers, and the metadata it has already decoded once for routing.
That is why a route is looked up as a factory: `grpc.aio` resolves a call to a handler
before it reads the request, and the handler here is the call itself.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import grpc.aio

from inferd.call import Call, Value
from inferd.config import Server
from inferd.deadline import NEVER, Clock, Deadline
from inferd.services.pipeline import Pipeline, Requests
from inferd.services.routes import Route
from inferd.services.status import Refusal
from inferd.transport import sockets

if TYPE_CHECKING:  # generic in the stubs only
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
else:
    Context = grpc.aio.ServicerContext

Metadata: TypeAlias = Iterable[tuple[str, Value]]

COMPRESSION = {
    "none": grpc.Compression.NoCompression,
    "deflate": grpc.Compression.Deflate,
    "gzip": grpc.Compression.Gzip,
}


@asynccontextmanager
async def listening(
    config: Server,
    routes: Iterable[Route],
    pipeline: Pipeline,
    *,
    clock: Clock = time.monotonic,
) -> AsyncIterator[int]:
    """Serve `routes` for as long as the block lasts, then drain. Yields the port.

    To drain: new calls are refused, clients are told to go (GOAWAY), and calls under way
    have `config.drain_s` to finish before they are cancelled. What gRPC has received and not
    yet announced at that moment ends as CANCELLED; it has not run.

    Raises:
        OSError: the address cannot be listened on; the message names it and says why.
    """
    server = grpc.aio.server(
        handlers=(_Methods(routes, pipeline, clock),),
        options=channel_options(config),
        maximum_concurrent_rpcs=config.max_concurrent_calls or None,
        compression=COMPRESSION[config.compression],
    )
    logging.getLogger("grpc._cython.cygrpc").addFilter(_is_news)
    port = _listen(server, config)
    try:
        await server.start()
        yield port
    finally:
        pipeline.drain()
        await server.stop(config.drain_s)
        # gRPC is rid of its calls a moment before their handlers notice.
        await pipeline.idle()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether gRPC's own line says more than that a caller left while it was answered."""
    return "ExecuteBatchError" not in record.getMessage()


def channel_options(config: Server) -> list[tuple[str, int]]:
    """Return `config` as gRPC's channel arguments."""
    options = {
        "grpc.so_reuseport": int(config.reuse_port),
        "grpc.max_receive_message_length": config.max_receive_bytes,
        "grpc.max_send_message_length": config.max_send_bytes,
        # Between the soft and the hard limit gRPC refuses at random; one limit is enough.
        "grpc.max_metadata_size": config.max_metadata_bytes,
        "grpc.absolute_max_metadata_size": config.max_metadata_bytes,
        "grpc.max_concurrent_streams": config.max_concurrent_streams,
        "grpc.keepalive_time_ms": _ms(config.keepalive_time_s),
        "grpc.keepalive_timeout_ms": _ms(config.keepalive_timeout_s),
        "grpc.keepalive_permit_without_calls": 1,
        "grpc.http2.min_ping_interval_without_data_ms": _ms(config.keepalive_min_client_interval_s),
    }
    if config.max_connection_age_s:
        options["grpc.max_connection_age_ms"] = _ms(config.max_connection_age_s)
        options["grpc.max_connection_age_grace_ms"] = _ms(config.max_connection_age_grace_s)
    return list(options.items())


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _listen(server: grpc.aio.Server, config: Server) -> int:
    host = f"[{config.host}]" if ":" in config.host else config.host
    address = f"{host}:{config.port}"
    try:
        port: int = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise sockets.refused(config.host, config.port)
    return port


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the route of a call."""

    def __init__(self, routes: Iterable[Route], pipeline: Pipeline, clock: Clock) -> None:
        self._arrivals: dict[str, Callable[[Metadata], _Arrival]] = {
            route.path: partial(
                _ARRIVALS[route.client_streaming, route.server_streaming],
                pipeline.bind(route),
                route.path,
                clock,
            )
            for route in routes
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        arrival = self._arrivals.get(handler_call_details.method)
        return None if arrival is None else arrival(handler_call_details.invocation_metadata)


class _Arrival:
    """One call, from when gRPC announced it. To gRPC it is its own `RpcMethodHandler`."""

    __slots__ = ("_arrived", "_clock", "_metadata", "_path", "_run")

    request_deserializer = None
    response_serializer = None

    def __init__(
        self, run: Callable[[Any, Call], Any], path: str, clock: Clock, metadata: Metadata
    ) -> None:
        self._run = run
        self._path = path
        self._clock = clock
        self._metadata = metadata
        self._arrived = clock()

    def _call(self, context: Context) -> Call:
        remaining = context.time_remaining()
        return Call(
            self._path,
            arrived=self._arrived,
            deadline=NEVER if remaining is None else Deadline(self._clock() + remaining),
            metadata={key: value for key, value in self._metadata},  # noqa: C416
            peer=context.peer(),
        )

    async def _one(self, request: Any, context: Context) -> bytes:
        call = self._call(context)
        answer = await self._run(request, call)
        if type(answer) is not bytes:
            await _refuse(context, answer)
        if call.initial:
            await context.send_initial_metadata(tuple(call.initial))
        if call.trailing:
            context.set_trailing_metadata(tuple(call.trailing))
        return answer  # type: ignore[no-any-return]

    async def _many(self, request: Any, context: Context) -> None:
        call = self._call(context)
        refused: Refusal | None = None
        async with aclosing(self._run(request, call)) as answers:
            async for answer in answers:
                if type(answer) is bytes:
                    if call.initial:
                        await context.send_initial_metadata(tuple(call.initial))
                        call.initial.clear()
                    await context.write(answer)
                else:
                    refused = answer
        if refused is not None:
            await _refuse(context, refused)
        if call.trailing:
            context.set_trailing_metadata(tuple(call.trailing))


class _UnaryUnary(_Arrival):
    __slots__ = ()
    request_streaming = response_streaming = False
    unary_unary = _Arrival._one


class _StreamUnary(_Arrival):
    __slots__ = ()
    request_streaming, response_streaming = True, False
    stream_unary = _Arrival._one


class _UnaryStream(_Arrival):
    __slots__ = ()
    request_streaming, response_streaming = False, True
    unary_stream = _Arrival._many


class _StreamStream(_Arrival):
    __slots__ = ()
    request_streaming = response_streaming = True

    async def stream_stream(self, _: object, context: Context) -> None:
        async with _reading(context) as requests:
            await self._many(requests, context)


_ARRIVALS: dict[tuple[bool, bool], type[_Arrival]] = {
    (False, False): _UnaryUnary,
    (False, True): _UnaryStream,
    (True, False): _StreamUnary,
    (True, True): _StreamStream,
}


async def _refuse(context: Context, refused: Refusal) -> None:
    # `set_code` and a plain return would be some microseconds cheaper, but puts headers
    # before the status, and a client takes headers for an answer that must not be retried.
    await context.abort(refused.code, refused.message, refused.trailing)


@asynccontextmanager
async def _reading(context: Context) -> AsyncIterator[Requests]:
    """Feed what the client streams into a `Requests` for as long as the block lasts."""
    requests = Requests()
    reader = asyncio.create_task(_read(context, requests), name="reader")
    try:
        yield requests
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)  # an aborted call says so here, too


async def _read(context: Context, requests: Requests) -> None:
    try:
        while (body := await context.read()) is not grpc.aio.EOF:
            await requests.put(body)
    finally:
        requests.end()
