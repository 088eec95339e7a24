"""One connection through a proxy: bytes go both ways, and toxics have their way with them.

Each direction has a task that reads and one that writes, with a short queue between: what is late
is late by when it came, and does not keep others from coming. Nobody reads on while the
queue is full, so that whoever sends too much feels it.
"""

import asyncio
import contextlib
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable

from inferd.config import faults as config
from inferd.resilience.faults import toxics
from inferd.resilience.faults.weather import Afflicted

CHUNK_BYTES = 16 * 1024
CHUNKS = 16
"""So many wait in each direction, at most."""
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for an end by RST."""

End = tuple[StreamReader, StreamWriter]


class Cut(Exception):
    """A toxic ends the connection."""


class Reset(Cut):
    """And not as one should."""


class Stream:
    """One direction."""

    def __init__(
        self,
        reader: StreamReader,
        writer: StreamWriter,
        direction: config.Direction,
        afflicted: Afflicted,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._direction = direction
        self._afflicted = afflicted
        self._weather = afflicted.weather
        self._chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS)
        #: Bytes passed on since there has been a limit for them.
        self._passed = 0

    async def read(self) -> None:
        """Take what comes until it ends."""
        data = b"-"
        while data:
            data = await self._reader.read(CHUNK_BYTES)
            await self._chunks.put((self._weather.clock(), data))

    async def write(self) -> None:
        """Pass on what came, as toxics allow, and the end."""
        while True:
            came, data = await self._chunks.get()
            if not data:
                break
            await self._reset_if_told()
            await self._late(came, self._latency_s)
            await self._pass_on(data)
        await self._late(self._weather.clock(), toxics.closing_takes_s)
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def watch(self) -> None:
        """Close the connection once it has lost bytes for long enough, or does so no more."""
        since = None
        while True:
            now = self._toxics()
            if not toxics.swallowing(now):
                if since is not None:
                    raise Cut
                await self._weather.changes_within(None)
                continue
            since = since or self._weather.clock()
            if not await self._weather.changes_within(self._left_s(since, toxics.closes_in_s(now))):
                raise Cut

    def _toxics(self) -> list[config.Fault]:
        return self._afflicted.of(self._direction)

    def _latency_s(self, now: toxics.Toxics) -> float:
        return sum(map(self._afflicted.point.delay_s, toxics.of(config.Latency, now)))

    def _left_s(self, since: float, seconds: float | None) -> float | None:
        return None if seconds is None else since + seconds - self._weather.clock()

    async def _reset_if_told(self) -> None:
        since = self._weather.clock()
        while (left_s := self._left_s(since, toxics.resets_in_s(self._toxics()))) is not None:
            if not await self._weather.changes_within(left_s):
                raise Reset

    async def _late(self, since: float, delay_s: Callable[[toxics.Toxics], float]) -> None:
        """Wait until so long after `since`. Whenever other things are wrong, think again."""
        late = True
        while late:
            left_s = since + delay_s(self._toxics()) - self._weather.clock()
            late = left_s > 0 and await self._weather.changes_within(left_s)

    async def _pass_on(self, data: bytes) -> None:
        while data:
            now = self._toxics()
            if toxics.swallowing(now):
                return
            size, wait_s = toxics.piece(len(data), now, self._weather.random)
            if wait_s and await self._weather.changes_within(wait_s):
                continue
            await self._send(data[:size], toxics.limit_bytes(now))
            data = data[size:]

    async def _send(self, data: bytes, limit: int | None) -> None:
        if limit is None:
            self._passed = 0
        else:
            data = data[: max(0, limit - self._passed)]
            self._passed += len(data)
        self._writer.write(data)
        await self._writer.drain()
        if limit is not None and self._passed >= limit:
            raise Cut


class Connection:
    """A client and the upstream that it is connected to."""

    def __init__(self, client: End, upstream: End, afflicted: Afflicted) -> None:
        self._writers = client[1], upstream[1]
        self._streams = (
            Stream(client[0], upstream[1], "upstream", afflicted),
            Stream(upstream[0], client[1], "downstream", afflicted),
        )

    async def run(self) -> None:
        """Pass bytes on until both directions have ended, or something went wrong."""
        try:
            await self._flow()
        except* Reset:
            self._abort(reset=True)
        except* Cut:
            pass
        except* OSError:  # one of them is gone: so let the other know
            self._abort(reset=False)
        finally:
            await self._close()

    async def _flow(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                ways = [tasks.create_task(each.read()) for each in self._streams]
                ways += [tasks.create_task(each.write()) for each in self._streams]
                watches = [tasks.create_task(each.watch()) for each in self._streams]
                await asyncio.wait(ways)
                for watch in watches:
                    watch.cancel()
        except asyncio.CancelledError:  # not even for what has been taken and not passed on
            self._abort(reset=False)
            raise

    def _abort(self, *, reset: bool) -> None:
        for writer in self._writers:
            end: socket.socket = writer.get_extra_info("socket")
            if reset and end.family != socket.AF_UNIX:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    async def _close(self) -> None:
        for writer in self._writers:
            writer.close()
        for writer in self._writers:
            with contextlib.suppress(OSError):
                await writer.wait_closed()
