"""Tables that features are looked up in, wherever they are: in files, Redis, SQLite, functions.

Files are read when the server starts. The others are asked while somebody waits, so each is a
dependency of its own (`table_<name>`), with a timeout and a breaker. What is asked of one in one
turn of the event loop is asked together. A cell of another type than declared is no value.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from inferd.cache.coalesced import Coalesced
from inferd.call import Call
from inferd.config import resilience as config
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed
from inferd.features.compute import cells, table_files, table_functions
from inferd.features.compute.engine import TableSource
from inferd.features.compute.executor import Executor
from inferd.features.compute.table_functions import FunctionTable
from inferd.features.compute.work import Row, Rows
from inferd.features.declaration import DeclarationError
from inferd.features.definitions import Definitions
from inferd.features.derivation import Table
from inferd.features.kinds import Held
from inferd.features.suggestions import nearest
from inferd.resilience.dependency import Dependency
from inferd.resilience.toolbox import Toolbox
from inferd.telemetry.statistics import Histogram

if TYPE_CHECKING:  # it takes a while to import, and many servers have none
    from inferd.cache.connection import Redis

MOST_KEYS = 200
"""Asked for at once."""
ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
"""Bounds, for how many keys are asked for at once."""
THREADS = 2
"""For functions that are no coroutine functions."""
MOST_WAITING = 64
"""Calls of such functions that wait for a thread."""

# Rows leave together, however many there are, so their number says little.
_LIMIT = config.Limit(mode="fixed", initial=1000)
_BREAKER = config.Breaker(open_s=0.3, open_max_s=1.0)

Fetch = Callable[[Sequence[Any]], Awaitable[Sequence[Mapping[str, object] | None]]]
"""Returns what a source says of keys, in their order, as it says it. Raises `InferdError`."""


class Tables:
    """All that are declared. Lives on the event loop."""

    def __init__(
        self,
        definitions: Definitions,
        *,
        toolbox: Toolbox,
        redis: "Redis | None",
        threads: int = THREADS,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        """Read what is in files. Raise `DeclarationError` naming all that cannot be had."""
        self._toolbox = toolbox
        self._redis = redis
        self.executor = Executor(threads, most_waiting=most_waiting)
        self.sources: dict[str, TableSource] = {}
        #: Of those that are asked.
        self.statistics: dict[str, TableStatistics] = {}
        self._closing: list[Callable[[], Awaitable[None]]] = []
        problems: list[str] = []
        for name, table in definitions.tables.items():
            try:
                self.sources[name] = self._source(table)
            except DeclarationError as error:
                problems += [f"tables.{name}.{problem}" for problem in error.problems]
        if problems:
            raise DeclarationError(problems)

    async def close(self) -> None:
        """Give up what is under way, and let go of what is open."""
        for close in reversed(self._closing):
            await close()
        await self.executor.close()

    def _source(self, table: Table) -> TableSource:
        if table.file is not None:
            return TableAtHand(table_files.rows(table, table.file))
        counts = self.statistics[table.name] = TableStatistics()
        guard = self._toolbox.dependency(
            f"table_{table.name}",
            config.Dependency(timeout_ms=table.timeout_ms, limit=_LIMIT, breaker=_BREAKER),
        )
        fetch, read = self._fetch(table)
        asked = AskedTable(table, fetch, read, guard, counts)
        self._closing.append(asked.close)
        return asked

    def _fetch(self, table: Table) -> tuple[Fetch, cells.Read]:
        """Return how a table is asked, and how its answers are read."""
        names = [each.name for each in table.columns]
        if table.redis_hash is not None:
            return self._from_redis(table.redis_hash, names), cells.from_redis
        if table.sqlite is not None and table.query is not None:
            return self._from_sqlite(table.sqlite, table.query, names), cells.from_sqlite
        assert table.function is not None, "it has one source"
        try:
            function = table_functions.named(table.function)
        except ValueError as error:
            raise DeclarationError([f"function: {error}"]) from error
        return FunctionTable(table.name, function, self.executor).get, cells.from_python

    def _from_redis(self, pattern: str, names: Sequence[str]) -> Fetch:
        if self._redis is None:
            raise DeclarationError(["redis_hash: the configuration has no redis.url"])
        from inferd.cache.table_redis import RedisTable

        return RedisTable(self._redis, pattern, names).get

    def _from_sqlite(self, path: Path, query: str, names: Sequence[str]) -> Fetch:
        from inferd.cache import table_sqlite

        try:
            selected = table_sqlite.columns(path, query)
        except DependencyFailed as error:
            raise DeclarationError([f"query: {error}"]) from error
        if lacking := [
            f"query: it selects no column {name!r}; {nearest(name, selected)}"
            for name in names
            if name not in selected
        ]:
            raise DeclarationError(lacking)
        database = table_sqlite.SqliteTable(path, query)
        self._closing.append(database.close)
        return database.get


class TableStatistics:
    """What is counted of a table that is asked."""

    def __init__(self) -> None:
        #: For how many keys it was asked at once.
        self.sizes = Histogram(ROWS)
        #: Cells that are not of the declared type.
        self.wrong = 0


class TableAtHand(NamedTuple):
    """A table in memory."""

    rows: Rows

    async def get(self, call: Call, deadline: Deadline, keys: Sequence[Held]) -> Rows:
        """Return all rows."""
        return self.rows


class AskedTable:
    """A table that is elsewhere."""

    rows = None

    def __init__(
        self,
        table: Table,
        fetch: Fetch,
        read: cells.Read,
        guard: Dependency,
        counts: TableStatistics,
    ) -> None:
        """Ask by `fetch`, and `read` the cells that it returns."""
        self._columns = [(each.name, each.type) for each in table.columns]
        self._read = read
        self._counts = counts
        self._coalesced = Coalesced(fetch, most=MOST_KEYS, sizes=counts.sizes)
        self._guarded_get = guard.guards(self._get, repeatable=True)

    async def get(self, call: Call, deadline: Deadline, keys: Sequence[Held]) -> Rows:
        """Return the rows that there are of different keys. Raises `InferdError`."""
        found = await self._guarded_get(call, deadline, keys)
        return {
            key: self._typed(said)
            for key, said in zip(keys, found, strict=True)
            if said is not None
        }

    async def close(self) -> None:
        """Give up what is under way."""
        await self._coalesced.close()

    async def _get(
        self, call: Call, deadline: Deadline, keys: Sequence[Held]
    ) -> Sequence[Mapping[str, object] | None]:
        return await self._coalesced.get(keys)

    def _typed(self, said: Mapping[str, object]) -> Row:
        row: dict[str, Held] = {}
        for name, kind in self._columns:
            cell = said.get(name)
            if cell is None:
                continue
            try:
                row[name] = self._read(kind, cell)
            except ValueError:
                self._counts.wrong += 1
        return row
