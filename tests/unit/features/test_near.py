"""Rows kept close at hand, in virtual time: when they are, when they are not, and who is told."""

import asyncio
from collections.abc import Sequence
from random import Random

import pytest

from inferd.cache.local import Local
from inferd.call import Call
from inferd.deadline import NEVER, Deadline
from inferd.errors import DependencyFailed
from inferd.features.definitions import Definitions, Key
from inferd.features.near import NOTHING_FOR_S, NearRows
from inferd.features.rows import Row

CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)
TTL_S = 100.0
VIEW = Definitions.read(
    {
        "entities": [{"name": "user"}],
        "views": [
            {"name": "profile", "entity": "user", "features": [{"name": "age", "type": "int64"}]}
        ],
    }
).views["profile"]


class Store:
    """Holds ages by user, with rows kept before it, and notes who was asked for."""

    def __init__(self, *, max_entries: int = 100) -> None:
        self.word_comes = True
        self.near = NearRows(
            Local(max_entries=max_entries),
            ttl_s=TTL_S,
            jitter=0.1,
            clock=asyncio.get_running_loop().time,
            random=Random(1),
            live=lambda: self.word_comes,
        )
        self.ages: dict[str, int] = {}
        self.asked: list[str] = []
        self.slow_s = 0.0
        self.down = False
        self._read_near = self.near.through(self._read)

    async def age(self, *users: str) -> list[tuple[int, str] | None]:
        rows = await self._read_near(CALL, NEVER, [Key(VIEW, user) for user in users])
        return [None if row is None else (row.event_us, row.source) for row in rows]

    async def _read(self, _: Call, __: Deadline, keys: Sequence[Key]) -> list[Row | None]:
        users = [str(key.entity_id) for key in keys]
        self.asked += users
        ages = [self.ages.get(user) for user in users]
        if self.slow_s:
            await asyncio.sleep(self.slow_s)
        if self.down:
            raise DependencyFailed("down")
        return [None if age is None else Row(age, (age,), "redis") for age in ages]


def name(user: str) -> str:
    return f"{VIEW.prefix}{user}"


async def test_only_what_is_not_at_hand_is_asked_of_the_store() -> None:
    store = Store()
    store.ages = {"ann": 1, "bob": 2}
    assert await store.age("ann") == [(1, "redis")]
    assert await store.age("bob", "ann") == [(2, "redis"), (1, "l1_cache")]
    assert store.asked == ["ann", "bob"]


async def test_a_row_is_kept_for_its_time_and_no_longer() -> None:
    store = Store()
    store.ages = {"ann": 1}
    await store.age("ann")
    await asyncio.sleep(TTL_S * 0.89)
    assert await store.age("ann") == [(1, "l1_cache")]
    await asyncio.sleep(TTL_S * 0.22)
    assert await store.age("ann") == [(1, "redis")]


async def test_that_there_is_nothing_is_known_for_a_moment() -> None:
    store = Store()
    assert await store.age("ann") == await store.age("ann") == [None]
    assert store.asked == ["ann"]
    store.ages = {"ann": 1}
    await asyncio.sleep(NOTHING_FOR_S)
    assert await store.age("ann") == [(1, "redis")]


async def test_what_has_changed_is_asked_for_again() -> None:
    store = Store()
    store.ages = {"ann": 1, "bob": 2}
    await store.age("ann", "bob")
    store.ages = {"ann": 11, "bob": 12}
    store.near.forget([name("ann")])
    assert await store.age("ann", "bob") == [(11, "redis"), (2, "l1_cache")]
    store.near.forget_all()
    assert await store.age("ann", "bob") == [(11, "redis"), (12, "redis")]


@pytest.mark.parametrize("everything", [False, True])
async def test_a_row_that_changes_while_it_is_read_is_not_kept(everything: bool) -> None:
    store = Store()
    store.ages, store.slow_s = {"ann": 1}, 1.0
    reading = asyncio.create_task(store.age("ann"))
    await asyncio.sleep(0.5)
    store.ages = {"ann": 2}
    if everything:
        store.near.forget_all()
    else:
        store.near.forget([name("ann")])
    assert await reading == [(1, "redis")]
    assert await store.age("ann") == [(2, "redis")]
    assert await store.age("ann") == [(2, "l1_cache")]


async def test_nothing_is_kept_while_no_word_of_changes_comes() -> None:
    store = Store()
    store.ages = {"ann": 1}
    store.word_comes = False
    await store.age("ann")
    assert await store.age("ann") == [(1, "redis")]
    store.word_comes = True
    await store.age("ann")
    assert await store.age("ann") == [(1, "l1_cache")]


async def test_a_read_that_fails_or_is_given_up_leaves_nothing() -> None:
    store = Store()
    store.ages, store.down = {"ann": 1}, True
    with pytest.raises(DependencyFailed):
        await store.age("ann")
    store.down, store.slow_s = False, 1.0
    reading = asyncio.create_task(store.age("ann"))
    await asyncio.sleep(0.5)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not len(store.near)
    assert await store.age("ann") == [(1, "redis")]
    assert await store.age("ann") == [(1, "l1_cache")]


async def test_rows_read_at_once_do_not_end_in_one_second() -> None:
    store = Store(max_entries=2_000)
    users = [f"{number}" for number in range(2_000)]
    store.ages = dict.fromkeys(users, 1)
    await store.age(*users)
    await asyncio.sleep(TTL_S * 0.89)
    ended = []
    for _ in range(round(TTL_S * 0.22)):
        await asyncio.sleep(1.0)
        store.asked.clear()
        await store.age(*users)
        ended.append(len(store.asked))
    assert sum(ended) >= 2_000
    assert max(ended) < 200
