"""An ASGI host for one request at a time, which behaves as pyvoy 1.3.0 was seen to.

What matters of that: `receive` and a `send` with more to come return futures, and whoever
cancels one makes the host stumble later. Those that come to nothing all get the same exception.
Once the request is complete, `receive` answers at once, with nothing as long as the caller is
there. What is sent out of turn, or to a caller who has left, is answered with an error for
whoever awaits it. An application that returns without an answer leaves the caller waiting.
"""

import asyncio
import math
from base64 import b64decode
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, TypeAlias

from inferd.config import Log, Server
from inferd.services.pipeline import Pipeline
from inferd.services.routes import bind
from inferd.services.status import Refusal
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.envoy.calls import KINDS, answer_unknown
from inferd.transport.envoy.messages import framed
from inferd.transport.envoy.shedding import Arrivals
from inferd.transport.envoy.watch import Watch
from support.echo import SERVICE, SERVICE_NAME, Act, Echo, a_note, text_of

Event: TypeAlias = dict[str, Any]
Headers: TypeAlias = list[tuple[bytes, bytes]]
Answer: TypeAlias = Callable[[Event, Any, Any], Awaitable[None]]

GRPC: Headers = [
    (b"host", b"here"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]
#: The day's clock when a test begins, in seconds.
NOON = 1_700_000_000.0
#: In virtual time.
AGES_S = 3600.0


class ClientDisconnectedError(OSError):
    """What pyvoy raises."""


#: The one that all futures get: what is raised with it stays with it.
BROKEN = ClientDisconnectedError()


class Host:
    """One request on its way through an application, and the answer as its caller sees it."""

    def __init__(
        self, answer: Answer, scope: Event, faults: list[str], *, complete: bool = False
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._arrived = bytearray()
        self._request_complete = complete
        self._asking: deque[asyncio.Future[Event]] = deque()
        self._sent: deque[tuple[Event, asyncio.Future[None] | None]] = deque()
        self._expected = "http.response.start"
        self._trailers_follow = False
        self._closed = False
        #: Whether the caller takes what it is sent.
        self.reading = True
        #: The stream is over: answered in full, or the caller has left.
        self.over = False
        #: When somebody asked for more of the request, or whether the caller is there.
        self.asked_at: list[float] = []
        self.status = 0
        self.headers: Headers = []
        self.body = b""
        self.trailers: Headers | None = None
        #: What pyvoy, or the event loop, would have written into the log, or worse.
        self.faults = faults
        self.task = asyncio.ensure_future(answer(scope, self._receive, self._send))

    async def ended(self) -> "Host":
        """Wait for the application to return, and see that it has done so properly."""
        done, _ = await asyncio.wait([self.task], timeout=AGES_S)
        assert done, "it goes on and on"
        await self.settled()
        if error := self.task.cancelled() or self.task.exception():
            self.faults.append(f"raised {error!r}")
        if not self.over and self.reading:
            self.faults.append("returned without an answer")
        assert self.faults == []
        assert BROKEN.__traceback__ is None, "it keeps what it was raised through"
        return self

    async def settled(self) -> None:
        """Wait until nothing more happens at this moment."""
        for _ in range(20):
            await asyncio.sleep(0)

    def bring(self, chunk: bytes, *, more: bool = False) -> None:
        """Have a part of the request arrive."""
        assert not self._request_complete
        self._arrived += chunk
        self._request_complete = not more
        self._tell()

    def leave(self) -> None:
        """Have the caller go away."""
        self.over = True
        for _, waiter in self._sent:
            if waiter is not None:
                self._soon(waiter.set_exception, BROKEN)
        self._sent.clear()
        self._tell()

    def read(self) -> None:
        """Have the caller take everything again."""
        self.reading = True
        self._flush()

    # What the answer says, to a gRPC client.

    @property
    def said(self) -> dict[str, str | bytes]:
        """All headers and trailers; those that are binary as bytes."""
        return {
            name.decode(): b64decode(value + b"==") if name.endswith(b"-bin") else value.decode()
            for name, value in [*self.headers, *(self.trailers or [])]
        }

    @property
    def code(self) -> int:
        assert self.status == 200
        return int(self.said["grpc-status"])

    @property
    def message(self) -> str:
        message = self.said.get("grpc-message", "")
        assert isinstance(message, str)
        return message

    @property
    def trailers_only(self) -> bool:
        return self.trailers is None

    @property
    def answers(self) -> list[str]:
        """The texts of the notes that came back, uncompressed as they are."""
        texts, rest = [], self.body
        while rest:
            length = int.from_bytes(rest[1:5])
            assert rest[0] == 0
            texts.append(text_of(rest[5 : 5 + length]))
            rest = rest[5 + length :]
        return texts

    # The application's side.

    def _receive(self) -> Awaitable[Event]:
        self.asked_at.append(self._loop.time())
        answer: asyncio.Future[Event] = self._loop.create_future()
        self._asking.append(answer)
        self._tell()
        return answer

    def _tell(self) -> None:
        while self._asking and (self.over or self._request_complete or self._arrived):
            answer = self._asking.popleft()
            if self.over:
                event: Event = {"type": "http.disconnect"}
            else:
                more, body = not self._request_complete, bytes(self._arrived)
                event = {"type": "http.request", "body": body, "more_body": more}
                self._arrived.clear()
            self._soon(answer.set_result, event)

    def _soon(self, act: Callable[[Any], None], what: Any) -> None:
        def acting() -> None:
            try:
                act(what)
            except asyncio.InvalidStateError:
                self.faults.append("a future of the host's was cancelled")

        self._loop.call_soon(acting)

    def _send(self, event: Event) -> Awaitable[None]:
        if self._closed:
            return _Told(ClientDisconnectedError())
        if event["type"] != self._expected:
            return _Told(RuntimeError(f"expected {self._expected}, got {event['type']}"))
        _check(event.get("headers", ()))
        waiter = None
        if self._expected == "http.response.start":
            self._trailers_follow = event.get("trailers", False)
            self._expected = "http.response.body"
        elif self._expected == "http.response.body":
            if event.get("more_body", False):
                waiter = self._loop.create_future()
            else:
                self._expected = "http.response.trailers" if self._trailers_follow else "nothing"
        else:
            self._expected = "nothing"
        if self.over:
            return self._nobody(event, waiter)
        self._sent.append((event, waiter))
        self._flush()
        return waiter if waiter is not None else _Told(None)

    def _nobody(self, event: Event, waiter: asyncio.Future[None] | None) -> Awaitable[None]:
        self._closed = event["type"] != "http.response.start"
        if waiter is not None:
            self._soon(waiter.set_exception, BROKEN)
            return waiter
        return _Told(None)

    def _flush(self) -> None:
        while self._sent and self.reading:
            event, waiter = self._sent.popleft()
            if waiter is not None:
                self._soon(waiter.set_result, None)
            self._carry(event)

    def _carry(self, event: Event) -> None:
        match event["type"]:
            case "http.response.start":
                self.status, self.headers = event["status"], event["headers"]
                return
            case "http.response.body":
                self.body += event["body"]
                complete = not event.get("more_body", False) and not self._trailers_follow
            case _:
                self.trailers = event["headers"]
                complete = True
        if complete:
            self.over = True
            self._tell()


class _Told:
    """What awaits no time at all."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def __await__(self) -> Generator[None, None, None]:
        if self._error is not None:
            raise self._error
        yield from ()


def _check(headers: Iterable[tuple[bytes, bytes]]) -> None:
    for name, value in headers:
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise TypeError("headers are bytes")
        if any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in value):
            raise ValueError("failed to parse header value")


def faults_of_the_loop() -> list[str]:
    """Return a list that grows by what the event loop complains of."""
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: faults.append(context["message"])
    )
    return faults


class Bench:
    """The echo service behind the calls of this transport, in virtual time."""

    def __init__(
        self, act: Act | None = None, *, unconditional: tuple[str, ...] = (), **settings: Any
    ) -> None:
        self.now = asyncio.get_running_loop().time
        self.echo = Echo(act)
        self.statistics = RpcStatistics([0.1])
        self.pipeline = Pipeline(self.statistics, Log(access=False), clock=self.now)
        self.watch = Watch(self.now)
        self.arrivals = Arrivals()
        self._faults = faults_of_the_loop()
        self._answers: dict[str, Answer] = {}
        for route in bind(SERVICE, self.echo, unconditional=unconditional):
            calls = KINDS[route.server_streaming](
                route,
                self.pipeline,
                Server(**settings),
                self.watch,
                self.arrivals,
                clock=self.now,
                wall_clock=lambda: NOON + self.now(),
            )
            self._answers[route.path.rpartition("/")[2]] = calls.answer

    def open(
        self,
        name: str = "SayOnce",
        *,
        method: str = "POST",
        headers: Headers = GRPC,
        more: Headers | None = None,
        complete: bool = False,
        client: tuple[str, int] | None = ("192.0.2.1", 5000),
    ) -> Host:
        """Have the headers of a call arrive; `complete`, and nothing follows them."""
        scope = {
            "type": "http",
            "method": method,
            "path": f"/{SERVICE_NAME}/{name}",
            "headers": [*headers, *(more or [])],
            "client": client,
        }
        answer = self._answers.get(name, answer_unknown)
        return Host(answer, scope, self._faults, complete=complete)

    def say(self, text: str = "", name: str = "SayOnce", **options: Any) -> Host:
        """Make a call with one message."""
        host = self.open(name, **options)
        host.bring(framed(a_note(text)))
        return host

    def counted(self, name: str = "SayOnce") -> dict[str, int]:
        """Return how many calls of a method have ended by status; none is under way."""
        statistics = self.statistics.methods[f"/{SERVICE_NAME}/{name}"]
        assert statistics.in_flight == 0
        assert len(self.watch) == 0
        return {code: seen.count for code, seen in statistics.by_code.items() if seen.count}

    async def stop(self, refused: Refusal) -> None:
        """Drain without patience."""
        self.pipeline.drain()
        self.watch.end_all(refused)
        await self.pipeline.idle()


class Patient:
    """Waits for ever at each message, or until it is told to go on."""

    def __init__(self, *, cleaning_s: float = 0.0) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        #: When it was told to stop, and when it had cleaned up.
        self.cancelled_at = math.nan
        self.cleaned_at = math.nan
        self._cleaning_s = cleaning_s

    async def __call__(self, request: Any, call: Any) -> Any:
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            now = asyncio.get_running_loop().time
            self.cancelled_at = now()
            await asyncio.sleep(self._cleaning_s)
            self.cleaned_at = now()
            raise
        return request
