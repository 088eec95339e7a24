"""Features in a real PostgreSQL: how it is asked, who is first, and what if it is not there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import pytest

from inferd.cache.blobs import HEAD, Entry, Written, stamp_of
from inferd.cache.postgres_blobs import DEAD_AT_ONCE, PostgresBlobs
from inferd.config.resilience import Breaker, Hedge
from inferd.errors import DependencyFailed
from inferd.features.values import Status
from support.feature_stores import AMPLE_S, a_histogram, in_postgres
from support.postgres import PostgresServer, a_postgres

STAMP = 2**40
NOT_HEDGED: dict[str, Any] = {"hedge": Hedge(enabled=False), "breaker": Breaker(mode="off")}


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    return f"{tmp_path.name}:"


def entry(key: str, stamp: int = 0, keep_s: float | None = None) -> Entry:
    return Entry(key, HEAD + (STAMP + stamp).to_bytes(8) + b"\x80", keep_s)


class Sizes:
    """Remembers how many keys were asked for."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def observe(self, value: float) -> None:
        self.seen.append(value)


@asynccontextmanager
async def opened(
    server: PostgresServer, prefix: str, count: int = 1, **settings: object
) -> AsyncIterator[Sequence[PostgresBlobs]]:
    """Open stores that share what they know, as several servers do."""
    given = a_postgres(server, **settings)
    stores = [PostgresBlobs(given, prefix=prefix, sizes=a_histogram()) for _ in range(count)]
    try:
        yield stores
    finally:
        for each in stores:
            await each.close()


@asynccontextmanager
async def plain(server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


async def soon(holds: Callable[[], Any]) -> None:
    """Wait until an awaitable that `holds` returns says so."""
    ends = time.monotonic() + AMPLE_S
    while not await holds():
        assert time.monotonic() < ends
        await asyncio.sleep(0.01)


async def test_reads_of_one_turn_are_one_query(
    postgres_server: PostgresServer, prefix: str
) -> None:
    sizes = Sizes()
    blobs = PostgresBlobs(a_postgres(postgres_server), prefix=prefix, sizes=sizes)
    await blobs.put([entry(str(number), number) for number in range(1100)])
    reads = await asyncio.gather(*(blobs.get([str(number), "?"]) for number in range(900)))
    many = await blobs.get([str(number) for number in range(1100)])
    await blobs.close()

    assert sizes.seen == [901, 1000, 100]
    assert [blob and stamp_of(blob) - STAMP for blob, _ in reads] == [*range(900)]
    assert {nothing for _, nothing in reads} == {None}
    assert [blob and stamp_of(blob) - STAMP for blob in many] == [*range(1100)]


async def test_servers_that_start_together_make_the_table_once(
    postgres_server: PostgresServer,
) -> None:
    async with plain(postgres_server) as connection:
        await connection.execute("DROP TABLE IF EXISTS inferd_blobs")

    async with opened(postgres_server, "together:", 8) as stores:
        results = await asyncio.gather(*(each.put([entry("a")]) for each in stores))

    assert sorted(result for (result,) in results) == [Written.SAME] * 7 + [Written.STORED]


async def test_of_many_who_write_at_once_one_is_first_and_none_waits_for_ever(
    postgres_server: PostgresServer, prefix: str
) -> None:
    random, keys = Random(5), [*map(str, range(30))]
    async with opened(postgres_server, prefix, 4) as stores:
        for stamp in range(10):
            batches = [[entry(key, stamp) for key in random.sample(keys, 30)] for _ in range(12)]
            written = await asyncio.gather(
                *(stores[at % 4].put(batch) for at, batch in enumerate(batches))
            )
            fates: dict[str, list[Written]] = {key: [] for key in keys}
            for batch, results in zip(batches, written, strict=True):
                for each, result in zip(batch, results, strict=True):
                    fates[each.key].append(result)

            assert {tuple(sorted(each)) for each in fates.values()} == {
                (*[Written.SAME] * 11, Written.STORED)
            }


async def test_what_is_over_is_not_read_makes_room_for_anything_and_is_buried(
    postgres_server: PostgresServer, prefix: str
) -> None:
    dying = [entry(str(number), 7, keep_s=0.05) for number in range(DEAD_AT_ONCE + 100)]
    async with opened(postgres_server, prefix) as (blobs,), plain(postgres_server) as connection:
        await blobs.put([entry("kept", keep_s=1000), *dying])

        async def is_over() -> bool:
            return await blobs.get(["0"]) == [None]

        await soon(is_over)
        assert await blobs.put([entry("0", 3)]) == [Written.STORED]

        async def are_buried() -> bool:
            await blobs.put([entry("0", 3)])
            keys = await connection.fetch("SELECT key FROM inferd_blobs")
            return {f"{prefix}kept".encode(), f"{prefix}0".encode()} == {
                key for (key,) in keys if key.startswith(prefix.encode())
            }

        await soon(are_buried)
        assert await blobs.get(["kept", "0"]) == [entry("kept").blob, entry("0", 3).blob]


async def test_more_hang_at_once_than_there_are_connections_and_none_is_lost(
    postgres_server: PostgresServer, prefix: str
) -> None:
    async with in_postgres(postgres_server, prefix, **NOT_HEDGED) as store:
        await store.set("profile", 1, age=7)
        lookup = store.lookup("profile", 1, "age")
        with postgres_server.paused():
            for _ in range(20):
                found = await asyncio.gather(*(store.get(lookup, within_s=0.005) for _ in range(3)))
                assert {each.values[0][:2] for (each,) in found} == {(30, Status.TIMED_OUT)}

        assert (await store.read("profile", 1))["age"].value == 7
        assert await store.set("profile", 1, ago_s=0, age=8) is Written.STORED
        async with plain(postgres_server) as connection:
            clients = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
            assert await connection.fetchval(clients) <= 1 + 4


async def test_a_connection_that_was_closed_meanwhile_is_not_used_again(
    postgres_server: PostgresServer, prefix: str
) -> None:
    async with opened(postgres_server, prefix) as (blobs,), plain(postgres_server) as connection:
        await blobs.put([entry("a")])
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )

        assert await blobs.get(["a"]) == [entry("a").blob]


