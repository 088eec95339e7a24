"""Features in a real Redis: how often it is asked, what it may hold, and when it is gone."""

import asyncio
import json
import time

import msgspec
import pytest
from redis.asyncio import Redis

from inferd import config
from inferd.cache.blobs import HEAD, LATEST_STAMP, STAMPED, Written
from inferd.cache.connection import client, close
from inferd.config.resilience import Breaker, Hedge
from inferd.features.aggregates.backlog import Recorded
from inferd.features.store import READS
from inferd.features.values import Status
from support.aggregates import over_redis
from support.feature_stores import AMPLE_S, PREFIX, in_redis
from support.redis import RedisServer

KEY = f"{PREFIX}profile:1:1"
UNHEDGED = Hedge(enabled=False)


def plain(redis: RedisServer) -> Redis:
    return client(config.Redis(url=redis.url))


async def commands(redis: RedisServer) -> dict[str, int]:
    """Return how often Redis was told each command."""
    connected = plain(redis)
    statistics = await connected.info("commandstats")
    await close(connected)
    return {name.removeprefix("cmdstat_"): it["calls"] for name, it in statistics.items()}


async def test_a_batch_of_entities_is_one_command(redis_server: RedisServer) -> None:
    async with in_redis(redis_server, hedge=UNHEDGED) as store:
        await store.set_all(*(store.write("profile", id, 1, age=id) for id in range(200)))
        found = await store.get(*(store.lookup("profile", id, "age") for id in range(200)))

        assert [each.values[0].value for each in found] == [*range(200)]
        told = await commands(redis_server)
        assert told["mget"] == 1
        assert "get" not in told


async def test_reads_of_one_turn_are_one_command(redis_server: RedisServer) -> None:
    async with in_redis(redis_server, hedge=UNHEDGED) as store:
        await store.set_all(*(store.write("profile", id, 1, age=id) for id in range(50)))
        answers = await asyncio.gather(*(store.read("profile", id, "age") for id in range(50)))

        assert [each["age"].value for each in answers] == [*range(50)]
        assert (await commands(redis_server))["mget"] == 1


async def test_a_batch_is_written_by_one_script_that_redis_already_knows(
    redis_server: RedisServer,
) -> None:
    async with in_redis(redis_server) as store:
        await store.set("profile", 1, age=1)
        before = (await commands(redis_server))["evalsha"]
        await store.set_all(*(store.write("profile", id, 1, age=id) for id in range(2, 102)))

        assert (await commands(redis_server))["evalsha"] == before + 1


async def test_what_redis_holds_is_one_msgpack_blob_per_entity_and_view(
    redis_server: RedisServer,
) -> None:
    async with in_redis(redis_server) as store:
        await store.set("profile", 1, ago_s=5, age=7, taste=[0.5, 1])
        connected = plain(redis_server)
        blob = await connected.get(KEY)
        await close(connected)

        assert isinstance(blob, bytes)
        assert msgspec.msgpack.decode(blob) == [store.us(5), {"age": 7, "taste": [0.5, 1.0]}]


async def test_redis_forgets_what_has_expired(redis_server: RedisServer) -> None:
    async with in_redis(redis_server) as store:
        await store.set("activity", 1, ago_s=590, clicks=1)
        await store.set("profile", 1, age=1)
        connected = plain(redis_server)

        # Ten seconds, and ten minutes in which it can be told from what never was.
        assert 600_000 < await connected.pttl(f"{PREFIX}activity:1:1") <= 611_000
        assert await connected.pttl(KEY) == -1
        await close(connected)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"x",
        b"nonsense that is long",
        b"\x92\xcf",
        b"\x92\xcf" + b"\xff" * 8 + b"\x80",
        b"\x92\xcf\x00\x00\x00\x00\x00\x00\x00\x01\x81",
        json.dumps([1, {"age": 7}]).encode(),
    ],
)
async def test_a_corrupt_blob_is_missing_and_counted_and_overwritten(
    redis_server: RedisServer, blob: bytes
) -> None:
    async with in_redis(redis_server) as store:
        connected = plain(redis_server)
        await connected.set(KEY, blob)
        await close(connected)
        await store.set("profile", 2, age=2)

        broken, sound = await store.get(
            store.lookup("profile", 1, "age"), store.lookup("profile", 2, "age")
        )

        assert broken.values[0][:2] == (30, Status.MISSING)
        assert sound.values[0].value == 2
        assert store.features.corrupt == {"profile": 1}
        assert await store.set("profile", 1, age=7) is Written.STORED
        assert (await store.read("profile", 1))["age"].value == 7


