"""A proxy on loopback, with toxiproxy's toxics: the network between a client and what it needs.

What is wrong with it is whatever is wrong at its fault point, `proxy.<name>`. Connections that
there are when that changes feel it, too.
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from inferd.config import faults as config
from inferd.deadline import Clock
from inferd.resilience.faults.connection import Connection, End
from inferd.resilience.faults.point import TOXICS
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.faults.weather import Afflicted, Weather

log = logging.getLogger(__name__)

UNIX = "unix:"
AGAIN_S = 0.1
"""Before accepting again, when the process has no file descriptors left."""


class Proxy:
    """Listens, and connects whoever comes to the upstream."""

    def __init__(
        self,
        name: str,
        settings: config.Proxy,
        points: FaultPoints,
        *,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self.name = name
        #: Where to connect to it, once it runs: `127.0.0.1:port` or `unix:/path`.
        self.address = settings.listen
        self._settings = settings
        self._weather = Weather(clock, random)
        self._point = points.point(f"proxy.{name}", kinds=TOXICS, changed=self._weather.change)
        self._connections: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the block lasts. Raises `OSError` for an address that is taken."""
        self._listener = self._bound()
        self._listener.listen()  # or whoever comes at once is refused
        log.info("proxy %s: %s to %s", self.name, self.address, self._settings.upstream)
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._serve(), name=f"proxy {self.name}")
                try:
                    yield
                finally:
                    serving.cancel()
        finally:
            self._close()

    async def _serve(self) -> None:
        """Listen, unless the proxy is down; then the address stays ours, and refuses."""
        while True:
            await self._until(down=False)
            self._listener.listen()
            async with asyncio.TaskGroup() as tasks:
                accepting = tasks.create_task(self._accept(tasks))
                await self._until(down=True)
                accepting.cancel()
                await asyncio.wait([accepting])
                self._close()
                self._listener = self._bound()
                for connection in self._connections:
                    connection.cancel()

    async def _until(self, *, down: bool) -> None:
        while any(isinstance(each.fault, config.Down) for each in self._point.fault or ()) != down:
            await self._weather.changes_within(None)

    async def _accept(self, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                log.warning("proxy %s cannot accept: %s", self.name, error)
                await asyncio.sleep(AGAIN_S)
                continue
            if len(self._connections) >= self._settings.max_connections:
                client.close()
                continue
            connection = tasks.create_task(self._connect(client))
            self._connections.add(connection)
            connection.add_done_callback(self._connections.discard)

    async def _connect(self, client: socket.socket) -> None:
        try:
            with contextlib.ExitStack() as owned:
                owned.callback(client.close)
                upstream = await _opened(self._settings.upstream)
                owned.callback(upstream[1].close)
                end = await _taken_over(client)
                owned.pop_all()
        except OSError as error:
            log.debug("proxy %s: no upstream: %s", self.name, error)
            return
        await Connection(end, upstream, Afflicted(self._point, self._weather)).run()

    def _bound(self) -> socket.socket:
        """Return a socket that has our address and does not listen yet."""
        unix = self.address.startswith(UNIX)
        listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        try:
            listener.setblocking(False)
            if unix:
                listener.bind(self.address.removeprefix(UNIX))
            else:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                host, _, port = self.address.rpartition(":")
                listener.bind((host, int(port)))
                self.address = "{}:{}".format(*listener.getsockname())
        except OSError as error:
            listener.close()
            why = f"faults.proxies.{self.name}.listen: {self.address}: {error.strerror}"
            raise OSError(error.errno, why) from error
        return listener

    def _close(self) -> None:
        self._listener.close()
        if self.address.startswith(UNIX):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.address.removeprefix(UNIX))


async def _opened(address: str) -> End:
    if address.startswith(UNIX):
        return await asyncio.open_unix_connection(address.removeprefix(UNIX))
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def _taken_over(client: socket.socket) -> End:
    if client.family == socket.AF_UNIX:
        return await asyncio.open_unix_connection(sock=client)
    return await asyncio.open_connection(sock=client)
