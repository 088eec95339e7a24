"""An event that kills whoever takes it, among others that do not."""

import asyncio
import json
import time
from base64 import b64decode
from typing import Any

from redis.asyncio import Redis

from inferd import config
from inferd.cache.connection import client, close
from inferd.cache.redis_streams import RedisSink, RedisSource
from inferd.streaming.ends import Ends
from inferd.streaming.pipeline import Pipeline
from inferd.telemetry.streaming import StreamStatistics
from support.redis import RedisServer
from support.streams import EPOCH_S, FakePredictor, body, settings, stages

POISON = -1.0


class Died(BaseException):
    """As if the process were killed: nothing is finished, and nobody is told."""


async def answer(row: list[float]) -> float:
    if row[0] == POISON:
        raise Died
    await asyncio.sleep(0.002)
    return row[0]


async def live(redis: Redis, name: str) -> bool:
    """Answer events until there are none; return whether it lived that long."""
    source = RedisSource(
        redis,
        stream="events",
        group="g",
        consumer=name,
        block_s=0.01,
        timeout_s=5.0,
        claim_idle_s=0.05,
        clock=time.monotonic,
    )
    given: dict[str, Any] = {"remember_s": 60.0, "max_entries": 1000, "timeout_s": 5.0}
    results, letters = (RedisSink(redis, stream=each, **given) for each in ("results", "letters"))
    told = settings(source={"claim_idle_s": 0.05})
    it, _ = stages(told, FakePredictor(answer))
    pipeline = Pipeline(
        told,
        it,
        Ends(source, results, letters),
        StreamStatistics([1.0]),
        clock=time.monotonic,
        wall_clock=lambda: EPOCH_S,
    )

    async def stop_when_done() -> None:
        while True:
            await asyncio.sleep(0.02)
            pending: Any = await redis.xpending("events", "g")
            if not (pending["pending"] or await source.lag()):
                return pipeline.stop()

    died = False
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stop_when_done())
            await pipeline.run()
    except* Died:
        died = True
    return not died


async def published(redis: Redis, stream: str) -> list[Any]:
    entries: Any = await redis.xrange(stream)
    return [json.loads(fields[b"body"]) for _, fields in entries]


async def test_it_becomes_a_letter_and_takes_nothing_with_it(redis_server: RedisServer) -> None:
    redis = client(config.Redis(url=redis_server.url))
    for number in range(60):
        written = body(f"e{number}", f"u{number}", amount=POISON if number == 30 else number)
        await redis.xadd("events", {"body": written})
    await redis.xgroup_create("events", "g", "0")

    lives = 1
    async with asyncio.timeout(30):
        while not await live(redis, f"c{lives}"):
            lives += 1

    answered, letters = await published(redis, "results"), await published(redis, "letters")
    assert len(answered) == 59
    assert [(each["stage"], json.loads(b64decode(each["body"]))["id"]) for each in letters] == [
        ("deliver", "e30")
    ]
    assert lives == 6
    await close(redis)
