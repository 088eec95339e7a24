"""What holds for features wherever they are kept: in memory, Redis, SQLite, PostgreSQL."""

import asyncio
import itertools
import math
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from inferd.cache.blobs import Written
from inferd.errors import InvalidRequest
from inferd.features.values import Status, Value
from support.feature_stores import (
    MAX_BYTES,
    Opened,
    in_memory,
    in_postgres,
    in_redis,
    in_sqlite,
)
from support.redis import running_redis

STORES = ["memory", "redis", "sqlite", "postgres"]
FULL = {
    "age": -7,
    "country": "Åland",
    "income": 1e300,
    "premium": False,
    "token": b"\x00\xff",
    "taste": (0.25, -1.0),
}


@pytest.fixture(params=STORES)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opened]:
    with ExitStack() as stack:
        opens: dict[str, Opened] = {
            "memory": in_memory,
            "redis": lambda: in_redis(stack.enter_context(running_redis(tmp_path))),
            "sqlite": partial(in_sqlite, tmp_path / "features.sqlite"),
            "postgres": lambda: in_postgres(
                request.getfixturevalue("postgres_server"), f"{tmp_path.name}:"
            ),
        }
        yield opens[request.param]


async def test_every_type_comes_back_as_it_was_written(opened: Opened) -> None:
    async with opened() as store:
        assert await store.set_all(store.write("profile", 1, 1, **FULL)) == [Written.STORED]
        values = await store.read("profile", 1)

        assert {name: each.value for name, each in values.items()} == FULL
        assert {type(each.value) for each in values.values()} == {*map(type, FULL.values())}
        assert {each.status for each in values.values()} == {Status.PRESENT}
        (source,) = {each.source for each in values.values()}
        assert source in STORES


async def test_null_and_left_out_are_told_apart_and_from_an_entity_nobody_knows(
    opened: Opened,
) -> None:
    async with opened() as store:
        await store.set("profile", 1, age=None, country=None)
        values, nobody = await store.read("profile", 1), await store.read("profile", 2)

        assert values["age"][:2] == (None, Status.NULL)
        assert values["country"][:2] == (None, Status.NULL)
        assert values["income"] == Value(0.5, Status.MISSING, None, "default")
        assert values["premium"] == Value(None, Status.MISSING, None, "")
        assert nobody["age"] == Value(30, Status.MISSING, None, "default")


async def test_an_older_event_never_overwrites_a_newer_one(opened: Opened) -> None:
    async with opened() as store:
        newer = store.write("profile", 1, 10, age=2)
        same, older = newer._replace(values={"age": 3}), store.write("profile", 1, 20, age=1)
        latest = store.write("profile", 1, 5, age=4)

        results = [(await store.set_all(each))[0] for each in (newer, older, same, latest)]

        assert results == [Written.STORED, Written.OLDER, Written.SAME, Written.STORED]
        assert (await store.read("profile", 1))["age"].value == 4


async def test_within_one_batch_the_newest_event_stays_too(opened: Opened) -> None:
    async with opened() as store:
        for entity, agos in enumerate(itertools.permutations([30, 20, 10])):
            await store.set_all(*(store.write("profile", entity, ago, age=ago) for ago in agos))
            assert (await store.read("profile", entity))["age"].value == 10


async def test_a_batch_that_is_written_twice_changes_nothing(opened: Opened) -> None:
    async with opened() as store:
        batch = [store.write("profile", entity, entity + 1, age=entity) for entity in range(150)]
        lookups = [store.lookup("profile", entity) for entity in range(150)]

        assert set(await store.set_all(*batch)) == {Written.STORED}
        before = [each.values for each in await store.get(*lookups)]
        assert set(await store.set_all(*batch)) == {Written.SAME}

        assert [each.values for each in await store.get(*lookups)] == before


async def test_many_are_read_at_once_whether_they_are_there_or_not(opened: Opened) -> None:
    async with opened() as store:
        await store.set_all(*(store.write("profile", id, 1, age=id) for id in range(0, 1200, 2)))
        await store.set("stock", "7", price=9.5)

        found = await store.get(
            store.lookup("stock", "7", "price"),
            *(store.lookup("profile", id, "age") for id in range(1200)),
            store.lookup("profile", 2, "country", "age"),
        )

        assert found[0].values[0].value == 9.5
        assert [each.values[0].value for each in found[1:-1]] == [
            30 if id % 2 else id for id in range(1200)
        ]
        assert [each.value for each in found[-1].values] == [None, 2]


