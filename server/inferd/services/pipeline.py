"""What happens to every call, whichever method and transport it came by.

`bind` composes it once per route, when the server starts; a call then costs the handler
and a few plain function calls. The pipeline decodes, asks the handler, encodes, and sees to
it that no call ends without a status, a count and, if it failed or was slow, a line in the
log. An error is not raised to the transport but handed to it as a `Refusal`: under overload
refusals are most of the traffic, and a second exception for each is a price without a use.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NoReturn, Protocol, TypeAlias

from google.protobuf.message import DecodeError

from inferd.call import CRITICALITY, EXPLAIN, Call
from inferd.config import Log
from inferd.deadline import Clock
from inferd.errors import DeadlineExceeded, Draining, InferdError, Internal, InvalidRequest, Shed
from inferd.services.lag import LagGuard
from inferd.services.limits import Door, Limits
from inferd.services.routes import Route
from inferd.services.status import NAMES, Code, Refusal, refusal
from inferd.telemetry.rpc import AccessLog, RpcStatistics

log = logging.getLogger(__name__)

Answer: TypeAlias = bytes | Refusal
"""An encoded message, or how the call ended without one."""

OneAnswer: TypeAlias = Callable[[Any, Call], Awaitable[Answer]]
"""What `bind` returns where the server does not stream."""

ManyAnswers: TypeAlias = Callable[[Any, Call], AsyncGenerator[Answer, None]]
"""What `bind` returns where the server streams. A `Refusal` is the last answer of all."""

CLOCK_SKEW_S = 0.005
"""A caller's clock runs ahead of ours by the way here. Who leaves this close to the
deadline was late and did not change its mind."""

TOTAL = "total"


class Span(Protocol):
    """One traced call."""

    def finish(self, code: str, reason: str = "") -> None:
        """End it with the name of the status, and our reason if it failed."""


class Tracer(Protocol):
    """Decides which calls are traced."""

    def start(self, call: Call, method: str) -> Span | None:
        """Return the call's span, or None when it is not traced."""


class Requests:
    """What one caller streams in: the transport puts, the handler takes, one ahead at most.

    When the server drains, the pipeline interrupts it: the handler then sees the end of its
    requests, answers what it has taken, and the caller is told why there is no more.
    """

    def __init__(self) -> None:
        #: Nothing more will be put.
        self.ended = False
        #: Not by the caller.
        self.interrupted = False
        self._bodies: deque[bytes] = deque()
        self._arrived: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None

    async def put(self, body: bytes) -> None:
        """Hand over one message and wait until there is room for the next."""
        self._bodies.append(body)
        _wake(self._arrived)
        while len(self._bodies) > 1 and not self.ended:
            self._taken = asyncio.get_running_loop().create_future()
            await self._taken

    def end(self) -> None:
        """Let nothing follow what has been put."""
        self.ended = True
        _wake(self._arrived)
        _wake(self._taken)

    def interrupt(self) -> None:
        """End what the caller has not ended."""
        self.interrupted = not self.ended
        self.end()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._bodies:
            if self.ended:
                raise StopAsyncIteration
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        body = self._bodies.popleft()
        _wake(self._taken)
        return body


class Pipeline:
    """Binds routes, and knows of every call that is under way."""

    def __init__(
        self,
        statistics: RpcStatistics,
        config: Log,
        *,
        tracer: Tracer | None = None,
        clock: Clock = time.monotonic,
        shed_lag_s: float = 0.0,
        limits: Limits | None = None,
    ) -> None:
        """Bind nothing yet. `shed_lag_s` is `LagGuard`'s limit; without `limits` there are none."""
        self.statistics = statistics
        self.tracer = tracer
        self.clock = clock
        self.lag = LagGuard(shed_lag_s, clock)
        self._limits = limits
        #: Lines for failed and slow calls; None when the configuration wants none.
        self.access_log = AccessLog() if config.access else None
        self.slow_s = config.slow_ms / 1000
        #: True once `drain` was called: new calls are refused.
        self.draining = False
        self._conversations: set[Requests] = set()
        self._on_drain: list[Callable[[], None]] = []
        self._emptied: asyncio.Future[None] | None = None

    def bind(self, route: Route) -> Callable[[Any, Call], Any]:
        """Return what a transport calls with the request and the `Call`.

        The request is a message's bytes. Where the client streams it is an asynchronous
        iterator of them; where both stream, it must be a `Requests`. The result is a
        `OneAnswer` or, where the server streams, a `ManyAnswers`. Only cancellation is raised.
        """
        door = None
        if self._limits is not None:
            route, door = self._limits.guard(route)
        return _many(self, route, door) if route.server_streaming else _one(self, route, door)

    def on_drain(self, act: Callable[[], None]) -> None:
        """Have `act` called when the drain begins: to end streams that have no other end."""
        self._on_drain.append(act)

    def drain(self) -> None:
        """Refuse new calls and end conversations; calls under way go on."""
        if self.draining:
            return
        self.draining = True
        for act in self._on_drain:
            act()
        for requests in self._conversations:
            requests.interrupt()

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return sum(method.in_flight for method in self.statistics.methods.values())

    async def idle(self) -> None:
        """Return when no call is under way."""
        while self.in_flight:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied
        self._emptied = None

    def _conversing(self, requests: Requests) -> None:
        self._conversations.add(requests)

    def _conversed(self, requests: Requests) -> None:
        requests.end()
        self._conversations.discard(requests)

    def _left(self) -> None:
        if not self.in_flight:
            _wake(self._emptied)


