"""What goes out: gRPC's answers and statuses as ASGI events, most of them constants."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from inferd.call import Call
from inferd.services.status import Code, Refusal
from inferd.transport.envoy.headers import Headers, message_header, metadata_headers
from inferd.transport.envoy.messages import ENCODINGS

Event: TypeAlias = dict[str, Any]
Send: TypeAlias = Callable[[Event], Awaitable[None]]

GRPC = b"application/grpc"

END_OF_BODY: Event = {"type": "http.response.body", "body": b""}
_CONTENT_TYPE = (b"content-type", GRPC)
_TRAILERS: Event = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]}
_START: Event = {
    "type": "http.response.start",
    "status": 200,
    "headers": [_CONTENT_TYPE],
    "trailers": True,
}


class NotGrpc(Exception):
    """What came is HTTP and no call. An HTTP status says so."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def start(call: Call, compression: bytes) -> Event:
    """Return the headers before the first answer."""
    if not call.initial and not compression:
        return _START
    headers: Headers = [_CONTENT_TYPE]
    if compression:
        headers.append((b"grpc-encoding", compression))
    headers += metadata_headers(call.initial)
    return {**_START, "headers": headers}


def succeeded(call: Call) -> Event:
    """Return the trailers after the last answer."""
    if not call.trailing:
        return _TRAILERS
    headers = [*_TRAILERS["headers"], *metadata_headers(call.trailing)]
    return {**_TRAILERS, "headers": headers}


def refuse(send: Send, refused: Refusal) -> None:
    """Send a status alone: headers that are trailers at once."""
    headers = [_CONTENT_TYPE, *_status(refused)]
    if refused.code == Code.UNIMPLEMENTED:
        headers.append((b"grpc-accept-encoding", ENCODINGS))
    send({"type": "http.response.start", "status": 200, "headers": headers})
    send(END_OF_BODY)


def end(send: Send, refused: Refusal) -> None:
    """Send a status, however far the answer has got.

    The host answers what comes out of turn with an error that nobody looks at. But what has no
    end at all is open for ever.
    """
    refuse(send, refused)
    send(failed(refused))


def failed(refused: Refusal) -> Event:
    """Return the trailers of a call that had begun to be answered."""
    return {**_TRAILERS, "headers": _status(refused)}


def _status(refused: Refusal) -> Headers:
    headers: Headers = [(b"grpc-status", b"%d" % refused.code)]
    if refused.message:
        headers.append((b"grpc-message", message_header(refused.message)))
    return headers + metadata_headers(refused.trailing)


def answer_http(send: Send, error: NotGrpc) -> None:
    """Send an HTTP status with a line that says why."""
    headers = [(b"content-type", b"text/plain")]
    send({"type": "http.response.start", "status": error.status, "headers": headers})
    send({"type": "http.response.body", "body": f"{error}\n".encode()})
