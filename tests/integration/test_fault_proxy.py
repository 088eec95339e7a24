"""A proxy and its toxics, between real sockets, on both event loops that the server runs on."""

import asyncio
import os
import random
import socket
import struct
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from inferd.config.faults import Faults, Proxy, fault
from inferd.resilience.faults import proxy
from inferd.resilience.faults.points import FaultPoints

LOOPS = [
    pytest.param(asyncio.SelectorEventLoop, id="asyncio"),
    pytest.param(uvloop.Loop, id="uvloop"),
]
#: What should not arrive is waited for so long; what should, far longer.
NEVER_S = 0.05
LOOKS = 10
HANGS_S = 30.0
AGES_MS = 3_600_000
SOME = random.Random(1).randbytes(300_000)


def on_both_loops(test: Callable[[], Awaitable[None]]) -> Callable[[Any], None]:
    async def bounded() -> None:
        async with asyncio.timeout(HANGS_S):
            await test()

    def run(loop: Any) -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(bounded())

    parametrized: Callable[[Any], None] = pytest.mark.parametrize("loop", LOOPS)(run)
    return parametrized


@dataclass
class Client:
    reader: StreamReader
    writer: StreamWriter

    async def ask(self, data: bytes, *, within_s: float = HANGS_S) -> bytes:
        """Send, within so long, and return as many bytes as were sent."""
        self.writer.write(data)
        async with asyncio.timeout(within_s):
            await self.writer.drain()
        return await self.reader.readexactly(len(data))

    async def ended(self) -> bool:
        """Wait for the end, whichever: a connection that was aborted may end as it likes."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True

    async def hears(self) -> bytes | None:
        """Return what comes within a while; None if nothing does.

        The while has many turns of the loop, however busy the machine is: what is under way
        gets to where it stops.
        """
        for _ in range(LOOKS):
            with suppress(TimeoutError):
                async with asyncio.timeout(NEVER_S / LOOKS):
                    return await self.reader.read(1 << 20)
        return None


@dataclass
class Bench:
    points: FaultPoints
    proxy: proxy.Proxy
    upstream: "Echo"
    clients: list[Client] = field(default_factory=list)

    async def client(self) -> Client:
        if self.proxy.address.startswith("unix:"):
            opened = await asyncio.open_unix_connection(self.proxy.address.removeprefix("unix:"))
        else:
            host, port = self.proxy.address.split(":")
            opened = await asyncio.open_connection(host, int(port))
        self.clients.append(Client(*opened))
        return self.clients[-1]

    def inject(self, kind: str, **parameters: Any) -> int:
        return self.points.inject("proxy.redis", fault({"kind": kind, **parameters}))


class Echo:
    """An upstream that says what it hears, and knows what it has heard."""

    def __init__(self) -> None:
        self.heard = b""
        self.ends = 0
        self._hears = asyncio.Event()
        self.writers: list[StreamWriter] = []

    async def __call__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(1 << 16):
                self.heard += data
                self._hears.set()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.ends += 1
            writer.close()

    async def hears(self, count: int) -> None:
        """Return when it has heard so many bytes."""
        while len(self.heard) < count:
            self._hears.clear()
            await self._hears.wait()


async def listening(upstream: Echo, path: str = "") -> tuple[asyncio.Server, str]:
    if path:
        return await asyncio.start_unix_server(upstream, path), f"unix:{path}"
    server = await asyncio.start_server(upstream, "127.0.0.1", 0)
    return server, "{}:{}".format(*server.sockets[0].getsockname())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@asynccontextmanager
async def proxied(*, unix: Path | None = None, **settings: Any) -> AsyncIterator[Bench]:
    """Yield a proxy before an upstream; and afterwards nothing of it is left."""
    upstream = Echo()
    server, address = await listening(upstream, str(unix / "upstream") if unix else "")
    before, most = asyncio.all_tasks(), descriptors()
    points = FaultPoints(Faults(enabled=True), time.monotonic)
    if unix:
        settings["listen"] = f"unix:{unix / 'proxy'}"
    it = proxy.Proxy(
        "redis",
        Proxy(upstream=address, **settings),
        points,
        clock=time.monotonic,
        random=random.Random(1).random,
    )
    bench = Bench(points, it, upstream)
    try:
        async with it.running():
            yield bench
    finally:  # a test that fails leaves nothing to the next one, either
        for client in bench.clients:
            client.writer.close()
        for _ in range(1000):  # the upstream sees the end of its connections later
            if asyncio.all_tasks() == before and descriptors() <= most:
                break
            await asyncio.sleep(0.01)
        left, opened = asyncio.all_tasks() - before, descriptors()
        server.close()
        await server.wait_closed()
    assert not left
    assert opened <= most  # fewer, if what earlier tests left behind went meanwhile


@on_both_loops
async def test_bytes_go_through_whole_and_in_order() -> None:
    async with proxied() as it:
        clients = [await it.client() for _ in range(5)]

        answers = await asyncio.gather(*(each.ask(SOME) for each in clients))

        assert answers == [SOME] * 5


@pytest.mark.parametrize("loop", LOOPS)
def test_a_proxy_stands_between_unix_sockets(loop: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with proxied(unix=tmp_path) as it:
            client = await it.client()
            assert await client.ask(SOME) == SOME

            it.inject("reset_peer")
            client.writer.write(b"!")

            assert await client.ended(), "there is no RST there, but an end"

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())
    assert not (tmp_path / "proxy").exists()


@on_both_loops
async def test_the_end_of_one_direction_is_not_the_end_of_the_other() -> None:
    async with proxied() as it:
        client = await it.client()
        client.writer.write(b"last words")
        client.writer.write_eof()

        assert await client.reader.read() == b"last words"


@on_both_loops
async def test_what_is_late_is_whole_and_comes_when_the_latency_is_gone() -> None:
    async with proxied() as it:
        client = await it.client()
        it.inject("latency", ms=AGES_MS)
        client.writer.write(SOME[:1000])
        await it.upstream.hears(1000)  # it is the way back that is slow
        assert await client.hears() is None

        it.points.clear()

        assert await client.reader.readexactly(1000) == SOME[:1000]


@on_both_loops
async def test_a_latency_upstream_keeps_requests_back() -> None:
    async with proxied() as it:
        client = await it.client()
        it.inject("latency", ms=AGES_MS, direction="upstream")
        client.writer.write(b"request")
        assert await client.hears() is None
        assert it.upstream.heard == b""

        it.points.clear()

        assert await client.reader.readexactly(7) == b"request"


@on_both_loops
async def test_a_small_latency_with_jitter_keeps_the_order() -> None:
    async with proxied() as it:
        it.inject("latency", ms=2, jitter_ms=2)
        client = await it.client()

        assert await client.ask(SOME) == SOME


@on_both_loops
async def test_what_waits_in_the_proxy_is_bounded() -> None:
    async with proxied() as it:
        it.inject("latency", ms=AGES_MS, direction="upstream")
        client = await it.client()

        with pytest.raises(TimeoutError):
            await client.ask(bytes(100_000_000), within_s=1)

        client.writer.transport.abort()
        assert it.upstream.heard == b""


@on_both_loops
async def test_a_narrow_band_passes_everything_a_little_at_a_time() -> None:
    async with proxied() as it:
        client = await it.client()
        it.inject("bandwidth", rate_kb_s=0.001)
        client.writer.write(b"12345")
        assert await client.hears() is None, "a byte takes a second"

        it.points.clear()
        it.inject("bandwidth", rate_kb_s=10_000)

        assert await client.reader.readexactly(5) == b"12345"
        assert await client.ask(SOME) == SOME


@on_both_loops
async def test_slices_are_small_and_together_the_whole() -> None:
    async with proxied() as it:
        it.inject("slicer", average_bytes=10, variation_bytes=5, delay_us=500)
        client = await it.client()
        client.writer.write(SOME[:200])

        pieces: list[bytes] = []
        while len(b"".join(pieces)) < 200:
            pieces.append(await client.reader.read(1000))

        assert b"".join(pieces) == SOME[:200]
        assert len(pieces) > 5  # a busy machine may read several at once


@on_both_loops
async def test_no_more_than_the_limit_arrives_and_then_the_connection_ends() -> None:
    async with proxied() as it:
        it.inject("limit_data", bytes=100)
        client = await it.client()
        assert await client.ask(SOME[:60]) == SOME[:60]

        client.writer.write(SOME[:60])

        assert await client.reader.read() == SOME[:40]


@on_both_loops
async def test_a_reset_is_seen_by_the_client_as_one() -> None:
    async with proxied() as it:
        client = await it.client()
        assert await client.ask(b"fine") == b"fine"

        it.inject("reset_peer")
        client.writer.write(b"!")

        with pytest.raises(ConnectionResetError):
            await client.reader.read()


@on_both_loops
async def test_a_reset_that_was_to_come_later_does_not_come_when_it_is_cleared() -> None:
    async with proxied() as it:
        client = await it.client()
        it.inject("reset_peer", timeout_ms=AGES_MS)
        client.writer.write(b"!")
        await it.upstream.hears(1)
        assert await client.hears() is None

        it.points.clear()

        assert await client.reader.readexactly(1) == b"!"


@on_both_loops
async def test_in_a_black_hole_bytes_are_lost_and_its_end_closes_the_connection() -> None:
    async with proxied() as it:
        client = await it.client()
        it.inject("timeout", timeout_ms=0)
        client.writer.write(b"lost")
        await it.upstream.hears(4)
        assert await client.hears() is None

        it.points.clear()

        assert await client.reader.read() == b""
        assert await (await it.client()).ask(b"found") == b"found"


@on_both_loops
async def test_a_timeout_closes_idle_connections_too() -> None:
    async with proxied() as it:
        client = await it.client()
        assert await client.ask(b"fine") == b"fine"

        it.inject("timeout", timeout_ms=1)

        assert await client.reader.read() == b""


@on_both_loops
async def test_a_slow_close_keeps_the_end_back_but_not_the_bytes() -> None:
    async with proxied() as it:
        it.inject("slow_close", delay_ms=AGES_MS)
        client = await it.client()
        assert await client.ask(b"fine") == b"fine"
        client.writer.write_eof()
        assert await client.hears() is None

        it.points.clear()

        assert await client.reader.read() == b""


@on_both_loops
async def test_while_it_is_down_nobody_is_connected_or_can_connect() -> None:
    async with proxied() as it:
        client = await it.client()
        assert await client.ask(b"fine") == b"fine"

        it.inject("down")

        assert await client.ended()
        with pytest.raises(ConnectionRefusedError):
            await it.client()
        it.points.clear()
        await asyncio.sleep(0)
        assert await (await patiently(it)).ask(b"again") == b"again"


async def patiently(it: Bench) -> Client:
    while True:
        try:
            return await it.client()
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)


@on_both_loops
async def test_the_share_is_one_of_connections() -> None:
    async with proxied() as it:
        number = it.inject("limit_data", share=0.5, bytes=0)
        clients = [await it.client() for _ in range(40)]

        for each in clients:
            each.writer.write(b"!")
        heard = [await each.reader.read(1) for each in clients]

        (listed,) = it.points.listing()
        assert listed.number == number
        assert heard.count(b"") == listed.struck
        assert 5 < listed.struck < 35


@on_both_loops
async def test_an_upstream_that_went_and_came_back_is_found_again() -> None:
    async with proxied() as it:
        client = await it.client()
        assert await client.ask(b"fine") == b"fine"
        for writer in it.upstream.writers:
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            writer.transport.abort()

        assert await client.ended()

        assert await (await it.client()).ask(b"again") == b"again"


@on_both_loops
async def test_without_an_upstream_connections_end_at_once() -> None:
    async with proxied() as it:
        nobody = socket.socket()
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        it.proxy._settings = Proxy(upstream="{}:{}".format(*nobody.getsockname()))
        client = await it.client()

        assert await client.reader.read() == b""

        nobody.close()


@on_both_loops
async def test_those_beyond_the_limit_are_turned_away() -> None:
    async with proxied(max_connections=1) as it:
        first = await it.client()
        assert await first.ask(b"fine") == b"fine"

        second = await it.client()

        assert await second.reader.read() == b""
        assert await first.ask(b"still") == b"still"


@on_both_loops
async def test_closing_waits_for_nobody() -> None:
    async with proxied() as it:
        client = await it.client()
        it.inject("latency", ms=AGES_MS)
        client.writer.write(SOME)  # and nobody reads
        await client.hears()


@on_both_loops
async def test_an_address_that_is_taken_is_named() -> None:
    async with proxied() as it:
        points = FaultPoints(Faults(enabled=True), time.monotonic)
        settings = Proxy(listen=it.proxy.address, upstream="127.0.0.1:1")
        second = proxy.Proxy("b", settings, points, clock=time.monotonic, random=random.random)

        with pytest.raises(OSError, match=r"faults.proxies.b.listen: 127\.0\.0\.1:\d+: .*in use"):
            async with second.running():
                pass
