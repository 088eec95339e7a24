"""What holds for aggregated views wherever they are kept: in memory, Redis, SQLite, PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random

import pytest

from inferd import config
from inferd.cache.connection import client, close
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.features.aggregates.backlog import Recorded
from inferd.features.values import Status, Value
from support.aggregates import PREFIX, Opened, over, over_postgres, over_redis, over_sqlite
from support.redis import RedisServer, running_redis

STORES = ["memory", "redis", "sqlite", "postgres"]


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    """Return what opens an aggregator, and with each call another one over the same store."""
    with ExitStack() as stack:
        match request.param:
            case "memory":
                yield partial(over, MemoryBlobs(max_bytes=10_000_000, clock=lambda: 0.0))
            case "redis":
                yield partial(over_redis, stack.enter_context(running_redis(tmp_path)).url)
            case "postgres":
                server = request.getfixturevalue("postgres_server")
                yield partial(over_postgres, server, f"{tmp_path.name}:")
            case _:
                yield partial(over_sqlite, tmp_path / "features.sqlite")


async def test_events_count_for_everybody_whom_they_are_of(opened: Opened) -> None:
    async with opened() as desk:
        results = await desk.record(
            desk.payment(1, 2.5, shop="a", items=3, ago_s=30),
            desk.payment(1, 4.0, shop="a", items=9, ago_s=90),
            desk.payment(2, 1.0, shop="a"),
            desk.payment(2, 1.0),
        )
        user, nobody = await desk.read("spending", 1), await desk.read("spending", 3)
        shop = await desk.read("takings", "a")

        assert results == [Recorded.ADDED] * 4
        assert {name: each.value for name, each in user.items()} == {
            "payments_1m": 1,
            "payments_1h": 2,
            "spent_1h": 6.5,
            "most_items_1h": 9,
        }
        (source,) = {each.source for each in user.values()}
        assert source in STORES
        assert {each.event_us for each in user.values()} == {desk.us(30)}
        assert {name: each.value for name, each in shop.items()} == {
            "users_24h": 2,
            "mean_24h": 2.5,
        }
        assert nobody["payments_1h"] == Value(-1, Status.MISSING, None, "default")


async def test_an_event_that_comes_again_is_not_counted_again(opened: Opened) -> None:
    async with opened() as desk:
        event, other = desk.payment(1, 2.0), desk.payment(1, 3.0)

        assert await desk.record(event, event) == [Recorded.ADDED, Recorded.DUPLICATE]
        assert await desk.record(other, event) == [Recorded.ADDED, Recorded.DUPLICATE]

        assert await desk.value("spending", 1, "spent_1h") == 5.0


async def test_what_was_acknowledged_is_there_for_whoever_comes_after(opened: Opened) -> None:
    async with opened() as desk:
        first = desk.payment(1, 2.0)
        await desk.record(first, *(desk.payment(user, 1.0) for user in range(2, 200)))

    async with opened() as desk:
        assert await desk.record(first) == [Recorded.DUPLICATE]
        assert await desk.record(desk.payment(1, 3.0, id="new")) == [Recorded.ADDED]
        assert await desk.value("spending", 1, "spent_1h") == 5.0
        found = await desk.fetch(
            *(desk.lookup("spending", user, "payments_1h") for user in range(200))
        )
        assert [each.values[0].value for each in found] == [-1, 2, *[1] * 198]


async def test_several_aggregators_count_together_and_see_what_each_other_wrote(
    opened: Opened,
) -> None:
    random = Random(7)
    async with opened() as one, opened() as another:
        events = [one.payment(number % 3, 1.0, id=str(number)) for number in range(300)]

        async def record(number: int) -> list[Recorded]:
            # Every third event comes on both.
            desks = (one, another) if number % 3 == 0 else (random.choice((one, another)),)
            await asyncio.sleep(random.random() / 100)
            return [each for desk in desks for each in await desk.record(events[number])]

        results = await asyncio.gather(*map(record, range(300)))

        assert {each.count(Recorded.ADDED) for each in results} == {1}
        for desk in (one, another):
            for user in range(3):
                assert await desk.value("spending", user, "spent_1h") == 100


async def test_windows_end_whether_anything_is_written_or_not(opened: Opened) -> None:
    async with opened() as desk:
        await desk.record(desk.payment(1, 2.0, items=3, ago_s=0))
        event_us = desk.us(0)

        desk.wall_clock.now_s += 60
        assert await desk.value("spending", 1, "payments_1m") == 0
        assert await desk.value("spending", 1, "payments_1h") == 1

        desk.wall_clock.now_s += 3600
        values = await desk.read("spending", 1)
        assert values["payments_1h"] == Value(0, Status.PRESENT, event_us, values["payments_1m"][3])
        assert values["spent_1h"].value == 0.0
        assert values["most_items_1h"] == Value(7, Status.MISSING, None, "default")


async def test_an_event_that_is_in_no_window_is_too_old(opened: Opened) -> None:
    async with opened() as desk:
        late, later = desk.payment(1, ago_s=3000), desk.payment(1, ago_s=4000)
        in_one_view = desk.payment(1, shop="a", ago_s=4000)

        assert await desk.record(late, later) == [Recorded.ADDED, Recorded.TOO_OLD]
        assert await desk.record(in_one_view) == [Recorded.ADDED]

        assert await desk.value("spending", 1, "payments_1h") == 1
        assert await desk.value("takings", "a", "users_24h") == 1


async def test_nobody_who_asks_about_the_past_is_told_of_the_future(opened: Opened) -> None:
    async with opened() as desk:
        await desk.record(desk.payment(1, 2.0, ago_s=0))
        event_us = desk.us(0)
        desk.wall_clock.now_s += 100

        assert await desk.value("spending", 1, "payments_1m") == 0
        then = await desk.read("spending", 1, "payments_1m", as_of_ago_s=50)
        before = await desk.read("spending", 1, "payments_1h", as_of_ago_s=101)

        assert then["payments_1m"][:3] == (1, Status.PRESENT, event_us)
        assert before["payments_1h"] == Value(-1, Status.NEWER_ONLY, event_us, "default")


async def test_nothing_to_record_or_read_is_no_error(opened: Opened) -> None:
    async with opened() as desk:
        assert await desk.record() == []
        assert await desk.fetch() == []


async def test_bytes_in_redis_that_are_no_state_make_room_for_the_next_event(
    redis_server: RedisServer,
) -> None:
    async with over_redis(redis_server.url) as desk, over_redis(redis_server.url) as another:
        await desk.record(desk.payment(1))
        connected = client(config.Redis(url=redis_server.url))
        await connected.set(f"{PREFIX}spending:1:1", b"nonsense")
        await close(connected)

        values = await another.read("spending", 1, "payments_1h")
        assert values["payments_1h"][:2] == (-1, Status.MISSING)
        assert another.aggregator.states.corrupt == {"spending": 1}
        assert await another.record(another.payment(1, id="new")) == [Recorded.ADDED]
        assert await another.value("spending", 1, "payments_1h") == 1
