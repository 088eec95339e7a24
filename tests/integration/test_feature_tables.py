"""Tables in a real Redis, in a file of SQLite, and on threads."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from inferd import config
from inferd.cache.connection import client, close
from inferd.cache.table_sqlite import SqliteTable
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InferdError
from inferd.features.compute.tables import Tables
from inferd.features.compute.work import Rows
from inferd.features.declaration import DeclarationError
from inferd.features.kinds import Held
from support.computing import CALL, a_column, a_table, a_toolbox, declared, log_of
from support.redis import RedisServer

AMPLE_S = 30.0
COLUMNS = (
    a_column("x"),
    a_column("price", "float64"),
    a_column("open", "bool"),
    a_column("name", "string"),
    a_column("token", "bytes"),
    a_column("taste", "float_list[2]"),
)
WHOLE = {"x": 1, "price": 1.5, "open": True, "name": "é", "token": b"\xff", "taste": (0.5, 1.0)}
IN_REDIS: Any = {**WHOLE, "open": "true", "taste": "[0.5,1]"}


@asynccontextmanager
async def opened(table: Any, redis: Redis | None = None) -> AsyncIterator[Tables]:
    table = {"timeout_ms": AMPLE_S * 1000, **table}
    definitions = declared([log_of("a", "user.age")], tables=[table])
    tables = Tables(definitions, toolbox=a_toolbox(), redis=redis)
    try:
        yield tables
    finally:
        await tables.close()


async def ask(tables: Tables, *keys: Held, within_s: float = AMPLE_S) -> Rows:
    deadline = Deadline.after(within_s, now=time.monotonic())
    return await tables.sources["t"].get(CALL, deadline, keys)


class TestRedis:
    async def test_hashes_are_read_and_what_is_none_is_no_row(
        self, redis_server: RedisServer
    ) -> None:
        redis = client(config.Redis(url=redis_server.url))
        await redis.hset("shop:7:v1", mapping=IN_REDIS)
        await redis.hset("shop:8:v1", mapping={"x": "1.5", "name": b"\xff", "price": "nan"})
        await redis.set("shop:9:v1", "no hash")

        async with opened(a_table("t", *COLUMNS, redis_hash="shop:{}:v1"), redis) as tables:
            rows = await ask(tables, 7, 8, 9, 10)

            assert rows == {7: WHOLE, 8: {}, 9: {}, 10: {}}
            assert tables.statistics["t"].wrong == 3 + len(COLUMNS)
        await close(redis)

    @pytest.mark.parametrize(
        ("kind", "key", "name"),
        [
            ("string", "é {}", "shop:é {}".encode()),
            ("bytes", b"\xff", b"shop:\xff"),
            ("bool", True, b"shop:true"),
            ("float64", 1.5, b"shop:1.5"),
            ("int64", -1, b"shop:-1"),
        ],
    )
    async def test_keys_of_every_type_have_a_name(
        self, redis_server: RedisServer, kind: str, key: Held, name: bytes
    ) -> None:
        redis = client(config.Redis(url=redis_server.url))
        await redis.hset(name, "x", 3)

        async with opened(a_table("t", key=kind, redis_hash="shop:{}"), redis) as tables:
            assert await ask(tables, key) == {key: {"x": 3}}
        await close(redis)

    async def test_all_of_one_turn_leaves_in_one_round_trip(
        self, redis_server: RedisServer
    ) -> None:
        redis = client(config.Redis(url=redis_server.url))
        for key in range(50):
            await redis.hset(f"shop:{key}", "x", key)

        async with opened(a_table("t", redis_hash="shop:{}"), redis) as tables:
            await ask(tables, 0)
            before = await redis.info("stats")
            rows = await asyncio.gather(*(ask(tables, key, 0) for key in range(50)))
            after = await redis.info("stats")

        assert [each[key]["x"] for key, each in enumerate(rows)] == [*range(50)]
        # One read by the server from its socket is for this, and one for `info`.
        read = after["total_reads_processed"] - before["total_reads_processed"]
        assert read == 2
        await close(redis)

    async def test_who_gives_up_leaves_no_answer_for_the_next(
        self, redis_server: RedisServer
    ) -> None:
        redis = client(config.Redis(url=redis_server.url, connections=1))
        await redis.hset("shop:1", "x", 1)
        await redis.hset("shop:2", "x", 2)

        async with opened(a_table("t", redis_hash="shop:{}"), redis) as tables:
            await ask(tables, 1)
            with redis_server.paused(), pytest.raises(InferdError):
                await ask(tables, 1, within_s=0.02)
            assert await ask(tables, 2) == {2: {"x": 2}}
        await close(redis)

    async def test_without_redis_it_fails_and_with_it_it_works_again(
        self, redis_server: RedisServer
    ) -> None:
        redis = client(config.Redis(url=redis_server.url))

        async with opened(a_table("t", redis_hash="shop:{}"), redis) as tables:
            redis_server.kill()
            with pytest.raises(DependencyFailed):
                await ask(tables, 1)
            redis_server.start()
            await redis.hset("shop:1", "x", 1)
            assert await ask(tables, 1) == {1: {"x": 1}}
        await close(redis)


class TestSqlite:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        path = tmp_path / "shops % #?.sqlite"
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE shops (id, x, price, open, name, token, taste)")
            database.executemany(
                "INSERT INTO shops VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (7, 1, 1.5, 1, "é", b"\xff", "[0.5, 1]"),
                    (8, "one", b"x", 2, 5, "text", "[1]"),
                    (9, None, None, None, None, None, None),
                ],
            )
            database.commit()
        return path

    def table(self, file: Path, *columns: Any, query: str) -> Any:
        return a_table("t", *columns, sqlite=file, query=query)

    async def test_rows_are_read_and_what_is_of_another_type_is_no_value(self, file: Path) -> None:
        query = "SELECT * FROM shops WHERE id = ?;"
        async with opened(self.table(file, *COLUMNS, query=query)) as tables:
            rows = await ask(tables, 7, 8, 9, 10)

            assert rows == {7: WHOLE, 8: {}, 9: {}}
            assert tables.statistics["t"].wrong == 6

    async def test_callers_of_one_turn_are_answered_together(self, file: Path) -> None:
        query = "SELECT x FROM shops WHERE id = ?"
        async with opened(self.table(file, query=query)) as tables:
            rows = await asyncio.gather(*(ask(tables, 7) for _ in range(10)))

            assert [*rows] == [{7: {"x": 1}}] * 10
            assert tables.statistics["t"].sizes.count == 1

    @pytest.mark.parametrize(
        ("query", "problem"),
        [
            ("SELECT y FROM shops WHERE id = ?", "query: shops % #?.sqlite failed (no such column"),
            ("SELECT price FROM shops WHERE id = ?", "query: it selects no column 'x'; there are"),
            (
                "SELECT x FROM shops",
                "query: shops % #?.sqlite failed (Incorrect number of bindings",
            ),
            ("SELECT x FROM shops WHERE id = ? OR id = ?", "query: shops % #?.sqlite failed (Inc"),
            ("DELETE FROM shops WHERE id = ?", 'query: shops % #?.sqlite failed (near "DELETE"'),
            ("SELECT x FROM shops WHERE id = ?; SELECT 1", "query: shops % #?.sqlite failed ("),
            ("", 'query: shops % #?.sqlite failed (near ")": syntax error)'),
        ],
    )
    async def test_a_query_that_does_not_give_the_columns_is_refused(
        self, file: Path, query: str, problem: str
    ) -> None:
        with pytest.raises(DeclarationError) as refused:
            async with opened(self.table(file, query=query)):
                pass

        assert refused.value.problems[0].startswith(f"tables.t.{problem}")

    async def test_a_file_that_is_not_there_is_refused_and_not_made(self, tmp_path: Path) -> None:
        path = tmp_path / "none.sqlite"

        with pytest.raises(DeclarationError, match="unable to open database file"):
            async with opened(self.table(path, query="SELECT 1 AS x WHERE 1 = ?")):
                pass

        assert not path.exists()

    async def test_a_query_that_nobody_waits_for_is_given_up(self, file: Path) -> None:
        endless = (
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
            " SELECT count(*) AS x FROM n WHERE x > ?"
        )
        table = SqliteTable(file, endless)
        asked = asyncio.ensure_future(table.get([0]))
        await asyncio.sleep(0.02)

        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

        await asyncio.wait_for(table.close(), AMPLE_S)


class TestFunctionsOnThreads:
    async def test_a_function_runs_beside_the_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        threads = []

        def prices(keys: list[int]) -> list[dict[str, int] | None]:
            threads.append(threading.current_thread())
            return [{"x": key} if key else None for key in keys]

        monkeypatch.setattr("support.computing.prices", prices, raising=False)
        async with opened(a_table("t", function="support.computing:prices")) as tables:
            assert await ask(tables, 0, 1) == {1: {"x": 1}}

        assert threads != [threading.main_thread()]

    async def test_a_function_that_fails_is_a_failed_table(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def prices(keys: list[int]) -> list[None]:
            raise StopIteration

        monkeypatch.setattr("support.computing.prices", prices, raising=False)
        async with opened(a_table("t", function="support.computing:prices")) as tables:
            with pytest.raises(DependencyFailed, match="the function of table t failed"):
                await ask(tables, 1)
