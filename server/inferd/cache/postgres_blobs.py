"""Blobs in PostgreSQL: a table with a row per key, one statement per read and per write.

A statement locks the rows that it writes in the order of their keys, so that no two wait for each
other. What becomes of a blob is told by the stamp that was there when the statement began. Where
somebody else was quicker than the statement, which then leaves the row as it is, the row is looked
at again.

When a blob's time is over is PostgreSQL's to say, which has one clock for all servers. Its row is
deleted some time after that, by whichever server writes next, some rows at a time and after the
writer has been answered.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from inferd import config
from inferd.cache.blobs import Entry, Written, stamp_of, verdict
from inferd.cache.coalesced import Coalesced
from inferd.cache.postgres_connections import Connections
from inferd.errors import DependencyFailed
from inferd.resilience.dependency import Observes

MOST_KEYS = 1000
"""In one query."""
MOST_ENTRIES = 500
"""In one statement, whose rows are locked meanwhile."""
DEAD_AT_ONCE = 500
"""Rows whose time is over, deleted by one statement."""
DEAD_EVERY_S = 1.0
"""How often to look for them."""

# Keys are bytes: text has no NUL, and an order that depends on the language.
SCHEMA = """
DO $$ BEGIN
  IF to_regclass('inferd_blobs') IS NULL THEN
    PERFORM pg_advisory_xact_lock(hashtext('inferd_blobs'));  -- servers may start together
    CREATE TABLE IF NOT EXISTS inferd_blobs (
      key bytea PRIMARY KEY, stamp bigint NOT NULL, blob bytea NOT NULL, dies_at timestamptz
    );
    CREATE INDEX IF NOT EXISTS inferd_blobs_dying ON inferd_blobs (dies_at)
      WHERE dies_at IS NOT NULL;
  END IF;
END $$
"""
READ = """
SELECT key, blob FROM inferd_blobs
WHERE key = ANY ($1::bytea[]) AND (dies_at IS NULL OR dies_at > now())
"""
WRITE = """
WITH given AS (
  SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::float8[])
    AS each (key, stamp, blob, keep_s)
), stored AS (
  INSERT INTO inferd_blobs AS there (key, stamp, blob, dies_at)
  SELECT key, stamp, blob, now() + make_interval(secs => keep_s) FROM given ORDER BY key
  ON CONFLICT (key) DO UPDATE
    SET stamp = excluded.stamp, blob = excluded.blob, dies_at = excluded.dies_at
    WHERE there.stamp < excluded.stamp OR there.dies_at <= now()
  RETURNING key
)
SELECT given.key, stored.key IS NOT NULL, there.stamp
FROM given LEFT JOIN stored USING (key) LEFT JOIN inferd_blobs AS there
  ON there.key = given.key AND (there.dies_at IS NULL OR there.dies_at > now())
"""
"""Returns, for each key, whether it was stored, and the stamp that was there before."""
BURY = """
WITH dead AS (
  SELECT key FROM inferd_blobs WHERE dies_at <= now() LIMIT $1 FOR UPDATE SKIP LOCKED
)
DELETE FROM inferd_blobs USING dead WHERE inferd_blobs.key = dead.key RETURNING 1
"""


class PostgresBlobs:
    """Keeps blobs in PostgreSQL. Made and used on one event loop."""

    name = "postgres"

    def __init__(self, settings: config.Postgres, *, prefix: str, sizes: Observes) -> None:
        """Have keys begin with `prefix` there; tell `sizes` for how many keys a query asks."""
        self._prefix = prefix
        self._connections = Connections(settings, prepare=SCHEMA)
        self._coalesced = Coalesced(self._read, most=MOST_KEYS, sizes=sizes)
        self._clock = asyncio.get_running_loop().time
        self._bury_at = self._clock()
        self._burying: asyncio.Task[None] | None = None

    def get(self, keys: Sequence[str]) -> Coroutine[Any, Any, Sequence[bytes | None]]:
        """Return the blobs of keys; None for what is not there."""
        return self._coalesced.get(keys)

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep blobs unless newer ones are there, and return when PostgreSQL has committed them.

        Whoever does not wait for the end leaves it open whether they are kept.
        """
        newest = _newest(entries)
        there: dict[str, int | None] = {}
        for at in range(0, len(newest), MOST_ENTRIES):
            there.update(await self._write(newest[at : at + MOST_ENTRIES]))
        self._bury_sometimes()
        return _verdicts(entries, there)

    async def close(self) -> None:
        """Give up what is under way, and close the connections."""
        await self._coalesced.close()
        if self._burying is not None:
            self._burying.cancel()
            await asyncio.wait([self._burying])
        await self._connections.close()

    async def _read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        wanted = [*map(self._key, keys)]
        rows = await self._connections.fetch(READ, wanted)
        found: dict[bytes, bytes] = {row["key"]: row["blob"] for row in rows}
        return [*map(found.get, wanted)]

    async def _write(self, entries: Sequence[Entry]) -> Mapping[str, int | None]:
        """Write entries of different keys; return the stamps that were there before."""
        by_key = {self._key(entry.key): entry for entry in entries}
        rows = await self._connections.fetch(
            WRITE,
            [*by_key],
            [stamp_of(entry.blob) for entry in entries],
            [entry.blob for entry in entries],
            [entry.keep_s for entry in entries],
        )
        there: dict[str, int | None] = {}
        overtaken: list[Entry] = []
        for key, stored, stamp in rows:
            entry = by_key[key]
            newer = stamp is None or stamp < stamp_of(entry.blob)
            if newer and not stored:
                overtaken.append(entry)
            # What was stored though it is no newer came after something whose time was over.
            there[entry.key] = stamp if newer or not stored else None
        if overtaken:
            there.update(await self._write(overtaken))
        return there

    def _bury_sometimes(self) -> None:
        if self._burying is None and self._clock() >= self._bury_at:
            loop = asyncio.get_running_loop()
            self._burying = loop.create_task(self._bury(), name="burying in PostgreSQL")

    async def _bury(self) -> None:
        try:
            with suppress(DependencyFailed):  # whoever writes next tries again
                while len(await self._connections.fetch(BURY, DEAD_AT_ONCE)) == DEAD_AT_ONCE:
                    pass
        finally:
            self._burying, self._bury_at = None, self._clock() + DEAD_EVERY_S

    def _key(self, key: str) -> bytes:
        return (self._prefix + key).encode()


def _newest(entries: Iterable[Entry]) -> Sequence[Entry]:
    """Return the newest entry of each key; of several, the first."""
    newest: dict[str, Entry] = {}
    for entry in entries:
        there = newest.get(entry.key)
        if there is None or stamp_of(entry.blob) > stamp_of(there.blob):
            newest[entry.key] = entry
    return [*newest.values()]


def _verdicts(entries: Iterable[Entry], there: Mapping[str, int | None]) -> Sequence[Written]:
    """Return what became of entries that came one after the other, given what was there."""
    now: dict[str, int | None] = dict(there)
    results: list[Written] = []
    for entry in entries:
        stamp = stamp_of(entry.blob)
        result = verdict(stamp, now[entry.key])
        if result is Written.STORED:
            now[entry.key] = stamp
        results.append(result)
    return results
