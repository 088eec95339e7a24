"""A stream in Redis when consumers die, take long, or cannot reach it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from inferd import config
from inferd.cache.connection import client, close
from inferd.cache.redis_streams import RedisSink, RedisSource
from inferd.cache.streams import Delivery, Record
from inferd.errors import DependencyFailed
from support.redis import RedisServer

Consumer = Callable[..., RedisSource]


@asynccontextmanager
async def consumers(server: RedisServer, **said: Any) -> AsyncIterator[tuple[Redis, Consumer]]:
    connected = client(config.Redis(url=server.url))

    def consumer(name: str, **more: Any) -> RedisSource:
        given = {"block_s": 0.02, "timeout_s": 5.0, "claim_idle_s": 0.2, **said, **more}
        return RedisSource(
            connected, stream="events", group="g", consumer=name, clock=time.monotonic, **given
        )

    yield connected, consumer
    await close(connected)


async def write(redis: Redis, count: int, first: int = 0) -> None:
    for number in range(first, first + count):
        await redis.xadd("events", {"body": b"%d" % number})


async def until(source: RedisSource, count: int) -> list[Delivery]:
    found: list[Delivery] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += await source.read(100)
    return found


async def test_what_a_dead_consumer_had_is_taken_over_with_its_count(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server) as (redis, consumer):
        await write(redis, 250)
        dead = await until(consumer("dead"), 250)

        alive = consumer("alive")
        claimed = await until(alive, 250)

        assert sorted(claimed) == sorted(each._replace(delivered=2) for each in dead)
        await alive.ack([each.position for each in claimed])
        assert (await redis.xpending("events", "g"))["pending"] == 0


async def test_who_is_slow_and_says_so_keeps_what_it_has(redis_server: RedisServer) -> None:
    async with consumers(redis_server) as (redis, consumer):
        await write(redis, 10)
        slow, other = consumer("slow"), consumer("other")
        assert len(await until(slow, 10)) == 10

        ends = time.monotonic() + 0.8
        while time.monotonic() < ends:
            await slow.keep()  # and reads nothing: it has no room
            assert await other.read(10) == []


async def test_what_came_twice_comes_alone_the_third_time(redis_server: RedisServer) -> None:
    async with consumers(redis_server, claim_idle_s=0.05) as (redis, consumer):
        await write(redis, 5)
        await until(consumer("first"), 5)
        await asyncio.sleep(0.1)
        assert [each.delivered for each in await consumer("second").read(10)] == [2] * 5
        await asyncio.sleep(0.1)

        third = consumer("third", claim_idle_s=0.05)
        found = [await third.read(10) for _ in range(5)]

        assert [[(each.body, each.delivered) for each in part] for part in found] == [
            [(b"%d" % number, 3)] for number in range(5)
        ]


async def test_a_consumer_that_died_is_forgotten_when_nothing_is_left_of_it(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server, claim_idle_s=0.05) as (redis, consumer):
        await write(redis, 3)
        for number in range(20):
            await consumer(f"dead{number}").read(1)

        alive = consumer("alive")
        found = await until(alive, 3)
        await alive.ack([each.position for each in found])

        async with asyncio.timeout(20):
            while len(await redis.xinfo_consumers("events", "g")) > 1:
                assert await alive.read(10) == []


async def test_a_hundred_thousand_that_a_dead_one_left_are_taken_over(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server, claim_idle_s=0.001) as (redis, consumer):
        pipe = redis.pipeline(transaction=False)
        for number in range(100_000):
            pipe.xadd("events", {"body": b"%d" % number})
        await pipe.execute()
        await redis.xgroup_create("events", "g", "0")
        await redis.xreadgroup("g", "dead", {"events": ">"}, count=100_000)
        await asyncio.sleep(0.01)

        alive, bodies = consumer("alive"), set[bytes]()
        async with asyncio.timeout(60):
            while len(bodies) < 100_000:
                found = await alive.read(1000)
                bodies.update(each.body for each in found)
                if found:
                    await alive.ack([each.position for each in found])


async def test_consumers_of_one_group_share_the_events(redis_server: RedisServer) -> None:
    async with consumers(redis_server) as (redis, consumer):
        one, other = consumer("one"), consumer("other")
        await write(redis, 20)

        found = [each for _ in range(10) for it in (one, other) for each in await it.read(1)]

        assert sorted(int(each.body) for each in found) == [*range(20)]


async def test_who_leaves_with_nothing_in_hand_leaves_the_group(redis_server: RedisServer) -> None:
    async with consumers(redis_server) as (redis, consumer):
        await write(redis, 2)
        done, undone = consumer("done"), consumer("undone")
        (one,) = await done.read(1)
        await undone.read(1)
        await done.ack([one.position])

        await done.close()
        await undone.close()

        names = [each["name"] for each in await redis.xinfo_consumers("events", "g")]
        assert names == [b"undone"]


async def test_the_lag_is_what_nobody_has_had(redis_server: RedisServer) -> None:
    async with consumers(redis_server) as (redis, consumer):
        await write(redis, 10)
        source = consumer("c")
        await source.read(4)

        assert await source.lag() == 6


@pytest.mark.parametrize("fields", [{"other": b"x"}, {"body": b"\x00\xff"}])
async def test_an_entry_may_be_anything(redis_server: RedisServer, fields: Any) -> None:
    async with consumers(redis_server) as (redis, consumer):
        await redis.xadd("events", fields)

        (found,) = await consumer("c").read(10)

        assert found.body == fields.get("body", b"")


async def test_what_was_trimmed_while_somebody_had_it_harms_nobody(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server) as (redis, consumer):
        await write(redis, 3)
        await until(consumer("dead"), 3)
        await redis.xtrim("events", maxlen=1, approximate=False)
        await write(redis, 1, first=3)

        alive = consumer("alive", claim_idle_s=0.001)
        found = await until(alive, 2)

        assert sorted(each.body for each in found if each.body) == [b"2", b"3"]


async def test_a_redis_that_does_not_answer_is_a_failure_and_nothing_is_lost_when_it_returns(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server, timeout_s=0.1, claim_idle_s=60.0) as (redis, consumer):
        source = consumer("c")
        assert await source.read(10) == []
        await write(redis, 5)
        held = await source.read(2)
        with redis_server.paused():
            for _ in range(3):  # whose commands it will carry out all the same
                with pytest.raises(DependencyFailed, match="in time"):
                    await source.read(2)

        found = await until(source, 3)

        assert sorted(int(each.body) for each in [*held, *found]) == [*range(5)]


async def test_a_redis_that_is_gone_is_a_failure_until_it_is_there_again(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server) as (redis, consumer):
        source = consumer("c")
        redis_server.kill()
        for _ in range(3):
            with pytest.raises(DependencyFailed, match="Redis failed"):
                await source.read(1)

        redis_server.start()
        await write(redis, 1)

        assert [each.body for each in await until(source, 1)] == [b"0"]


async def test_a_redis_that_has_forgotten_everything_gets_its_group_again(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server) as (redis, consumer):
        source = consumer("c")
        await write(redis, 1)
        await until(source, 1)

        redis_server.restart()
        await redis.connection_pool.disconnect()
        await write(redis, 3, first=7)
        while True:
            try:
                found = await until(source, 3)
                break
            except DependencyFailed:
                continue

        assert [each.body for each in found] == [b"7", b"8", b"9"]


async def test_a_key_is_forgotten_after_a_while(redis_server: RedisServer) -> None:
    async with consumers(redis_server) as (redis, _):
        sink = RedisSink(redis, stream="r", remember_s=0.05, max_entries=10, timeout_s=5.0)
        assert await sink.publish([Record("a", b"1")]) == [True]
        assert await sink.publish([Record("a", b"2")]) == [False]
        await asyncio.sleep(0.1)

        assert await sink.publish([Record("a", b"3")]) == [True]


async def test_a_sink_keeps_roughly_so_many(redis_server: RedisServer) -> None:
    async with consumers(redis_server) as (redis, _):
        sink = RedisSink(redis, stream="r", remember_s=60, max_entries=100, timeout_s=5.0)
        for begin in range(0, 2000, 100):
            await sink.publish([Record(str(n), b"x") for n in range(begin, begin + 100)])

        assert 100 <= await redis.xlen("r") < 400


async def test_a_redis_without_memory_takes_nothing_and_forgets_nothing(
    redis_server: RedisServer,
) -> None:
    async with consumers(redis_server) as (redis, _):
        sink = RedisSink(redis, stream="r", remember_s=60, max_entries=10, timeout_s=5.0)
        assert await sink.publish([Record("a", b"1")]) == [True]
        await redis.config_set("maxmemory", "1")

        with pytest.raises(DependencyFailed):
            await sink.publish([Record("b", b"1")])

        await redis.config_set("maxmemory", "0")
        assert await sink.publish([Record("a", b"1"), Record("b", b"1")]) == [False, True]