def _one(pipeline: Pipeline, route: Route, door: Door | None) -> OneAnswer:
    books = _Books(pipeline, route)
    opened, answered, clock = _through(door, books.opened), books.answered, pipeline.clock
    read, handler, encode = _reader(route), route.handler, route.encode

    async def answer(body: Any, call: Call) -> Answer:
        request = None
        try:
            opened(call)
            request = read(body)
            encoded = encode(await handler(request, call))
            now = clock()
            if now > call.deadline.at:
                _too_late(call, now)
        except Exception as error:
            return books.refused(call, request, error)
        except BaseException:
            books.abandoned(call)
            raise
        answered(call, now)
        return encoded

    return answer


def _many(pipeline: Pipeline, route: Route, door: Door | None) -> ManyAnswers:
    books, converses = _Books(pipeline, route), route.client_streaming
    opened = _through(door, books.opened)
    read, handler, encode, clock = _reader(route), route.handler, route.encode, pipeline.clock

    async def answers(body: Any, call: Call) -> AsyncGenerator[Answer, None]:
        request = None
        if converses:
            pipeline._conversing(body)
        try:
            opened(call)
            request = read(body)
            async with aclosing(handler(request, call)) as messages:
                async for message in messages:
                    if (now := clock()) > call.deadline.at:
                        _too_late(call, now)
                    yield encode(message)
            if converses and body.interrupted:
                _turn_away()
        except Exception as error:
            yield books.refused(call, request, error)
        except BaseException:
            books.abandoned(call)
            raise
        else:
            books.answered(call, clock())
        finally:
            if converses:
                pipeline._conversed(body)

    return answers


def _through(door: Door | None, opened: Callable[[Call], None]) -> Callable[[Call], None]:
    """Return `opened`, and then the door, if there is one."""
    if door is None:
        return opened

    def opened_and_let_in(call: Call) -> None:
        opened(call)
        door(call)

    return opened_and_let_in


def _reader(route: Route) -> Callable[[Any], Any]:
    return partial(_Decoded, route) if route.client_streaming else route.decode


class _Decoded:
    """A stream of requests, from a stream of their bytes."""

    __slots__ = ("_bodies", "_route")

    def __init__(self, route: Route, bodies: AsyncIterator[bytes]) -> None:
        self._route = route
        self._bodies = bodies

    def __aiter__(self) -> "AsyncIterator[Any]":
        return self

    async def __anext__(self) -> Any:
        body = await anext(self._bodies)
        try:
            return self._route.decode(body)
        except DecodeError:
            raise _unreadable(self._route) from None


