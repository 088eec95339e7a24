"""The ASGI application that Envoy hosts: its requests are calls, its lifespan is the server's."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any

from inferd.config import Server
from inferd.deadline import Clock
from inferd.services.pipeline import Pipeline
from inferd.services.routes import Route
from inferd.services.status import Code, Refusal
from inferd.transport import sockets
from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.calls import KINDS, Scope, answer_unknown
from inferd.transport.envoy.events import Send
from inferd.transport.envoy.shedding import Arrivals, shedding
from inferd.transport.envoy.watch import Receive, Watch

log = logging.getLogger(__name__)

#: How long Envoy may take to pass the last answers on.
FLUSH_S = 1.0

_STOPPED = Refusal(Code.CANCELLED, "the server has stopped", ())

Answer = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]


class Application:
    """An ASGI 3 application.

    `live` is what the server does from its start to its end. It is given `listening`, which it
    enters when it is ready for calls; nothing listens before.
    """

    #: For hosts that would otherwise look whether `__call__` is a coroutine function.
    _asgi_single_callable = True

    def __init__(
        self,
        live: Callable[["Application"], Awaitable[None]],
        admin: Admin,
        *,
        clock: Clock = time.monotonic,
        wall_clock: Clock = time.time,  # noqa: TID251 - Envoy's note is of the day's clock
    ) -> None:
        self._live = live
        self._admin = admin
        self._clock = clock
        self._wall_clock = wall_clock
        self._answers: dict[str, Answer] = {}
        self._started: Callable[[], Awaitable[None]] | None = None
        #: The lifespan's task: the host does not hold on to it, and an event loop does not either.
        self._life: asyncio.Task[Any] | None = None
        #: Done when Envoy is about to leave.
        self._leaving: asyncio.Future[Any] | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Return the coroutine that answers one request, or that is the server's life."""
        if scope["type"] == "lifespan":
            return self._lifespan(receive, send)
        return self._answers.get(scope["path"], answer_unknown)(scope, receive, send)

    @asynccontextmanager
    async def listening(
        self, config: Server, routes: Iterable[Route], pipeline: Pipeline
    ) -> AsyncIterator[int]:
        """Serve `routes` for as long as the block lasts, then drain. Yields the port.

        To drain: new calls are refused, clients are told to go (GOAWAY), and calls under way
        have `config.drain_s` to finish before they are cancelled.

        Raises:
            OSError: the address cannot be listened on; the message names it and says why.
        """
        watch, arrivals = Watch(self._clock), Arrivals()
        for route in routes:
            kind = KINDS[route.server_streaming]
            calls = kind(
                route,
                pipeline,
                config,
                watch,
                arrivals,
                clock=self._clock,
                wall_clock=self._wall_clock,
            )
            self._answers[route.path] = calls.answer
        assert self._started is not None, "to listen is for the lifespan"
        await self._started()
        port = await self._port(config)
        try:
            busy = config.envoy.shed_above_busy
            async with shedding(busy, pipeline, arrivals, self._admin.shed):
                yield port
        finally:
            pipeline.drain()
            await self._send_away()
            await _within(config.drain_s, pipeline.idle())
            watch.end_all(_STOPPED)
            await pipeline.idle()
            await _within(FLUSH_S, self._admin.flushed())

    async def _port(self, config: Server) -> int:
        """Wait until Envoy listens, or leaves because it cannot."""
        assert self._leaving is not None, "to listen is for the lifespan"
        port = asyncio.create_task(self._admin.listener_port(), name="listener")
        await asyncio.wait((port, self._leaving), return_when=asyncio.FIRST_COMPLETED)
        if not port.done():
            port.cancel()
            raise sockets.refused(config.host, config.port)
        return await port

    async def _send_away(self) -> None:
        try:
            await self._admin.drain()
        except Exception:  # whatever keeps Envoy from it, the calls under way are to be finished
            log.exception("clients could not be told to go")

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        self._life = asyncio.current_task()
        await receive()
        self._leaving = asyncio.ensure_future(receive())

        async def started() -> None:
            await send({"type": "lifespan.startup.complete"})

        self._started = started
        await self._live(self)


async def _within(seconds: float, act: Awaitable[None]) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(act, seconds)
