"""What the server asks of the Envoy around it: its port, its statistics, and to send clients away.

Envoy answers on a socket that only this user can open. Two things it is told by files beside that
socket instead, `PRESSURE` and `DRAIN`: its threads learn of them without being asked.
"""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from inferd.transport.envoy.bootstrap import DRAIN, PRESSURE

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
        #: What the files say.
        self._said: dict[str, bytes] = {}

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

    def shed(self, share: float) -> None:
        """Have Envoy refuse this share of calls, 0 to 1, at random, until it is told otherwise.

        It hears of it within some `REFRESH_MS`. To say something new takes 15 microseconds
        where the directory is in memory; on a disk it may take as long as the disk does.
        """
        self._say(PRESSURE, share)

    async def drain(self) -> None:
        """Accept no more connections, and tell those there are to go (GOAWAY).

        Calls under way go on. Returns when all have been told, or after `GOAWAY_S`.
        """
        await self._ask("POST", "/drain_listeners")
        before = await self._gauges()
        told = before["downstream_cx_max_duration_reached"] + before["downstream_cx_active"]
        self._say(DRAIN, 1.0)

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

    def _say(self, what: str, value: float) -> None:
        """Replace a file at one stroke: Envoy must never read half a number."""
        text = b"%.4f" % value
        if self._said.get(what) == text:
            return
        file = str(self._path.parent / what)
        unfinished = f"{file}.new"
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(descriptor, text)
        os.close(descriptor)
        os.replace(unfinished, file)
        self._said[what] = text


async def _until(holds: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await holds():
            return
        await asyncio.sleep(LOOK_S)