class _Books:
    """How the calls of one method are counted, timed, traced and written down.

    `opened`, which raises when the server takes no calls, and then exactly one of `answered`,
    `refused` and `abandoned`.
    """

    def __init__(self, pipeline: Pipeline, route: Route) -> None:
        self._pipeline = pipeline
        self._route = route
        self._tracer = pipeline.tracer
        self._statistics = pipeline.statistics.method(route.path)
        self._succeeded = self._statistics.of(Code.OK.name).observe
        self._streams = route.client_streaming or route.server_streaming
        #: A stream lasts as long as there is something to say; that is not slow.
        self._slow_s = float("inf") if self._streams else pipeline.slow_s

    def opened(self, call: Call) -> None:
        self._statistics.in_flight += 1
        if self._tracer is not None:
            call.span = self._tracer.start(call, self._route.path)
        if self._pipeline.draining and not self._route.unconditional:
            _turn_away()
        if CRITICALITY in call.metadata and call.sheddable and not self._route.unconditional:
            self._shed_if_late(call)

    def _shed_if_late(self, call: Call) -> None:
        """Refuse a call that can be spared, unread, while calls wait for the event loop."""
        now = self._pipeline.clock()
        late_s = self._pipeline.lag.late_s(call.arrived, now)
        if late_s:
            self._statistics.lag_shed += 1
            again = late_s if now + late_s < call.deadline.at else -1.0
            raise Shed("the server is behind, and this call is sheddable", retry_after_s=again)

    def answered(self, call: Call, now: float) -> None:
        took_s = now - call.arrived
        self._succeeded(took_s)
        if took_s >= self._slow_s:
            self._write("slow", call, "OK", now)
        self._closed(call, now, "OK")

    def refused(self, call: Call, request: Any, error: Exception) -> Refusal:
        now = self._pipeline.clock()
        known = error if isinstance(error, InferdError) else self._named(request, error)
        if isinstance(known, Internal):
            log.error("unforeseen error in %s", self._route.path, exc_info=error)
        refused = refusal(known)
        code = NAMES[refused.code]
        self._statistics.of(code).observe(now - call.arrived)
        self._write("failed", call, code, now, request=request, error=known)
        self._closed(call, now, code, known.reason)
        if call.trailing:
            return refused._replace(trailing=(*call.trailing, *refused.trailing))
        return refused

    def _named(self, request: Any, error: Exception) -> InferdError:
        if request is None and isinstance(error, DecodeError):
            return _unreadable(self._route)
        return Internal("internal error")

    def abandoned(self, call: Call) -> None:
        now = self._pipeline.clock()
        late = call.deadline.remaining(now) < CLOCK_SKEW_S
        code = NAMES[Code.DEADLINE_EXCEEDED if late else Code.CANCELLED]
        self._statistics.of(code).observe(now - call.arrived)
        if late or not self._streams:  # to leave is how a caller ends a stream
            self._write("abandoned", call, code, now)
        self._closed(call, now, code, code)

    def _closed(self, call: Call, now: float, code: str, reason: str = "") -> None:
        self._statistics.in_flight -= 1
        if self._pipeline._emptied is not None:
            self._pipeline._left()
        if EXPLAIN in call.metadata and call.explains:
            call.trailing.extend(_waterfall(call, now))
        if call.span is not None:
            span: Any = call.span
            span.finish(code, reason)

    def _write(
        self,
        outcome: str,
        call: Call,
        code: str,
        now: float,
        *,
        request: Any = None,
        error: InferdError | None = None,
    ) -> None:
        access_log = self._pipeline.access_log
        if access_log is None or not access_log.wants(now):
            return
        deadline = call.deadline
        fields = {
            "method": call.method,
            "code": code,
            "reason": error.reason if error else "",
            "duration_ms": round((now - call.arrived) * 1000, 3),
            "deadline_ms": None
            if deadline.unlimited
            else round(deadline.remaining(call.arrived) * 1000, 3),
            "peer": call.peer,
            "model": _model_of(request),
        }
        access_log.write(f"{outcome}: {error}" if error else outcome, fields)


def _unreadable(route: Route) -> InvalidRequest:
    return InvalidRequest(f"the request is not a valid {route.request_name} message")


def _turn_away() -> NoReturn:
    raise Draining("the server is shutting down")


def _too_late(call: Call, now: float) -> NoReturn:
    late_ms = (now - call.deadline.at) * 1000
    raise DeadlineExceeded(f"the answer was ready {late_ms:.1f} ms too late")


def _waterfall(call: Call, now: float) -> list[tuple[str, str | bytes]]:
    stages: dict[str, float] = {}
    for stage, seconds in call.stages:
        stages[stage] = stages.get(stage, 0.0) + seconds
    stages[TOTAL] = now - call.arrived
    return [(f"x-latency-{stage}-us", str(round(s * 1e6))) for stage, s in stages.items()]


def _model_of(request: Any) -> str:
    return getattr(request, "model_name", "") or getattr(request, "name", "") or ""


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
