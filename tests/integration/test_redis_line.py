"""Many commands share a connection to Redis, and neither wait for nor harm each other."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ResponseError

from inferd import config
from inferd.cache.connection import client, close
from inferd.cache.line import Line
from support.redis import RedisServer

STALLED_S = 0.05
stand_still = time.sleep


@asynccontextmanager
async def a_line(url: str) -> AsyncIterator[Line]:
    connected = client(config.Redis(url=url))
    line = Line(connected, stalled_s=STALLED_S)
    try:
        yield line
    finally:
        await line.close()
        await close(connected)


async def test_everybody_gets_the_answer_to_their_own_command(redis_server: RedisServer) -> None:
    async with a_line(redis_server.url) as line:
        await asyncio.gather(*(line.ask("SET", f"k{n}", n) for n in range(200)))

        answers = await asyncio.gather(*(line.ask("GET", f"k{n}") for n in range(200)))

        assert answers == [b"%d" % n for n in range(200)]
        assert await connections(line) == 1


async def test_who_asks_for_what_cannot_be_is_told_so_and_nobody_else(
    redis_server: RedisServer,
) -> None:
    async with a_line(redis_server.url) as line:
        said = asyncio.create_task(line.ask("SET", "k", "text"))
        wrong = asyncio.create_task(line.ask("INCR", "k"))
        got = asyncio.create_task(line.ask("GET", "k"))

        assert (await said, await got) == (b"OK", b"text")
        with pytest.raises(ResponseError):
            await wrong


async def test_who_leaves_takes_nothing_from_others(redis_server: RedisServer) -> None:
    async with a_line(redis_server.url) as line:
        await line.ask("SET", "k", "there")
        with redis_server.paused():
            leaves, stays = (asyncio.create_task(line.ask("GET", each)) for each in ("no", "k"))
            await asyncio.sleep(0.01)
            leaves.cancel()
            late = asyncio.create_task(line.ask("SET", "late", 1))
            late.cancel()  # before it has left

        assert await stays == b"there"
        assert await line.ask("EXISTS", "late") == 0
        assert await connections(line) == 1


async def test_redis_may_come_late_and_come_back(tmp_path: Path, redis_server: RedisServer) -> None:
    async with a_line(redis_server.url) as line:
        redis_server.kill()
        with pytest.raises(Lost):
            await line.ask("PING")
        redis_server.start()
        assert await line.ask("PING") == b"PONG"

        redis_server.restart()
        await asyncio.sleep(0.05)  # what was lost is noticed without being used

        assert await line.ask("PING") == b"PONG"


async def test_what_is_under_way_when_the_connection_is_lost_has_failed(
    redis_server: RedisServer,
) -> None:
    async with a_line(redis_server.url) as line:
        await line.ask("PING")
        redis_server.pause()
        asked = [asyncio.create_task(line.ask("PING")) for _ in range(3)]
        await asyncio.sleep(0.01)

        redis_server.kill()

        told = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in told] == [Lost] * 3


async def test_a_connection_that_has_gone_silent_is_replaced_by_whoever_comes_later(
    redis_server: RedisServer, tmp_path: Path
) -> None:
    silent = Silent(str(tmp_path / "silent.sock"), redis_server)
    async with silent.serving(), a_line(f"unix://{silent.path}") as line:
        await line.ask("SET", "k", 1)
        silent.silent = True
        early = asyncio.create_task(line.ask("GET", "k"))
        await asyncio.sleep(2 * STALLED_S)
        silent.silent = False

        assert await line.ask("GET", "k") == b"1"
        with pytest.raises(Lost):
            await early


async def test_a_process_that_stood_still_takes_no_connection_for_silent(
    redis_server: RedisServer,
) -> None:
    async with a_line(redis_server.url) as line:
        await line.ask("SET", "k", 1)
        before = await connections(line)
        asked = asyncio.create_task(line.ask("GET", "k"))
        for _ in range(3):
            await asyncio.sleep(0)  # it has left
        stand_still(2 * STALLED_S)  # and the answer comes

        assert await line.ask("GET", "k") == b"1"
        assert await asked == b"1"
        assert await connections(line) == before


async def test_who_waits_when_it_is_closed_is_told(redis_server: RedisServer) -> None:
    async with a_line(redis_server.url) as line:
        await line.ask("PING")
        with redis_server.paused():
            asked = asyncio.create_task(line.ask("PING"))
            await asyncio.sleep(0.01)

            await line.close()

            with pytest.raises(Lost):
                await asked


async def test_who_has_just_asked_when_it_is_closed_is_told(redis_server: RedisServer) -> None:
    async with a_line(redis_server.url) as line:
        asked = asyncio.create_task(line.ask("PING"))
        await asyncio.sleep(0)

        await line.close()

        with pytest.raises(Lost):
            await asked


async def connections(line: Line) -> int:
    clients: bytes = await line.ask("CLIENT", "LIST")
    return len(clients.splitlines())


class Silent:
    """Stands before a Redis, and can keep connections from being told anything ever after."""

    def __init__(self, path: str, redis: RedisServer) -> None:
        self.path = path
        self.silent = False
        self._redis = redis

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_unix_server(self._connected, self.path)
        async with server:
            yield

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onwards = await asyncio.open_unix_connection(str(self._redis.socket))
        answers = asyncio.create_task(_passed_on(there, writer))
        deaf = False
        while asked := await reader.read(65_536):
            deaf = deaf or self.silent
            if not deaf:
                onwards.write(asked)
        answers.cancel()
        onwards.close()
        writer.close()


async def _passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while answer := await reader.read(65_536):
        writer.write(answer)
