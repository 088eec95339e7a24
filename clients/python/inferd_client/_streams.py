"""A stream of requests and its answers, for both clients.

One side sends while the other reads, and each can end the stream before the other is done.
What the caller sees must not depend on which of them notices first: the answers that came,
and then the stream's status, or else whatever the requests raised.
"""

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from inferd.oip import grpc_service_pb2 as pb
from inferd_client._answers import StreamAnswer
from inferd_client._calls import InferRequest, infer_message, read_stream_answer
from inferd_client._channel import raise_if_closed, read_failure
from inferd_client._errors import error_of
from inferd_client._trailing import mapping_of


class Outgoing:
    """The requests of one stream, as messages.

    A request that cannot be had or sent ends the sending, so that those before it are
    answered; what it raised is kept for the reader. (gRPC would only log it.)
    """

    def __init__(self, requests: Iterable[InferRequest] | AsyncIterable[InferRequest]) -> None:
        self._requests = requests
        self._failure: Exception | None = None

    def __iter__(self) -> Iterator[pb.ModelInferRequest]:
        assert isinstance(self._requests, Iterable)
        try:
            for request in self._requests:
                yield infer_message(request)
        except Exception as failure:
            self._failure = failure

    async def __aiter__(self) -> AsyncIterator[pb.ModelInferRequest]:
        if not isinstance(self._requests, AsyncIterable):
            for message in self:
                yield message
            return
        try:
            async for request in self._requests:
                yield infer_message(request)
        except Exception as failure:
            self._failure = failure

    def raise_failure(self) -> None:
        """Raise what the requests raised, if they did."""
        if self._failure is not None:
            raise self._failure


def answers(rpc: Any, outgoing: Outgoing) -> Generator[StreamAnswer, None, None]:
    """Yield a blocking stream's answers; gRPC sends `outgoing` from a thread of its own."""
    try:
        for answer in rpc:
            yield read_stream_answer(answer)
        outgoing.raise_failure()
    except grpc.RpcError as failure:
        raise read_failure(failure) from None
    finally:
        rpc.cancel()


async def answers_async(rpc: Any, outgoing: Outgoing) -> AsyncGenerator[StreamAnswer, None]:
    """Yield the answers of a stream on an event loop, and send `outgoing` meanwhile."""
    ending = _Ending(rpc)
    sender = asyncio.create_task(_send(rpc, outgoing), name="infer_stream")
    try:
        async for answer in rpc:
            yield read_stream_answer(answer)
        outgoing.raise_failure()
    except grpc.aio.AioRpcError as failure:
        ending.raise_error(failure)
        outgoing.raise_failure()
    except asyncio.CancelledError:
        raise_if_closed()
        raise
    finally:
        rpc.cancel()
        sender.cancel()
        await asyncio.wait([sender])


async def _send(rpc: Any, outgoing: Outgoing) -> None:
    # A call that ends while this sends is no news from here: the reader has its status.
    with suppress(grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
        await rpc.wait_for_connection()
        async for message in outgoing:
            await rpc.write(message)
        await rpc.done_writing()


class _Ending:
    """The status that a call ended with, noted the moment it arrives.

    grpc.aio replaces a status that has arrived by INTERNAL if a write fails because of it,
    which loses what the server said (grpc/grpc#36066).
    """

    def __init__(self, rpc: Any) -> None:
        self._status: tuple[Any, ...] | None = None
        rpc.add_done_callback(self._note)

    def raise_error(self, failure: grpc.aio.AioRpcError) -> None:
        """Raise the error for the noted status, or `failure` if none was. OK raises nothing."""
        if self._status is None:
            raise read_failure(failure) from None
        code, text, trailing = self._status
        if code is not grpc.StatusCode.OK:
            raise error_of(code, text or "", mapping_of(trailing)) from None

    def _note(self, rpc: Any) -> None:
        if self._status is None:
            parts = (rpc.code(), rpc.details(), rpc.trailing_metadata())
            self._status = tuple(_value_of(part) for part in parts)


def _value_of(finished: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that has nothing left to wait for."""
    try:
        finished.send(None)
    except StopIteration as result:
        return result.value
    finished.close()
    raise AssertionError("a call that is done knows its status")
