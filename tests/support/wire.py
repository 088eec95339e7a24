"""The echo server as a test has it: started, asked, called, and seen to end well."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from inferd.config import Server
from support.control import Control, Failed
from support.echo import SERVICE_NAME
from support.transports import Transport

TESTS = Path(__file__).resolve().parents[1]
#: Far more than it takes.
END_S = 30.0


class NotStarted(AssertionError):
    """The server ended before it listened."""


@dataclass(frozen=True)
class Seen:
    """A call as the service saw it."""

    method: str
    arrived: float
    deadline_at: float
    metadata: dict[str, str | bytes]
    peer: str


class EchoProcess:
    """A server that runs until it is closed."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.log = log
        self.control = Control(process.stdin, process.stdout)
        #: gRPC's. Known once it listens.
        self.port = 0
        #: No other test can use it: it drains or has drained.
        self.spent = False
        self._looked_at = 0

    def logged(self) -> str:
        """Return its standard error."""
        return self.log.read_text(errors="replace")

    def news(self) -> str:
        """Return what it has logged since the last look."""
        text = self.logged()
        new, self._looked_at = text[self._looked_at :], len(text)
        return new


@contextmanager
def echo_process(transport: Transport, log: Path, **settings: Any) -> Iterator[EchoProcess]:
    """Run a server for as long as the block lasts; `settings` are the configuration's.

    Raises `NotStarted` with what it said instead, and `AssertionError` when it does not end
    well and in silence.
    """
    config = Server(**{"port": 0, "drain_s": 5.0, **settings})
    command = [sys.executable, "-m", "support.echo_server", transport, config.model_dump_json()]
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": _python_path()},
            start_new_session=True,
        )
    server = EchoProcess(process, log)
    try:
        server.port = _port(server)
        yield server
        server.control.close()
        code = process.wait(END_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        server.control.close()
    assert code == 0, f"exit code {code}:\n{server.logged()}"
    assert server.news() == ""


def _port(server: EchoProcess) -> int:
    try:
        port: int = server.control.answer()
    except Failed:
        code = server.process.wait(END_S)
        raise NotStarted(f"exit code {code}\n{server.logged()}") from None
    return port


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH", ""))))


class Wire:
    """A running server, and a channel to it that sends and receives bytes."""

    def __init__(self, server: EchoProcess, channel: Any) -> None:
        self.server = server
        self.channel = channel
        self._counted_before: dict[str, dict[str, int]] = {}

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def say(self, body: bytes = b"", **options: Any) -> Any:
        return self.method("SayOnce")(body, **options)

    def method(self, name: str) -> Any:
        """Return one of the echo service's methods."""
        kinds = {
            "SayOnce": self.channel.unary_unary,
            "Collect": self.channel.stream_unary,
            "Expand": self.channel.unary_stream,
            "Converse": self.channel.stream_stream,
        }
        return kinds[name](f"/{SERVICE_NAME}/{name}")

    async def refused(self, body: bytes = b"", **options: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.say(body, **options)
        return caught.value

    async def ask(self, question: str, /, **about: Any) -> Any:
        """Ask the server something beside the transport; see `support.echo_services`."""
        return await asyncio.to_thread(self.server.control.ask, question, **about)

    async def until(self, what: str, count: int = 1) -> None:
        await self.ask("until", what=what, count=count)

    async def call(self) -> Seen:
        """Return the last call as the service saw it."""
        return Seen(**(await self.ask("calls"))[-1])

    async def begin(self) -> None:
        """Have nothing of earlier tests."""
        await self.ask("idle")
        await self.ask("forget")
        self._counted_before = await self.ask("counted")

    async def counted(self, name: str = "SayOnce") -> dict[str, int]:
        """Return how many calls of a method have ended by status, during this test."""
        path = f"/{SERVICE_NAME}/{name}"
        before = self._counted_before[path]
        now = (await self.ask("counted"))[path]
        since = {code: count - before.get(code, 0) for code, count in now.items()}
        return {code: count for code, count in since.items() if count}

    async def stop(self) -> None:
        """Have the server begin to leave; `ask("stopped")` returns when it has."""
        self.server.spent = True
        await self.ask("stop")


class Servers:
    """Starts servers, and keeps them for the next test that wants the same."""

    def __init__(self, transport: Transport, directory: Path, stack: ExitStack) -> None:
        self._transport = transport
        self._directory = directory
        self._stack = stack
        self._kept: dict[str, EchoProcess] = {}
        self._started = 0

    def server(self, **settings: Any) -> EchoProcess:
        """Return a server with these settings that no test has spoilt."""
        key = repr(sorted(settings.items()))
        server = self._kept.get(key)
        if server is None or server.spent or server.process.poll() is not None:
            server = self._kept[key] = self.start(self._stack, **settings)
        return server

    def start(self, stack: ExitStack, **settings: Any) -> EchoProcess:
        """Start a server that ends when `stack` is closed."""
        self._started += 1
        log = self._directory / f"{self._started}.log"
        return stack.enter_context(echo_process(self._transport, log, **settings))


def wires(servers: Servers) -> "Wires":
    """Return what opens wires to `servers`."""

    @asynccontextmanager
    async def a_wire(
        *, options: Iterable[tuple[str, Any]] = (), alarming: bool = False, **settings: Any
    ) -> AsyncIterator[Wire]:
        server = servers.server(**settings)
        host = "[::1]" if settings.get("host") == "::1" else "127.0.0.1"
        async with grpc.aio.insecure_channel(
            f"{host}:{server.port}", options=[*options]
        ) as channel:
            wire = Wire(server, channel)
            await wire.begin()
            yield wire
        news = server.news()
        assert alarming == bool(news), news

    return a_wire


Wires = Callable[..., Any]