async def test_a_statement_that_fails_fails_alone(
    postgres_server: PostgresServer, prefix: str
) -> None:
    async with opened(postgres_server, prefix, connections=1) as (blobs,):
        await blobs.put([entry("a")])
        with pytest.raises(DependencyFailed, match=r"^PostgreSQL failed \(DatetimeFieldOverflow"):
            await blobs.put([entry("b", keep_s=1e30)])

        assert await blobs.get(["a", "b"]) == [entry("a").blob, None]


async def test_it_need_not_be_there_at_the_start_nor_all_the_time(
    postgres_server: PostgresServer, prefix: str
) -> None:
    postgres_server.stop()
    try:
        async with opened(postgres_server, prefix) as (blobs,):
            for _ in range(10):
                with pytest.raises(DependencyFailed, match=r"^PostgreSQL failed \("):
                    await blobs.get(["a"])
            with pytest.raises(DependencyFailed):
                await blobs.put([entry("a")])
            postgres_server.start()
            assert await blobs.put([entry("a")]) == [Written.STORED]
            postgres_server.stop()
            with pytest.raises(DependencyFailed):
                await blobs.get(["a"])
            postgres_server.start()
            assert await blobs.get(["a"]) == [entry("a").blob]
    finally:
        postgres_server.stop()
        postgres_server.start()


async def test_whoever_waits_when_it_is_closed_is_told_so(
    postgres_server: PostgresServer, prefix: str
) -> None:
    settings = a_postgres(postgres_server, connections=2)
    blobs = PostgresBlobs(settings, prefix=prefix, sizes=a_histogram())
    await blobs.put([entry("a")])
    with postgres_server.paused():
        waiting = [asyncio.create_task(blobs.put([entry("a", 1)])) for _ in range(5)]
        await asyncio.sleep(0.01)
        await blobs.close()
        errors = await asyncio.gather(*waiting, return_exceptions=True)

    assert {(type(each), str(each)) for each in errors} == {
        (DependencyFailed, "PostgreSQL is no longer asked")
    }
