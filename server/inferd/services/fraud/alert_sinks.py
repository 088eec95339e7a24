"""Where alerts go: the log, a file, another server. (A Redis stream is `cache.redis_streams`.)"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inferd.cache.streams import Record
from inferd.config.fraud import WebhookSink as Settings
from inferd.errors import DependencyFailed

if TYPE_CHECKING:
    import aiohttp

GOOD = range(200, 300)

log = logging.getLogger("inferd.alerts")


class LogSink:
    """The log. Alerts are warnings in it."""

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        """Log alerts."""
        for record in records:
            log.warning("%s", record.body.decode())
        return [True] * len(records)

    async def close(self) -> None:
        """Do nothing."""


class FileSink:
    """A file with one alert per line. It may be renamed by others; then it is made again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        """Append alerts. Raises `OSError`."""
        lines = b"".join(record.body + b"\n" for record in records)
        await asyncio.to_thread(self._append, lines)
        return [True] * len(records)

    async def close(self) -> None:
        """Do nothing: the file is opened whenever it is written."""

    def _append(self, lines: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(lines)


class WebhookSink:
    """A server that takes a JSON list of alerts. One that is sent again has the same `key`."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.url
        token = settings.token.get_secret_value()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._headers["Content-Type"] = "application/json"
        self._opened: aiohttp.ClientSession | None = None

    async def publish(self, records: Sequence[Record]) -> Sequence[bool]:
        """Send alerts. Raises `DependencyFailed` unless they were taken."""
        import aiohttp  # takes a third of a second: not before it is needed

        if self._opened is None:
            self._opened = aiohttp.ClientSession(headers=self._headers)
        body = b"[" + b",".join(record.body for record in records) + b"]"
        try:
            async with self._opened.post(self._url, data=body, allow_redirects=False) as answer:
                if answer.status not in GOOD:
                    raise DependencyFailed(f"the webhook answered with {answer.status}")
        except aiohttp.ClientError as error:
            raise DependencyFailed(f"the webhook cannot be reached ({error})") from error
        return [True] * len(records)

    async def close(self) -> None:
        """Close connections."""
        if self._opened is not None:
            await self._opened.close()
