"""Redis tells one process what another writes: at once, again after it was gone, and not late."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from inferd import config
from inferd.cache.connection import client, close
from inferd.cache.tracking import Tracking
from inferd.config.faults import Faults, Proxy, fault
from inferd.resilience.faults import proxy
from inferd.resilience.faults.points import FaultPoints
from inferd.telemetry.caches import TrackingMetrics
from support.caches import until
from support.redis import RedisServer

PING_S = 0.05


class Heard:
    """What was told, in order; `None` for a flush."""

    def __init__(self) -> None:
        self.news: list[str | None] = []

    def keys(self, keys: Sequence[str]) -> None:
        self.news += keys

    def flush(self) -> None:
        self.news.append(None)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    it = client(config.Redis(url=url))
    try:
        yield it
    finally:
        await close(it)


@asynccontextmanager
async def tracking(
    url: str, heard: Heard, *prefixes: str, ping_s: float = PING_S
) -> AsyncIterator[Tracking]:
    async with connected(url) as it:
        told = dict.fromkeys(prefixes or ("feat:",), heard.keys)
        listening = Tracking(it, told, on_flush=heard.flush, ping_s=ping_s)
        listening.start()
        try:
            yield listening
        finally:
            await listening.close()


async def test_what_somebody_writes_is_told_by_key_and_other_prefixes_are_not(
    redis_server: RedisServer,
) -> None:
    heard = Heard()
    async with (
        tracking(redis_server.url, heard, "feat:", "agg:") as it,
        connected(redis_server.url) as writer,
    ):
        await until(lambda: it.live)
        assert heard.news == [None]

        keys = [b"feat:a", b"other", "feat:ü".encode(), b"feat:\xff"]
        await writer.mset(dict.fromkeys(keys, 1))
        await writer.set("agg:c", 1, px=20)
        await writer.delete("feat:a")
        await until(lambda: len(heard.news) >= 7)

        assert sorted(heard.news[1:4], key=str) == ["a", "ü", "\ufffd"]
        assert heard.news[4:] == ["c", "a", "c"]  # and when it expires
        assert it.keys == 6


async def test_a_flush_may_have_changed_everything(redis_server: RedisServer) -> None:
    heard = Heard()
    async with (
        tracking(redis_server.url, heard) as it,
        connected(redis_server.url) as writer,
    ):
        await until(lambda: it.live)
        await writer.set("feat:a", 1)
        await writer.flushall()

        await until(lambda: len(heard.news) == 3)
        assert heard.news == [None, "a", None]


async def test_silence_is_no_loss(redis_server: RedisServer) -> None:
    heard = Heard()
    async with tracking(redis_server.url, heard, ping_s=0.1) as it:
        await until(lambda: it.live)
        await asyncio.sleep(0.5)

        assert it.live
        assert it.losses == 0
        assert heard.news == [None]


async def test_when_redis_was_killed_all_is_forgotten_and_news_come_again_once_it_is_back(
    redis_server: RedisServer,
) -> None:
    heard = Heard()
    async with tracking(redis_server.url, heard) as it:
        await until(lambda: it.live)

        redis_server.kill()
        await until(lambda: not it.live)
        assert heard.news == [None, None]
        redis_server.start()
        await until(lambda: it.live)
        async with connected(redis_server.url) as writer:
            await writer.set("feat:b", 1)
        await until(lambda: len(heard.news) == 4)

        assert heard.news == [None, None, None, "b"]
        assert it.losses == 1


async def test_it_waits_for_a_redis_that_is_not_there_yet(redis_server: RedisServer) -> None:
    redis_server.kill()
    heard = Heard()
    async with tracking(redis_server.url, heard) as it:
        await asyncio.sleep(0.05)
        assert not it.live
        assert heard.news == []

        redis_server.start()
        await until(lambda: it.live)


async def test_a_connection_through_which_nothing_comes_any_more_is_noticed_and_replaced(
    redis_server: RedisServer,
) -> None:
    points = FaultPoints(Faults(enabled=True), time.monotonic)
    between = proxy.Proxy(
        "redis",
        Proxy(listen="127.0.0.1:0", upstream=f"unix:{redis_server.socket}"),
        points,
        clock=time.monotonic,
        random=random.random,
    )
    heard = Heard()
    async with between.running(), tracking(f"redis://{between.address}", heard) as it:
        await until(lambda: it.live)

        points.inject("proxy.redis", fault({"kind": "timeout", "timeout_ms": 0}))
        await until(lambda: not it.live)
        async with connected(redis_server.url) as writer:
            await writer.set("feat:unheard", 1)
        points.clear()
        await until(lambda: it.live)

        assert heard.news == [None, None, None]


async def test_a_redis_that_stops_and_goes_on_is_noticed_too(redis_server: RedisServer) -> None:
    heard = Heard()
    async with tracking(redis_server.url, heard) as it:
        await until(lambda: it.live)

        with redis_server.paused():
            await until(lambda: not it.live)
        await until(lambda: it.live)

        assert it.losses >= 1


async def test_nothing_is_left_when_it_is_closed(redis_server: RedisServer) -> None:
    heard = Heard()
    async with tracking(redis_server.url, heard) as it:
        await until(lambda: it.live)
    assert not it.live
    async with connected(redis_server.url) as asking:
        assert len(await asking.client_list()) == 1


async def test_a_redis_that_refuses_is_complained_of_once_and_asked_again(
    redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    heard = Heard()
    async with connected(redis_server.url) as admin:
        await admin.acl_setuser("default", enabled=True, nopass=True, commands=["-client"])
        async with tracking(redis_server.url, heard) as it:
            await asyncio.sleep(0.4)
            assert not it.live
            (complaint,) = [each for each in caplog.records if each.levelname == "WARNING"]
            assert "permissions" in complaint.message

            await admin.acl_setuser("default", enabled=True, nopass=True, commands=["+client"])
            await until(lambda: it.live)

        samples = {
            sample.name: sample.value
            for family in TrackingMetrics(it).collect()
            for sample in family.samples
        }
    assert samples == {
        "inferd_cache_tracking_live": 0.0,
        "inferd_cache_tracking_losses_total": 0,
        "inferd_cache_tracking_keys_total": 0,
    }