async def test_a_key_of_another_type_is_missing_and_overwritten(redis_server: RedisServer) -> None:
    async with in_redis(redis_server) as store:
        connected = plain(redis_server)
        await connected.rpush(KEY, "a")
        await close(connected)

        assert (await store.read("profile", 1))["age"].status is Status.MISSING
        assert await store.set("profile", 1, age=7) is Written.STORED
        assert (await store.read("profile", 1))["age"].value == 7


@pytest.mark.parametrize("stamp", [LATEST_STAMP, 2**64 - 1])
async def test_a_state_with_a_stamp_that_cannot_be_is_begun_anew(
    redis_server: RedisServer, stamp: int
) -> None:
    key = f"{PREFIX}spending:1:1"
    async with over_redis(redis_server.url) as desk:
        await desk.record(desk.payment(1, id="lost"))
        connected = plain(redis_server)
        blob = await connected.get(key)
        assert isinstance(blob, bytes)
        await connected.set(key, HEAD + stamp.to_bytes(8) + blob[STAMPED:])
        await close(connected)
    async with over_redis(redis_server.url) as desk:
        assert await desk.value("spending", 1, "payments_1h") == -1
        assert await desk.record(desk.payment(1), desk.payment(2)) == [Recorded.ADDED] * 2
        assert await desk.value("spending", 1, "payments_1h") == 1
        assert desk.aggregator.states.corrupt["spending"] > 0


async def test_two_servers_that_write_at_once_agree_on_the_newest(
    redis_server: RedisServer,
) -> None:
    async with in_redis(redis_server) as one, in_redis(redis_server) as other:
        other.wall_clock.now_s = one.wall_clock.now_s
        await asyncio.gather(
            *(
                each.set("profile", 1, ago_s=1 + (7 * n) % 50, age=(7 * n) % 50)
                for n, each in enumerate([one, other] * 25)
            )
        )

        assert (await one.read("profile", 1))["age"].value == 0
        assert (await other.read("profile", 1))["age"].value == 0


async def test_a_redis_that_was_started_anew_is_told_the_script_again(
    redis_server: RedisServer,
) -> None:
    async with in_redis(redis_server) as store:
        await store.set("profile", 1, age=1)
        redis_server.restart()
        await asyncio.sleep(0.01)

        assert (await store.read("profile", 1))["age"].status is not Status.PRESENT
        assert await store.set("profile", 1, age=2) is Written.STORED
        assert (await store.read("profile", 1))["age"].value == 2


async def test_a_redis_that_hangs_costs_values_within_the_budget_and_is_asked_again_when_it_returns(
    redis_server: RedisServer,
) -> None:
    breaker = Breaker(open_s=0.1, open_max_s=0.2)
    async with in_redis(redis_server, timeout_ms=1000, breaker=breaker) as store:
        await store.set("profile", 1, age=7)
        with redis_server.paused():
            for _ in range(30):
                (found,) = await store.get(store.lookup("profile", 1, "age"), within_s=0.02)
                assert found.values[0][:2] == (30, Status.TIMED_OUT)

        ends = time.monotonic() + AMPLE_S
        while (await store.read("profile", 1))["age"].status is not Status.PRESENT:
            assert time.monotonic() < ends
            await asyncio.sleep(0.01)

        assert store.toolbox.dependencies[READS].limit.in_flight == 0


async def test_more_hang_at_once_than_there_are_connections_and_none_is_lost(
    redis_server: RedisServer,
) -> None:
    off = Breaker(mode="off")
    async with in_redis(redis_server, hedge=UNHEDGED, breaker=off) as store:
        await store.set("profile", 1, age=7)
        lookup = store.lookup("profile", 1, "age")
        with redis_server.paused():
            for _ in range(20):
                await asyncio.gather(store.get(lookup, within_s=0.005), return_exceptions=True)

        assert (await store.read("profile", 1))["age"].value == 7
