"""An HTTP/2 server that says exactly what a test tells it to, right or wrong."""

import asyncio
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS, PADDED = 1, 4, 8
MAX_CONCURRENT_STREAMS = 3
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#: HPACK: the static table's `:status: 200`.
STATUS_200 = b"\x88"
OK_TRAILERS = b"\0\x0bgrpc-status\x010"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return one frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def grpc_status(code: int) -> bytes:
    """Return a header block with a status, as plain literals."""
    digits = str(code).encode()
    return b"\0\x0bgrpc-status" + bytes([len(digits)]) + digits


def answer(stream: int, message: bytes = b"\0\0\0\0\1x", code: int = 0) -> bytes:
    """Return a whole answer: headers, a message, trailers."""
    return (
        frame(HEADERS, END_HEADERS, stream, STATUS_200)
        + frame(DATA, 0, stream, message)
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, grpc_status(code))
    )


@dataclass
class Request:
    """A complete request, and the connection that it came on."""

    stream: int
    timeout_us: int
    #: As they came: a block of HPACK.
    headers: bytes
    body: bytes
    connection: "Connection"


@dataclass
class Connection:
    """One client's connection."""

    server: "ScriptedServer"
    writer: asyncio.StreamWriter
    headers: dict[int, bytes] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)

    def send(self, frames: bytes) -> None:
        """Send bytes, unless the client has gone."""
        if not self.writer.is_closing():
            self.writer.write(frames)

    def reset(self) -> None:
        """Drop the connection."""
        self.writer.transport.abort()


Script = Callable[[Request], Awaitable[None]]


class ScriptedServer:
    """What clients did, and what they are told."""

    def __init__(self, script: Script, settings: dict[int, int]) -> None:
        self._script = script
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.requests: list[Request] = []
        #: Streams that began without ever being complete, or were reset by the client.
        self.begun = 0
        self.resets = 0
        self.pongs: list[bytes] = []
        self.ponged = asyncio.Event()
        self.open_connections = 0
        self.connections = 0

    def wait_until_all_have_gone(self) -> None:
        """Return when everything that clients sent has been read, and no connection is open."""
        while self.open_connections:
            time.sleep(0.001)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        self.connections += 1
        self.open_connections += 1
        connection = Connection(self, writer)
        try:
            assert await reader.readexactly(len(_PREFACE)) == _PREFACE
            entries = (
                k.to_bytes(2, "big") + v.to_bytes(4, "big") for k, v in self._settings.items()
            )
            writer.write(frame(SETTINGS, 0, 0, b"".join(entries)))
            while True:
                await self._read(reader, connection)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open_connections -= 1
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, connection: Connection) -> None:
        head = await reader.readexactly(9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
        payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        if kind == HEADERS:
            self.begun += 1
            connection.headers[stream] = payload
            connection.bodies[stream] = b""
        elif kind == DATA:
            connection.bodies[stream] += payload
            if flags & END_STREAM:
                self._receive(stream, connection)
        elif kind == RST_STREAM:
            self.resets += 1
        elif kind == PING:
            self.pongs.append(payload)
            self.ponged.set()

    def _receive(self, stream: int, connection: Connection) -> None:
        headers, body = connection.headers.pop(stream), connection.bodies.pop(stream)
        (digits,) = re.findall(rb"grpc-timeout.(\d+)u", headers)
        request = Request(stream, int(digits), headers, body, connection)
        self.requests.append(request)
        task = asyncio.get_running_loop().create_task(self._run(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, request: Request) -> None:
        await self._script(request)


@contextmanager
def scripted(script: Script, settings: dict[int, int] | None = None) -> Iterator[ScriptedServer]:
    """Run a server on a loop in a thread of its own, until the block ends."""
    server = ScriptedServer(script, settings or {})
    started, stop = threading.Event(), asyncio.Event()

    async def main() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=1024)
        server.port = listening.sockets[0].getsockname()[1]
        loops.append(asyncio.get_running_loop())
        started.set()
        await stop.wait()
        listening.close()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(10.0)
    try:
        yield server
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(10.0)
