"""One stream of requests, many of them in flight, a response for each.

A response comes when it is ready, whatever came before it: the request's id tells whose it
is. Requests without an id could not be told apart, so theirs come in the order of the
requests, as Triton's do. An error is a response like any other and the stream goes on.

What is in flight or not yet sent is bounded: past it, no more requests are read until the
client reads responses.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from inferd.oip import grpc_service_pb2 as pb

Answer = Callable[[pb.ModelInferRequest], Awaitable[pb.ModelStreamInferResponse]]
"""Answers one request, errors included: it raises only what ends the stream."""

MOST = 64
"""Requests of one stream that are read and not yet answered to the client."""

_Outbox = asyncio.Queue[pb.ModelStreamInferResponse | None]


async def answers(
    requests: AsyncIterator[pb.ModelInferRequest], answer: Answer, *, most: int = MOST
) -> AsyncGenerator[pb.ModelStreamInferResponse, None]:
    """Yield a response for each request. Closing the generator cancels what is in flight."""
    outbox = _Outbox()
    places = asyncio.Semaphore(most)
    reader = asyncio.create_task(_read(requests, answer, outbox, places), name="stream")
    try:
        while (response := await outbox.get()) is not None:
            yield response
            places.release()
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _read(
    requests: AsyncIterator[pb.ModelInferRequest],
    answer: Answer,
    outbox: _Outbox,
    places: asyncio.Semaphore,
) -> None:
    last: asyncio.Task[None] | None = None
    broken: Exception | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            try:
                async for request in requests:
                    await places.acquire()
                    before = None if request.id else last
                    task = tasks.create_task(_answer(request, answer, outbox, before))
                    if not request.id:
                        last = task
            except Exception as error:  # raised once what came before is answered
                broken = error
    finally:
        outbox.put_nowait(None)
    if broken is not None:
        raise broken


async def _answer(
    request: pb.ModelInferRequest,
    answer: Answer,
    outbox: _Outbox,
    before: asyncio.Task[None] | None,
) -> None:
    response = await answer(request)
    if before is not None:
        await asyncio.wait((before,))
    outbox.put_nowait(response)
