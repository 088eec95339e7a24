"""As much of an HTTP/2 client as a generator of unary calls needs, and nothing that hides a thing.

A gRPC library ends a call by itself when its deadline has passed, and then nobody knows what the
server would have said, or whether it would have said anything. Here a call ends when the server
ends it, or when its caller has waited long enough to call it lost.
"""

import asyncio
import struct
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
INITIAL_WINDOW_SIZE = 4
CANCEL = 8
ROOM = 1 << 30
"""What the server may send without asking: more than ever comes."""


@dataclass(slots=True)
class Sent:
    """A call that left, and what came back for it."""

    #: Monotonic seconds.
    sent: float
    finished: float | None = None
    #: Every `grpc-status` that came; there must be one.
    statuses: list[int] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    #: Why it has no status: `reset`, `refused` (the server says that it never saw it), `broken`.
    ended: str = ""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame's bytes."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(headers: Mapping[str, str]) -> bytes:
    """Return a header block that can be sent any number of times: it leaves no trace."""
    encoded: bytes = Encoder().encode(
        [NeverIndexedHeaderTuple(name, value) for name, value in headers.items()], huffman=False
    )
    return encoded


class Connection(asyncio.Protocol):
    """Calls on one connection. Keeps to no window of the server's: its calls are small."""

    def __init__(self, path: str) -> None:
        self._fixed = literal(
            {
                ":method": "POST",
                ":scheme": "http",
                ":path": path,
                ":authority": "chaos",
                "content-type": "application/grpc",
                "te": "trailers",
            }
        )
        self._timeouts: dict[int, bytes] = {}
        self._decoder = Decoder()
        self._read = bytearray()
        self._calls: dict[int, Sent] = {}
        self._next = 1
        #: Set while no call waits for its end.
        self.idle = asyncio.Event()
        self.idle.set()
        #: Whether calls can be sent: not once the server has said goodbye.
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what HTTP/2 wants said first."""
        self._transport = cast(asyncio.Transport, transport)
        settings = frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, ROOM))
        room = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", ROOM))
        self._transport.write(PREFACE + settings + room)
        self.open = True

    def send(self, message: bytes, timeout_ms: int) -> tuple[int, Sent]:
        """Send a call, and return its number on this connection."""
        stream, self._next = self._next, self._next + 2
        if timeout_ms not in self._timeouts:
            self._timeouts[timeout_ms] = literal({"grpc-timeout": f"{timeout_ms}m"})
        body = struct.pack(">BI", 0, len(message)) + message
        self.idle.clear()
        sent = self._calls[stream] = Sent(time.monotonic())
        self._transport.write(
            frame(HEADERS, END_HEADERS, stream, self._fixed + self._timeouts[timeout_ms])
            + frame(DATA, END_STREAM, stream, body)
        )
        return stream, sent

    def give_up(self, stream: int) -> None:
        """Wait no longer for a call."""
        if self._remove(stream) is not None and not self._transport.is_closing():
            self._transport.write(frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))

    def close(self) -> None:
        """Hang up, in order."""
        if not self._transport.is_closing():
            self._transport.write(frame(GOAWAY, 0, 0, bytes(8)))
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Note what came, and when."""
        now = time.monotonic()
        self._read += data
        for kind, flags, stream, payload in self._frames():
            if kind == HEADERS:
                assert flags & END_HEADERS, "an answer with so many headers"
                self._headed(stream, payload)
            elif kind == DATA and stream in self._calls:
                self._calls[stream].body += payload
            elif kind == RST_STREAM:
                self._end(stream, now, "reset")
            elif kind == SETTINGS and not flags & ACK:
                self._transport.write(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                self._transport.write(frame(PING, ACK, 0, payload))
            elif kind == GOAWAY:
                self._leave(int.from_bytes(payload[:4]), now)
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                self._end(stream, now, "")

    def connection_lost(self, error: Exception | None) -> None:
        """End what had no answer."""
        now = time.monotonic()
        self.open = False
        for stream in list(self._calls):
            self._end(stream, now, "broken")

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        read = self._read
        while len(read) >= 9 and len(read) >= (end := 9 + int.from_bytes(read[:3])):
            kind, flags, stream = struct.unpack_from(">BBI", read, 3)
            payload = bytes(read[9:end])
            del read[:end]
            yield kind, flags, stream, payload

    def _headed(self, stream: int, block: bytes) -> None:
        headers = {str(name): str(value) for name, value in self._decoder.decode(block)}
        call = self._calls.get(stream)
        if call is not None and "grpc-status" in headers:
            call.statuses.append(int(headers["grpc-status"]))
            call.trailers = headers

    def _leave(self, last: int, now: float) -> None:
        """Send no more; those that came after `last` were never seen by the server."""
        self.open = False
        for stream in [each for each in self._calls if each > last]:
            self._end(stream, now, "refused")

    def _end(self, stream: int, now: float, why: str) -> None:
        call = self._remove(stream)
        if call is not None:
            call.finished, call.ended = now, why

    def _remove(self, stream: int) -> Sent | None:
        call = self._calls.pop(stream, None)
        if not self._calls:
            self.idle.set()
        return call
