"""What the server asks of the Envoy around it: its port, its statistics, and to send clients away.

Envoy answers on a socket that only this user can open. Two things it is told by files beside that
socket instead, `SHARES` and `DRAIN`: its threads learn of them without being asked.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inferd.transport.envoy.bootstrap import DRAIN
from inferd.transport.envoy.giving_way import SHARES, fraction, key_of
from inferd.transport.envoy.shares import NOTHING, Shares

if TYPE_CHECKING:
    import aiohttp

log = logging.getLogger(__name__)

#: Between looks at what Envoy does not announce.
LOOK_S = 0.005
#: An answer takes a millisecond, unless Envoy is starting or the machine is busy.
ANSWER_S = 5.0
#: How long connections may take to hear that they should go.
GOAWAY_S = 1.0

_GRPC = "http.grpc"


class Admin:
    """A client of Envoy's admin interface; on one event loop, until it is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: aiohttp.ClientSession | None = None
        #: What Envoy refuses, and how often it was told to change that.
        self._shares = NOTHING
        self._changes = 0

    async def listener_port(self) -> int:
        """Wait until Envoy accepts connections, and return on which port."""
        await _until(self._accepts)
        listeners = json.loads(await self._ask("GET", "/listeners?format=json"))
        address = listeners["listener_statuses"][0]["local_address"]["socket_address"]
        port: int = address["port_value"]
        return port

    async def statistics(self) -> bytes:
        """Return Envoy's statistics in Prometheus's text format; empty when it does not answer."""
        import aiohttp

        try:
            return await self._ask("GET", "/stats/prometheus")
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("Envoy's statistics are missing: %s", str(error) or type(error).__name__)
            return b""

    def shed(self, shares: Shares) -> None:
        """Have Envoy refuse these shares of calls, at random, until it is told otherwise.

        It hears of it at once. To say something new takes 50 microseconds where the
        directory is in memory; on a disk it may take as long as the disk does.
        """
        if shares == self._shares:
            return
        self._shares = shares
        self._changes += 1
        # Two directories in turns. Should Envoy still read the one that is written here, then
        # it reads again: what it hears of is the link.
        directory = self._path.parent / f"{SHARES}-{self._changes % 2}"
        directory.mkdir(mode=0o700, exist_ok=True)
        for each, share in shares.items():
            _write(f"{directory}/{key_of(each)}", fraction(share))
        link = self._path.parent / SHARES
        unfinished = f"{link}.new"
        os.symlink(directory.name, unfinished)
        os.replace(unfinished, link)

    async def drain(self) -> None:
        """Accept no more connections, and tell those there are to go (GOAWAY).

        Calls under way go on. Returns when all have been told, or after `GOAWAY_S`.
        """
        await self._ask("POST", "/drain_listeners")
        before = await self._gauges()
        told = before["downstream_cx_max_duration_reached"] + before["downstream_cx_active"]
        file = self._path.parent / DRAIN
        unfinished = f"{file}.new"
        _write(unfinished, b"1")
        os.replace(unfinished, file)  # at one stroke: Envoy must never read half a number

        async def all_told() -> bool:
            now = await self._gauges()
            reached = now["downstream_cx_max_duration_reached"]
            return reached >= told or not now["downstream_cx_active"]

        try:
            await asyncio.wait_for(_until(all_told), GOAWAY_S)
        except TimeoutError:
            log.warning("some connections were not told to go within %g s", GOAWAY_S)

    async def flushed(self) -> None:
        """Wait until Envoy has sent the last byte of every answer."""
        await _until(self._has_sent_all)

    async def close(self) -> None:
        """Close the connection to Envoy."""
        if self._opened is not None:
            await self._opened.close()

    async def _accepts(self) -> bool:
        import aiohttp

        try:
            started = await self._ask("GET", "/stats?filter=^listener_manager.workers_started$")
        except (aiohttp.ClientError, TimeoutError):  # it is not yet there, or not yet ready
            return False
        return started.endswith(b": 1\n")

    async def _has_sent_all(self) -> bool:
        return not (await self._gauges())["downstream_rq_active"]

    async def _gauges(self) -> dict[str, int]:
        """Return the statistics of our connections that Envoy can be asked for at any time."""
        page = await self._ask("GET", f"/stats?format=json&filter=^{_GRPC}.")
        return {
            each["name"].removeprefix(f"{_GRPC}."): each["value"]
            for each in json.loads(page)["stats"]
            if "name" in each
        }

    async def _ask(self, method: str, target: str) -> bytes:
        from yarl import URL

        url = URL(f"http://envoy{target}", encoded=True)
        async with self._session().request(method, url) as response:
            response.raise_for_status()
            return await response.read()

    def _session(self) -> "aiohttp.ClientSession":
        import aiohttp  # a third of a second: not before it is needed

        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._path)),
                timeout=aiohttp.ClientTimeout(total=ANSWER_S),
            )
        return self._opened


def _write(file: str, text: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(descriptor, text)
    os.close(descriptor)


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await holds():
            return
        await asyncio.sleep(LOOK_S)
