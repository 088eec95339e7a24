"""Conditional writes against a model of them, and rows of all kinds as bytes and back."""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from inferd import config
from inferd.cache.blobs import EARLIEST_STAMP, LATEST_STAMP, Blobs, Entry, Written
from inferd.cache.connection import client, close
from inferd.cache.memory_blobs import MemoryBlobs
from inferd.cache.postgres_blobs import PostgresBlobs
from inferd.cache.redis_blobs import RedisBlobs
from inferd.cache.sqlite_blobs import SqliteBlobs
from inferd.features.kinds import Kind
from inferd.features.rows import Codec
from support.feature_stores import WallClock, a_histogram
from support.postgres import PostgresServer, a_postgres
from support.redis import RedisServer

STAMP = 2**40
WRITES = st.lists(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), max_size=4), max_size=12
)
"""Batches of keys and how new they are."""

CELLS: dict[str, st.SearchStrategy[Any]] = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(),
    "bool": st.booleans(),
    "string": st.text("a\x00é€😀", max_size=40),
    "bytes": st.binary(),
    "float_list[3]": st.tuples(*[st.floats()] * 3),
}


class Model:
    """What is kept, the long way: all that was ever written, of which the newest counts."""

    def __init__(self) -> None:
        self._ever: dict[str, set[int]] = {}

    def write(self, key: str, stamp: int) -> Written:
        ever = self._ever.setdefault(key, set())
        newest = max(ever, default=-1)
        ever.add(stamp)
        return Written((stamp > newest) - (stamp < newest))

    def newest(self, key: str) -> bytes | None:
        ever = self._ever.get(key)
        return blob(max(ever)) if ever else None


def blob(stamp: int) -> bytes:
    return b"\x92\xcf" + (STAMP + stamp).to_bytes(8) + b"\x80"


async def agrees(blobs: Blobs, batches: Sequence[Sequence[tuple[str, int]]]) -> None:
    model = Model()
    for batch in batches:
        results = await blobs.put([Entry(key, blob(stamp), None) for key, stamp in batch])
        assert [*results] == [model.write(key, stamp) for key, stamp in batch]
        assert [*await blobs.get([*"abcd"])] == [model.newest(key) for key in "abcd"]
    await blobs.close()


@given(batches=WRITES)
def test_memory_keeps_what_the_model_keeps(batches: list[list[tuple[str, int]]]) -> None:
    asyncio.run(agrees(MemoryBlobs(max_bytes=10_000, clock=WallClock(0.0)), batches))


def each_keeps(opened: Callable[[int], AbstractAsyncContextManager[Blobs]]) -> None:
    """Check stores that `opened` opens, each with a number of its own and empty."""
    numbers = itertools.count()

    @settings(max_examples=20, deadline=None)
    @given(batches=WRITES)
    def keeps(batches: list[list[tuple[str, int]]]) -> None:
        async def run() -> None:
            async with opened(next(numbers)) as blobs:
                await agrees(blobs, batches)

        asyncio.run(run())

    keeps()


def test_sqlite_keeps_what_the_model_keeps(tmp_path: Path) -> None:
    @asynccontextmanager
    async def opened(number: int) -> AsyncIterator[Blobs]:
        path, clock = tmp_path / f"{number}.sqlite", WallClock(0.0)
        yield SqliteBlobs(path, wall_clock=clock, sizes=a_histogram())

    each_keeps(opened)


def test_redis_keeps_what_the_model_keeps(redis_server: RedisServer) -> None:
    @asynccontextmanager
    async def opened(number: int) -> AsyncIterator[Blobs]:
        connected = client(config.Redis(url=redis_server.url))
        yield RedisBlobs(connected, prefix=f"{number}:", sizes=a_histogram())
        await close(connected)

    each_keeps(opened)


def test_postgres_keeps_what_the_model_keeps(postgres_server: PostgresServer) -> None:
    @asynccontextmanager
    async def opened(number: int) -> AsyncIterator[Blobs]:
        settings, prefix = a_postgres(postgres_server), f"model {number}:"
        yield PostgresBlobs(settings, prefix=prefix, sizes=a_histogram())

    each_keeps(opened)


@given(data=st.data(), kinds=st.lists(st.sampled_from([*CELLS]), min_size=1, max_size=6))
def test_every_row_comes_back(data: st.DataObject, kinds: list[str]) -> None:
    codec = Codec([(f"f{place}", Kind.named(kind)) for place, kind in enumerate(kinds)])
    absent = st.sampled_from([None, UNSET])
    cells = tuple(data.draw(absent | CELLS[kind]) for kind in kinds)
    event_us = data.draw(st.integers(EARLIEST_STAMP, LATEST_STAMP - 1))

    row = codec.decode(codec.encode(event_us, cells), "here")

    assert row is not None
    assert row.event_us == event_us
    assert all(map(same, row.cells, cells))


@given(kinds=st.lists(st.sampled_from([*CELLS]), min_size=1, max_size=3), blob=st.binary())
def test_any_bytes_are_a_row_or_none(kinds: list[str], blob: bytes) -> None:
    codec = Codec([(f"f{place}", Kind.named(kind)) for place, kind in enumerate(kinds)])

    assert codec.decode(blob, "here") is None or blob[:1] in (b"\x92", b"\xdc", b"\xdd")


def same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return type(one) is type(other) and one == other
