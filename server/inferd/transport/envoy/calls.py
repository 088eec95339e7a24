"""Calls over ASGI: one coroutine per call, from its headers to its trailers.

What happens here is paid by every call, refused ones above all, so the way of a unary call is
short: headers, one read, the pipeline, and events that are mostly constants.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from inferd.call import CRITICALITY, Call, Value
from inferd.config import Server
from inferd.deadline import NEVER, Clock, Deadline
from inferd.errors import Exhausted, InferdError, Internal, TooLarge
from inferd.services.pipeline import Pipeline, Requests
from inferd.services.routes import Route
from inferd.services.status import Code, Refusal, refusal
from inferd.transport.envoy import bootstrap
from inferd.transport.envoy.events import (
    END_OF_BODY,
    GRPC,
    NotGrpc,
    Send,
    answer_http,
    end,
    failed,
    refuse,
    start,
    succeeded,
)
from inferd.transport.envoy.headers import metadata_value, timeout_s
from inferd.transport.envoy.messages import Messages, compressed, framed
from inferd.transport.envoy.shedding import Arrivals
from inferd.transport.envoy.watch import Receive, Watch, Watched

log = logging.getLogger(__name__)

T = TypeVar("T")

Scope: TypeAlias = dict[str, Any]

#: Envoy's note of when a request came, in microseconds of the day's clock.
ARRIVED = bootstrap.ARRIVED.encode()
#: Who has waited for longer was there when the clock was set.
LONGEST_WAIT_S = 60.0

#: What gRPC counts for a header besides its name and value, after HPACK.
HEADER_OVERHEAD_BYTES = 32

#: What may follow it: how messages are encoded (which is protobuf all the same), parameters.
_GRPC_SUFFIX = (b"+", b";")
#: Headers that are the protocol's, and not the call's metadata.
_PROTOCOL = frozenset(
    (
        ARRIVED,
        b"content-length",
        b"content-type",
        b"grpc-accept-encoding",
        b"grpc-encoding",
        b"grpc-timeout",
        b"host",
        b"te",
        b"x-forwarded-proto",
    )
)


class Opened(NamedTuple):
    """What a call's headers say."""

    call: Call
    #: How the caller compresses its messages.
    encoding: bytes
    #: How ours will be compressed; empty when they will not.
    compression: bytes


class Gone(Exception):
    """The caller has left: there is nobody to answer."""


