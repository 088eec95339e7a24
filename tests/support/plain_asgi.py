"""An ASGI application that shows what Envoy hands over; the last part of the path says what."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

#: `Gated` reads nothing until `Open` is called.
_gate = asyncio.Event()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    await _ACTS[scope["path"].rpartition("/")[2]](scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{event['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def _echo(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await _answer(send, await _body(receive))


async def _seen(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer with a message that is JSON: the headers and the peer."""
    await _body(receive)
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    text = json.dumps({"headers": headers, "client": scope["client"]}).encode()
    await _answer(send, _message(text))


async def _count(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer with the number of bytes, frames included."""
    await _answer(send, _message(b"%d" % len(await _body(receive))))


async def _gated(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    await _gate.wait()
    await _count(scope, receive, send)


async def _open(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    _gate.set()
    await _echo(scope, receive, send)


async def _converse(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer each message as it comes; they are small."""
    await _start(send)
    while (event := await receive())["type"] == "http.request":
        await send({"type": "http.response.body", "body": event["body"], "more_body": True})
        if not event["more_body"]:
            await _end(send)
            return


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            return bytes(body)


def _message(text: bytes) -> bytes:
    return b"\0" + len(text).to_bytes(4, "big") + text


async def _answer(send: Send, body: bytes) -> None:
    await _start(send)
    await send({"type": "http.response.body", "body": body, "more_body": True})
    await _end(send)


async def _start(send: Send) -> None:
    headers = [(b"content-type", b"application/grpc")]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": True})


async def _end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b""})
    await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")]})


_ACTS = {
    "Echo": _echo,
    "SayOnce": _echo,
    "Seen": _seen,
    "Count": _count,
    "Gated": _gated,
    "Open": _open,
    "Converse": _converse,
}
