"""A cache over a real Redis and a real file: who has what, Redis killed, and two servers."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from inferd import config
from inferd.cache.connection import client, close
from inferd.cache.multilevel import MultiLevel
from inferd.cache.redis_blobs import RedisBlobs
from inferd.cache.sqlite_blobs import SqliteBlobs
from inferd.cache.tracking import Tracking
from inferd.config.cache import CachePolicy
from support.caches import Loader, Value, ValueCodec, a_level, get, put, until
from support.feature_stores import a_histogram
from support.redis import RedisServer

PREFIX = "cache:"
AMPLE_MS = 10_000.0


class Server:
    """What one server has of a cache: memory of its own, Redis, and perhaps a file."""

    def __init__(self, redis: RedisServer, file: Path | None) -> None:
        self.redis = client(config.Redis(url=redis.url))
        sizes = a_histogram()
        self.l2 = RedisBlobs(self.redis, prefix=PREFIX, sizes=sizes)
        levels = [a_level("l2", self.l2, tracked=True, ttl_s=60.0, timeout_ms=AMPLE_MS)]
        self.l3: SqliteBlobs | None = None
        if file is not None:
            self.l3 = SqliteBlobs(file, wall_clock=time.time, sizes=sizes)
            levels.append(a_level("l3", self.l3, timeout_ms=AMPLE_MS))
        self.cache = MultiLevel(
            "shop",
            CachePolicy(),
            levels,
            ValueCodec(),
            clock=time.monotonic,
            random=random.random,
            live=self.is_live,
        )
        self.tracking = Tracking(
            self.redis, {PREFIX: self.cache.invalidate}, on_flush=self.cache.clear, ping_s=0.05
        )
        self.tracking.start()

    def is_live(self) -> bool:
        return self.tracking.live

    async def close(self) -> None:
        await self.tracking.close()
        await self.cache.close()
        await self.l2.close()
        if self.l3 is not None:
            await self.l3.close()
        await close(self.redis)


@asynccontextmanager
async def servers(redis: RedisServer, *files: Path | None) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        running = [Server(redis, file) for file in files]
        for each in running:
            stack.push_async_callback(each.close)
        for each in running:
            await until(each.is_live)
        yield running


async def test_a_key_that_only_the_file_has_is_found_there_and_then_nearer(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with servers(redis_server, tmp_path / "l3.sqlite") as (server,):
        cache, load = server.cache, Loader()
        await put(cache, a=Value("kept"))
        await server.redis.flushall()
        await until(lambda: not len(cache.local))

        told = server.tracking.keys
        assert await get(cache, load, "a") == [("kept", "l3_cache")]
        assert await get(cache, load, "a") == [("kept", "l1_cache")]
        await until(lambda: server.tracking.keys > told)  # of its own write

        assert 53 <= await server.redis.ttl(f"{PREFIX}a") <= 66
        assert load.loads == 0
        assert await get(cache, load, "a") == [("kept", "l1_cache")]


async def test_what_one_server_writes_the_other_forgets(redis_server: RedisServer) -> None:
    async with servers(redis_server, None, None) as (ours, theirs):
        load = Loader()
        await put(ours.cache, a=Value("old", 1))
        assert await get(theirs.cache, load, "a") == [("old", "l2_cache")]
        assert await get(theirs.cache, load, "a") == [("old", "l1_cache")]

        await put(ours.cache, a=Value("new", 2))
        await until(lambda: theirs.cache.expires_at("a") is None)

        assert await get(theirs.cache, load, "a") == [("new", "l2_cache")]
        assert await get(ours.cache, load, "a") == [("new", "l1_cache")]


async def test_redis_killed_in_the_middle_is_counted_and_no_caller_gets_an_error(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    async with servers(redis_server, tmp_path / "l3.sqlite") as (server,):
        cache, load = server.cache, Loader()
        keys = [f"k{number}" for number in range(40)]
        await put(cache, **{key: Value(key) for key in keys})
        sources: set[str] = set()
        ended = False

        async def read(seed: int) -> int:
            chance, reads = random.Random(seed), 0
            while not ended:
                cache.nearest.discard(key := chance.choice(keys))
                ((text, source),) = await get(cache, load, key)
                assert text == key
                sources.add(source)
                reads += 1
                await asyncio.sleep(0.001)
            return reads

        reading = [asyncio.ensure_future(read(seed)) for seed in range(8)]
        await asyncio.sleep(0.1)
        assert "l3_cache" not in sources
        redis_server.kill()
        await asyncio.sleep(0.2)
        during = sources.copy()
        sources.clear()
        redis_server.start()
        await until(lambda: "l2_cache" in sources and server.tracking.live)
        ended = True
        reads = await asyncio.gather(*reading)

        assert min(reads) > 10
        assert during >= {"l2_cache", "l3_cache"}
        assert load.loads == 0
        assert cache.statistics.levels["l2"].errors > 0
        assert cache.statistics.levels["l3"].errors == 0


@pytest.mark.parametrize("file", [None, "l3.sqlite"])
async def test_two_hundred_who_miss_at_once_are_one_load_and_one_command(
    redis_server: RedisServer, tmp_path: Path, file: str | None
) -> None:
    async with servers(redis_server, tmp_path / file if file else None) as (server,):
        load = Loader(0.05)
        answers = await asyncio.gather(*(get(server.cache, load, "a") for _ in range(200)))

        assert answers == [[("a!", "computed")]] * 200
        assert load.loads == 1
        assert (await server.redis.info("commandstats"))["cmdstat_mget"]["calls"] == 1