class Calls:
    """The calls of one route. A subclass knows one of the kinds of method."""

    def __init__(
        self,
        route: Route,
        pipeline: Pipeline,
        config: Server,
        watch: Watch,
        arrivals: Arrivals,
        *,
        clock: Clock,
        wall_clock: Clock,
    ) -> None:
        self._path = route.path
        self._streams = route.client_streaming
        self._run = pipeline.bind(route)
        self._pipeline = pipeline
        self._watch = watch
        self._arrivals = arrivals
        self._clock = clock
        self._wall_clock = wall_clock
        self._max_metadata_bytes = config.max_metadata_bytes
        self._max_receive_bytes = config.max_receive_bytes
        self._max_send_bytes = config.max_send_bytes
        self._max_calls = config.max_concurrent_calls
        self._compression = b"" if config.compression == "none" else config.compression.encode()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call, whatever happens to it."""
        try:
            opened = self._open(scope)
            await self._answer(opened, receive, send)
        except InferdError as error:
            refuse(send, refusal(error))
        except NotGrpc as error:
            answer_http(send, error)
        except Gone:
            pass
        except Exception:
            log.exception("unforeseen error in %s", self._path)
            end(send, refusal(Internal("internal error")))

    async def _answer(self, opened: Opened, receive: Receive, send: Send) -> None:
        raise NotImplementedError

    def _open(self, scope: Scope) -> Opened:
        arrived = self._clock()
        said: dict[bytes, bytes] = {}
        metadata: dict[str, Value] = {}
        headers = scope["headers"]
        size = len(headers) * HEADER_OVERHEAD_BYTES
        for name, value in headers:
            size += len(name) + len(value)
            if name in _PROTOCOL:
                said[name] = value
            else:
                metadata[name.decode("latin-1")] = metadata_value(name, value)
        check_protocol(scope, said)
        if size > self._max_metadata_bytes:
            limit = self._max_metadata_bytes
            raise TooLarge(f"received metadata larger than max ({size} vs. {limit})")
        if ARRIVED in said:
            arrived -= self._waited_s(said[ARRIVED])
        if CRITICALITY in metadata:
            self._arrivals.note(metadata[CRITICALITY])
        timeout = said.get(b"grpc-timeout")
        if self._max_calls and len(self._watch) >= self._max_calls:
            raise Exhausted(f"{self._max_calls} calls are under way, as many as are allowed")
        call = Call(
            self._path,
            arrived=arrived,
            deadline=NEVER if timeout is None else Deadline(arrived + timeout_s(timeout)),
            metadata=metadata,
            peer=_peer(scope["client"]),
        )
        compression = self._compression
        if compression and not _lists(said.get(b"grpc-accept-encoding", b""), compression):
            compression = b""
        return Opened(call, said.get(b"grpc-encoding", b"identity"), compression)

    def _waited_s(self, arrived: bytes) -> float:
        """Return how long Envoy has had the request before it got here."""
        try:
            waited_s = self._wall_clock() - float(arrived) / 1e6
        except ValueError:
            return 0.0
        return waited_s if 0.0 < waited_s < LONGEST_WAIT_S else 0.0

    def _watched(self, call: Call, send: Send | None = None) -> Watched:
        """Have a call looked after. With `send`, its message has yet to come."""
        task = asyncio.current_task()
        assert task is not None
        watched = Watched(task, now=call.arrived, deadline_at=call.deadline.at)
        if send is not None:
            watched.refuse = partial(refuse, send)
        self._watch.add(watched)
        return watched

    async def _only_message(self, opened: Opened, receive: Receive, watched: Watched) -> bytes:
        messages = Messages(opened.encoding, self._max_receive_bytes)
        while (event := await receive())["type"] == "http.request" and not watched.ended:
            if not event["more_body"]:
                watched.receive, watched.refuse = receive, None
                return messages.only(event["body"])
            messages.hold(event["body"])
        raise Gone

    @asynccontextmanager
    async def _requests(
        self, opened: Opened, receive: Receive, watched: Watched
    ) -> AsyncIterator[Requests]:
        """Feed what the client streams into a `Requests` for as long as the block lasts."""
        requests = _Requests()
        reading = self._read(opened, receive, requests, watched)
        reader = asyncio.create_task(reading, name="reader")
        try:
            yield requests
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read(
        self, opened: Opened, receive: Receive, requests: "_Requests", watched: Watched
    ) -> None:
        try:
            messages = Messages(opened.encoding, self._max_receive_bytes)
            ahead = self._watch.ask(watched, receive)
            while (event := (await _settled(ahead)).result())["type"] == "http.request":
                more = event["more_body"]
                if more:  # ask before `put` waits: that the caller leaves should be heard then, too
                    ahead = self._watch.ask(watched, receive)
                else:
                    watched.receive = receive  # which tells no more by itself
                for body in messages.feed(event["body"]):
                    await requests.put(body)
                if not more:
                    messages.ended()
                    requests.end()
                    return
        except InferdError as error:
            requests.fail(error)

    def _frame(self, answer: bytes, compression: bytes) -> bytes:
        if len(answer) > self._max_send_bytes:
            size = f"{len(answer)} vs. {self._max_send_bytes}"
            raise TooLarge(f"sent message larger than max ({size})")
        return compressed(answer, compression) if compression else framed(answer)


class OneAnswer(Calls):
    """Methods that answer once."""

    async def _answer(self, opened: Opened, receive: Receive, send: Send) -> None:
        answer = await (self._streamed if self._streams else self._single)(opened, receive, send)
        if type(answer) is not bytes:
            refuse(send, answer)
            return
        call = opened.call
        body = self._frame(answer, opened.compression)
        send(start(call, opened.compression))
        send({"type": "http.response.body", "body": body})
        send(succeeded(call))

    async def _single(self, opened: Opened, receive: Receive, send: Send) -> Any:
        watched = self._watched(opened.call, send)
        try:
            body = await self._only_message(opened, receive, watched)
            return await self._run(body, opened.call)
        except asyncio.CancelledError:
            return _cancelled(watched)
        finally:
            self._watch.discard(watched)

    async def _streamed(self, opened: Opened, receive: Receive, _: Send) -> Any:
        watched = self._watched(opened.call)
        try:
            async with self._requests(opened, receive, watched) as requests:
                return await self._run(requests, opened.call)
        except asyncio.CancelledError:
            return _cancelled(watched)
        finally:
            self._watch.discard(watched)


class ManyAnswers(Calls):
    """Methods that stream their answers."""

    async def _answer(self, opened: Opened, receive: Receive, send: Send) -> None:
        answers = _Answers(opened, send)
        watched = self._watched(opened.call, None if self._streams else send)
        try:
            if self._streams:
                async with self._requests(opened, receive, watched) as requests:
                    await self._send_all(requests, answers)
            else:
                body = await self._only_message(opened, receive, watched)
                await self._send_all(body, answers)
        except InferdError as error:
            answers.refused = refusal(error)
        except asyncio.CancelledError:
            answers.refused = _cancelled(watched)
        finally:
            self._watch.discard(watched)
        answers.end()

    async def _send_all(self, request: Any, answers: "_Answers") -> None:
        opened = answers.opened
        async with aclosing(self._run(request, opened.call)) as encoded:
            async for answer in encoded:
                if type(answer) is bytes:
                    await answers.put(self._frame(answer, opened.compression))
                else:
                    answers.refused = answer


class _Requests(Requests):
    """What a caller streams in, which may turn out not to be gRPC."""

    _failure: InferdError | None = None

    def fail(self, error: InferdError) -> None:
        """Have `error` follow what has been put."""
        self._failure = error
        self.end()

    async def __anext__(self) -> bytes:
        try:
            return await super().__anext__()
        except StopAsyncIteration:
            if self._failure is not None:
                raise self._failure from None
            raise


class _Answers:
    """The answers of one call on their way out."""

    __slots__ = ("_send", "_started", "opened", "refused")

    def __init__(self, opened: Opened, send: Send) -> None:
        self.opened = opened
        #: How the stream ends, if not well.
        self.refused: Refusal | None = None
        self._send = send
        self._started = False

    async def put(self, frame: bytes) -> None:
        """Send one message, and wait while the caller does not read. Raises `Gone`."""
        if not self._started:
            self._started = True
            self._send(start(self.opened.call, self.opened.compression))
        body = {"type": "http.response.body", "body": frame, "more_body": True}
        if (await _settled(asyncio.ensure_future(self._send(body)))).exception() is not None:
            raise Gone

    def end(self) -> None:
        """Send the status."""
        send, refused = self._send, self.refused
        if not self._started and refused is not None:
            refuse(send, refused)
            return
        if not self._started:
            send(start(self.opened.call, b""))
        send(END_OF_BODY)
        if refused is None:
            send(succeeded(self.opened.call))
        else:
            send(failed(refused))


KINDS: dict[bool, type[Calls]] = {False: OneAnswer, True: ManyAnswers}
"""By whether the server streams."""


def check_protocol(scope: Scope, headers: Mapping[bytes, bytes]) -> None:
    """Refuse what is no call. Raises `NotGrpc` or, for who speaks gRPC, `Internal`."""
    kind = headers.get(b"content-type", b"")
    if kind != GRPC and not (kind.startswith(GRPC) and kind[16:17] in _GRPC_SUFFIX):
        said = kind.decode("latin-1") or "missing"
        raise NotGrpc(415, f"the content type is {said}; gRPC's is application/grpc")
    if scope["method"] != "POST":
        raise NotGrpc(405, f"the method is {scope['method']}; gRPC's is POST")
    if headers.get(b"te") != b"trailers":
        raise Internal('the header "te: trailers" is missing: something on the way drops trailers')


async def answer_unknown(scope: Scope, _: Receive, send: Send) -> None:
    """Answer a request for which there is no route."""
    try:
        check_protocol(scope, dict(scope["headers"]))
    except NotGrpc as error:
        answer_http(send, error)
    except Internal as error:
        refuse(send, refusal(error))
    else:
        refuse(send, _NO_METHOD)


_NO_METHOD = Refusal(Code.UNIMPLEMENTED, "Method not found!", ())


async def _settled(promise: "asyncio.Future[T]") -> "asyncio.Future[T]":
    """Wait until the host has kept a promise, and leave that alone if we are cancelled.

    The host does not look whether a promise was cancelled, and stumbles. And what it breaks all
    its promises with is one and the same exception: raised, it would collect the frames of every
    call whose caller ever left. So it is not raised, but looked at, here or by whoever waits.
    """
    waiter = asyncio.get_running_loop().create_future()
    promise.add_done_callback(partial(_wake, waiter))
    await waiter
    return promise


def _wake(waiter: "asyncio.Future[None]", promise: "asyncio.Future[Any]") -> None:
    if not promise.cancelled():
        promise.exception()  # or it is logged that nobody has looked
    if not waiter.done():
        waiter.set_result(None)


def _cancelled(watched: Watched) -> Refusal:
    if watched.ended_as is None:
        raise Gone
    return watched.ended_as


def _lists(encodings: bytes, encoding: bytes) -> bool:
    return encoding in (each.strip() for each in encodings.split(b","))


def _peer(client: tuple[str, int] | None) -> str:
    if client is None:
        return ""
    host, port = client
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"