async def test_who_asks_at_the_same_time_gets_their_own_and_who_leaves_harms_nobody(
    opened: Opened,
) -> None:
    async with opened() as store:
        await store.set_all(*(store.write("profile", id, 1, age=id) for id in range(50)))
        reads = [asyncio.ensure_future(store.read("profile", id, "age")) for id in [*range(50)] * 2]
        await asyncio.sleep(0)
        for each in reads[::3]:
            each.cancel()
        answers = await asyncio.gather(*reads, return_exceptions=True)

        for number, answer in enumerate(answers):
            if isinstance(answer, asyncio.CancelledError):
                assert number % 3 == 0
            else:
                assert isinstance(answer, dict)
                assert answer["age"].value == number % 50


async def test_a_value_is_as_old_as_its_event_however_often_it_is_read(opened: Opened) -> None:
    """Defect 9 of the design documents: the time of the answer, which hides how old it is."""
    async with opened() as store:
        await store.set("profile", 1, ago_s=100, age=5)
        event_us = store.us(100)

        for _ in range(2):
            store.wall_clock.now_s += 900
            lookup = store.lookup("profile", 1, "age")
            (found,) = await store.get(lookup)
            assert found.event_us == event_us
            assert found.values[0].event_us == event_us

        assert store.features.statistics.ages["profile"].sum == pytest.approx(1000 + 1900)


async def test_a_row_expires_by_the_time_of_its_event(opened: Opened) -> None:
    async with opened() as store:
        await store.set("activity", 1, ago_s=1, clicks=5)
        event_us = store.us(1)

        store.wall_clock.now_s += 599.5

        assert (await store.read("activity", 1))["clicks"] == Value(
            0, Status.EXPIRED, event_us, "default"
        )


async def test_a_row_without_a_time_to_live_stays(opened: Opened) -> None:
    async with opened() as store:
        await store.set("profile", 1, age=5)

        store.wall_clock.now_s += 1e9

        assert (await store.read("profile", 1))["age"].status is Status.PRESENT


async def test_what_is_too_old_is_not_given(opened: Opened) -> None:
    async with opened() as store:
        await store.set("activity", 1, ago_s=59, clicks=5)
        assert (await store.read("activity", 1))["clicks"].status is Status.PRESENT

        store.wall_clock.now_s += 2

        value = (await store.read("activity", 1))["clicks"]
        assert value[:2] == (0, Status.OUTSIDE_MAX_AGE)
        assert value.event_us == store.us(61)


async def test_nobody_who_asks_about_the_past_is_told_of_the_future(opened: Opened) -> None:
    async with opened() as store:
        await store.set("profile", 1, ago_s=10, age=5)

        then = await store.read("profile", 1, "age", as_of_ago_s=9)
        before = await store.read("profile", 1, "age", as_of_ago_s=11)

        assert then["age"][:2] == (5, Status.PRESENT)
        assert before["age"] == Value(30, Status.NEWER_ONLY, store.us(10), "default")


async def test_not_a_number_is_kept_where_it_is_allowed(opened: Opened) -> None:
    async with opened() as store:
        await store.set("stock", "a", price=1, ratio=math.nan)
        values = await store.read("stock", "a")

        assert values["price"].value == 1.0
        assert isinstance(values["price"].value, float)
        assert math.isnan(values["ratio"].value)  # type: ignore[arg-type]


async def test_ids_may_be_any_text(opened: Opened) -> None:
    ids = ["a:b", "ü", "x" * 512, "'; DROP TABLE blobs", "\x00", '"', "%s", "1", "01"]
    async with opened() as store:
        await store.set_all(*(store.write("stock", id, 1, price=n) for n, id in enumerate(ids)))

        found = await store.get(*(store.lookup("stock", id, "price") for id in ids))

        assert [each.values[0].value for each in found] == [*range(len(ids))]


async def test_a_row_that_is_too_large_is_refused_by_the_name_of_what_is_large(
    opened: Opened,
) -> None:
    async with opened() as store:
        with pytest.raises(InvalidRequest, match="country is the largest") as refused:
            await store.set("profile", 1, age=1, country="x" * MAX_BYTES)

        assert refused.value.violations[0].field == "values.country"
        assert (await store.read("profile", 1))["age"].status is Status.MISSING


async def test_nothing_to_read_or_write_is_no_error(opened: Opened) -> None:
    async with opened() as store:
        assert await store.get() == []
        assert await store.set_all() == []
