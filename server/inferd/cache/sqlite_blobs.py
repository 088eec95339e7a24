"""Blobs in a file of SQLite: one server, no Redis, and nothing is lost when it ends.

One thread writes. It takes all that waits, writes it in one transaction, and says so only when the
file has been told to the disk: what was acknowledged survives the process, and the machine. A few
threads read, each with a connection of its own; thanks to the write-ahead log nobody waits for the
writer. When the disk is full, a transaction fails as a whole, and nothing else does.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from inferd.cache.blobs import Entry, Written, stamp_of, verdict
from inferd.cache.coalesced import Coalesced
from inferd.deadline import Clock
from inferd.errors import DependencyFailed
from inferd.resilience.dependency import Observes

READERS = 2
MOST_KEYS = 1000
"""In one query."""
MOST_JOBS = 100
"""In one transaction."""
DEAD_PER_TURN = 200
"""Blobs whose time is over, deleted along with each transaction."""
BUSY_S = 5.0
"""How long to wait for another process that writes to the file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS blobs (
  key TEXT PRIMARY KEY, stamp INTEGER NOT NULL, blob BLOB NOT NULL, dies_s REAL
);
CREATE INDEX IF NOT EXISTS dying ON blobs (dies_s) WHERE dies_s IS NOT NULL;
"""
READ = "SELECT key, blob FROM blobs WHERE (dies_s IS NULL OR dies_s > ?) AND key IN ({})"
WRITE = """
INSERT INTO blobs (key, stamp, blob, dies_s) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET stamp = excluded.stamp, blob = excluded.blob,
  dies_s = excluded.dies_s
"""
BURY = """
DELETE FROM blobs WHERE key IN (SELECT key FROM blobs WHERE dies_s <= ? LIMIT ?)
"""


class SqliteBlobs:
    """Keeps blobs in a file. Made and used on one event loop."""

    name = "sqlite"

    def __init__(self, path: Path, *, wall_clock: Clock, sizes: Observes) -> None:
        """Open the file, or make it. Raises `DependencyFailed`.

        `sizes` is told for how many keys a query asks.
        """
        self._path = path
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()
        with translated(path):
            database = _open(path)
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(SCHEMA)
            except sqlite3.Error:
                database.close()
                raise
        self._connections = [database]
        self._own = threading.local()
        self._readers = ThreadPoolExecutor(READERS, "sqlite-reader")
        self._coalesced = Coalesced(self._fetch, most=MOST_KEYS, sizes=sizes)
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._writer = threading.Thread(
            target=self._write, args=(database,), name="sqlite-writer", daemon=True
        )
        self._writer.start()

    def get(self, keys: Sequence[str]) -> Coroutine[Any, Any, Sequence[bytes | None]]:
        """Return the blobs of keys; None for what is not there."""
        return self._coalesced.get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep blobs unless newer ones are there, and return when they are on the disk.

        Whoever does not wait for the end leaves it open whether they are kept.
        """
        if self._closed:
            raise DependencyFailed(f"{self._path} is closed")
        job = _Job(entries, self._loop.create_future())
        self._jobs.put(job)
        return await job.done

    async def close(self) -> None:
        """Write what waits, and close the file."""
        self._closed = True
        self._jobs.put(None)
        await self._coalesced.close()
        await asyncio.to_thread(self._writer.join)
        await asyncio.to_thread(self._readers.shutdown)
        for each in self._connections:
            each.close()

    def _connected(self) -> sqlite3.Connection:
        """Return the connection of the calling thread."""
        database: sqlite3.Connection | None = getattr(self._own, "database", None)
        if database is None:
            database = self._own.database = _open(self._path)
            self._connections.append(database)
        return database

    async def _fetch(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        found = await self._loop.run_in_executor(self._readers, self._read, keys)
        return [*map(found.get, keys)]

    def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        query = READ.format(",".join("?" * len(keys)))
        with translated(self._path):
            rows = self._connected().execute(query, (self._wall_clock(), *keys))
            return dict(rows.fetchall())

    def _write(self, database: sqlite3.Connection) -> None:
        while jobs := self._waiting():
            self._write_together(database, jobs)

    def _write_together(self, database: sqlite3.Connection, jobs: "Sequence[_Job]") -> None:
        try:
            results = _written(database, jobs, self._wall_clock())
        except Exception as error:
            if len(jobs) > 1 and not _is_busy(error):
                for job in jobs:  # who is too large for the disk fails alone
                    self._write_together(database, [job])
                return
            failed = _described(error, self._path)
            self._tell([partial(_fail, job.done, failed) for job in jobs])
        else:
            pairs = zip(jobs, results, strict=True)
            self._tell([partial(_answer, job.done, result) for job, result in pairs])

    def _waiting(self) -> "list[_Job]":
        """Wait for work, and return all there is; nothing: it is time to end."""
        job, jobs = self._jobs.get(), []
        try:
            while job is not None:
                jobs.append(job)
                if len(jobs) == MOST_JOBS:
                    return jobs
                job = self._jobs.get_nowait()
        except Empty:
            return jobs
        if jobs:
            self._jobs.put(None)  # for the next time
        return jobs

    def _tell(self, news: Sequence[Callable[[], None]]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(lambda: [tell() for tell in news])


class _Job(NamedTuple):
    entries: Sequence[Entry]
    done: "asyncio.Future[Sequence[Written]]"


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Have what goes wrong with the file in the block raised as `DependencyFailed`."""
    try:
        yield
    except sqlite3.Error as error:
        raise _described(error, path) from error


def _described(error: Exception, path: Path) -> DependencyFailed:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return DependencyFailed(f"the disk that {path.name} is on is full")
    return DependencyFailed(f"{path.name} failed ({error})")


def _is_busy(error: Exception) -> bool:
    """Whether somebody else writes, and waiting again would take as long."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        database.close()
        raise
    return database


def _written(
    database: sqlite3.Connection, jobs: Sequence[_Job], now_s: float
) -> list[list[Written]]:
    """Write all or nothing, and return what became of each."""
    database.execute("BEGIN IMMEDIATE")
    try:
        results = [[_put(database, entry, now_s) for entry in job.entries] for job in jobs]
        database.execute(BURY, (now_s, DEAD_PER_TURN))
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:  # SQLite may have ended it itself
            database.execute("ROLLBACK")
        raise
    return results


def _put(database: sqlite3.Connection, entry: Entry, now_s: float) -> Written:
    row = database.execute(
        "SELECT stamp FROM blobs WHERE key = ? AND (dies_s IS NULL OR dies_s > ?)",
        (entry.key, now_s),
    ).fetchone()
    stamp = stamp_of(entry.blob)
    result = verdict(stamp, row and row[0])
    if result is Written.STORED:
        dies_s = None if entry.keep_s is None else now_s + entry.keep_s
        database.execute(WRITE, (entry.key, stamp, entry.blob, dies_s))
    return result


def _answer(done: "asyncio.Future[Sequence[Written]]", result: Sequence[Written]) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: "asyncio.Future[Sequence[Written]]", error: DependencyFailed) -> None:
    if not done.done():
        done.set_exception(copy(error))  # each has a traceback of its own
