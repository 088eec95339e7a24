"""How the asyncio client gets a call answered: `Attempts` made with a channel and a clock."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio

from inferd_client._attempts import Attempts, Tactics
from inferd_client._calls import STREAM, Ask, Method, Pairs, Result
from inferd_client._channel import SERIALIZE, attempt_metadata, raise_if_closed, read_failure
from inferd_client._errors import InferdError
from inferd_client._hedge import HedgePolicy
from inferd_client._trailing import Trailing, mapping_of

Attempt = asyncio.Task[tuple[Any, Trailing]]


class AsyncSender:
    """Sends what a client asks, as often as it takes."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        tactics: Tactics,
        *,
        metadata: Pairs,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._channel = channel
        self._tactics = tactics
        self._metadata = metadata
        self._clock = clock
        self._sleep = sleep
        self._rpcs: dict[Method, Any] = {}

    async def ask(
        self, ask: Ask[Result], timeout_s: float, hedge: HedgePolicy | None = None
    ) -> Result:
        """Return the answer. Raises `InferdError`."""
        now = self._clock()
        attempts = self._tactics.attempts(now=now, timeout_s=timeout_s, ask=ask, hedge=hedge)
        made = self._race if attempts.may_overlap else self._relay
        answer, trailing = await made(ask, attempts)
        attempts.answered(self._clock())
        return ask.read(answer, trailing)

    def stream(self, timeout_s: float, metadata: Pairs) -> Any:
        """Open the stream of requests and answers."""
        attempts = self._tactics.attempts(now=self._clock(), timeout_s=timeout_s)
        return self._channel.stream_stream(
            STREAM.path,
            request_serializer=SERIALIZE,
            response_deserializer=STREAM.response.FromString,
        )(
            timeout=attempts.remaining_s(self._clock()),
            metadata=self._metadata + metadata,
        )

    async def _relay(self, ask: Ask[Any], attempts: Attempts) -> tuple[Any, Trailing]:
        """Make one attempt after another."""
        while True:
            attempts.begin(self._clock())
            try:
                return await self._attempt(ask, attempts)
            except InferdError as failure:
                error = failure
            attempts.failed(error, self._clock())
            await self._sleep(attempts.wait_s(self._clock()) or 0.0)

    async def _race(self, ask: Ask[Any], attempts: Attempts) -> tuple[Any, Trailing]:
        """Make several attempts at once, if need be."""
        under_way: set[Attempt] = set()
        ended: asyncio.Queue[Attempt] = asyncio.Queue()
        attempt = None
        try:
            while True:
                if attempt is None and attempts.begin(self._clock()):
                    attempt = asyncio.create_task(self._attempt(ask, attempts))
                    under_way.add(attempt)
                    attempt.add_done_callback(ended.put_nowait)
                attempt = await _first(ended, attempts.wait_s(self._clock()))
                if attempt is not None:
                    under_way.remove(attempt)
                    try:
                        return attempt.result()
                    except InferdError as failure:
                        error = failure
                    attempts.failed(error, self._clock())
        finally:
            for attempt in under_way:
                attempt.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _attempt(self, ask: Ask[Any], attempts: Attempts) -> tuple[Any, Trailing]:
        rpc = self._rpc(ask.method)(
            ask.message,
            timeout=attempts.remaining_s(self._clock()),
            metadata=attempt_metadata(self._metadata + ask.metadata, attempts.made - 1),
        )
        try:
            return await rpc, mapping_of(await rpc.trailing_metadata())
        except grpc.aio.AioRpcError as failure:
            raise read_failure(failure) from None
        except asyncio.CancelledError:
            raise_if_closed()
            raise

    def _rpc(self, method: Method) -> Any:
        if method not in self._rpcs:
            self._rpcs[method] = self._channel.unary_unary(
                method.path,
                request_serializer=SERIALIZE,
                response_deserializer=method.response.FromString,
            )
        return self._rpcs[method]


async def _first(ended: asyncio.Queue[Attempt], within_s: float | None) -> Attempt | None:
    """Return the first that has ended; None if none does in time."""
    try:
        async with asyncio.timeout(within_s):
            return await ended.get()
    except TimeoutError:
        return None
