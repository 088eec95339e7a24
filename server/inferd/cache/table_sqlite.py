"""Tables in a file of SQLite that somebody else writes: whatever a query selects for a key.

One thread reads, with a connection that can do nothing else. A query that nobody waits for any
more is given up while it runs, so that a slow one does not keep those behind it.
"""

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from inferd.cache.sqlite_blobs import translated

Key = int | float | bool | str | bytes

BUSY_S = 0.1
"""How long to wait for whoever writes to the file."""
STEPS = 1000
"""Of SQLite's virtual machine, after each of which a query may be given up: some microseconds."""


def columns(path: Path, query: str) -> Sequence[str]:
    """Return the columns that a query of one parameter selects. Raises `DependencyFailed`."""
    with translated(path), closing(_open(path)) as database:
        # In a subquery, so that it selects and does nothing else, and selects nothing now.
        selected = f"SELECT * FROM ({query.strip().rstrip(';')}\n) LIMIT 0"
        return [each[0] for each in database.execute(selected, (None,)).description]


class SqliteTable:
    """Reads rows by a query with `?` for the key. Used on one event loop."""

    def __init__(self, path: Path, query: str) -> None:
        """Open the file when it is first asked, on the thread that reads it."""
        self._path = path
        self._query = query
        self._thread = ThreadPoolExecutor(1, "sqlite-table")
        self._database: sqlite3.Connection | None = None

    async def get(self, keys: Sequence[Key]) -> Sequence[Mapping[str, object] | None]:
        """Return rows by column; of several for a key, the first; None where there is none.

        Raises `DependencyFailed`.
        """
        job = _Job(keys)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._read, job)
        finally:
            job.given_up = True  # or over

    async def close(self) -> None:
        """Close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def _read(self, job: "_Job") -> Sequence[Mapping[str, object] | None]:
        with translated(self._path):
            if self._database is None:
                self._database = _open(self._path)
            self._database.set_progress_handler(lambda: job.given_up, STEPS)
            return [self._row(self._database, key) for key in job.keys]

    def _row(self, database: sqlite3.Connection, key: Key) -> Mapping[str, object] | None:
        cursor = database.execute(self._query, (key,))
        row = cursor.fetchone()
        if row is None:
            return None
        return dict(zip((each[0] for each in cursor.description), row, strict=True))

    def _disconnect(self) -> None:
        if self._database is not None:
            self._database.close()


class _Job:
    """Rows that are being read."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = keys
        #: Set by the event loop, and seen by the thread.
        self.given_up = False


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
