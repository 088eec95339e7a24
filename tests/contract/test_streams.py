"""What holds for streams wherever they are: in memory, in a file, in Redis."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest
from redis.asyncio import Redis

from inferd.cache.redis_streams import RedisSink, RedisSource
from inferd.cache.streams import Delivery, Record, Sink, Source
from inferd.streaming.jsonl_sink import JsonlSink
from inferd.streaming.jsonl_source import JsonlSource
from inferd.streaming.memory import MemorySink, MemorySource
from inferd.streaming.results import key_of
from support.redis import running_redis

KINDS = ["memory", "jsonl", "redis"]


class Stream(Protocol):
    """One kind of stream, whose ends can be opened again as by another process."""

    async def write(self, *bodies: bytes) -> None: ...
    def source(self) -> Source: ...
    def sink(self) -> Sink: ...
    async def published(self) -> list[bytes]: ...
    async def close(self) -> None: ...


class InMemory:
    def __init__(self) -> None:
        self._waiting: list[bytes] = []
        self._source: MemorySource | None = None
        self._sink = MemorySink()

    async def write(self, *bodies: bytes) -> None:
        self._waiting += bodies

    def source(self) -> Source:
        left = [] if self._source is None else [*self._source.unacknowledged.values()]
        self._source = MemorySource([*left, *self._waiting], ends=True)
        self._waiting = []
        return self._source

    def sink(self) -> Sink:
        return self._sink

    async def published(self) -> list[bytes]:
        return [each.body for each in self._sink.records]

    async def close(self) -> None: ...


class InFiles:
    def __init__(self, directory: Path) -> None:
        self._events, self._results = directory / "events.jsonl", directory / "results.jsonl"
        self._events.touch()
        self._opened: list[Source | Sink] = []

    async def write(self, *bodies: bytes) -> None:
        with self._events.open("ab") as file:
            file.writelines(each + b"\n" for each in bodies)

    def source(self) -> Source:
        source = JsonlSource(self._events, speed=0, clock=time.monotonic)
        self._opened.append(source)
        return source

    def sink(self) -> Sink:
        sink = JsonlSink(self._results, remember_keys=100, key_of=key_of)
        self._opened.append(sink)
        return sink

    async def published(self) -> list[bytes]:
        return self._results.read_bytes().splitlines()

    async def close(self) -> None:
        for each in self._opened:
            await each.close()


class InRedis:
    def __init__(self, socket: Path) -> None:
        self._client = Redis(unix_socket_path=str(socket))
        self._consumers = 0

    async def write(self, *bodies: bytes) -> None:
        for each in bodies:
            await self._client.xadd("events", {"body": each})

    def source(self) -> Source:
        self._consumers += 1
        return RedisSource(
            self._client,
            stream="events",
            group="g",
            consumer=f"c{self._consumers}",
            block_s=0.05,
            timeout_s=5.0,
            claim_idle_s=0.001,
            clock=time.monotonic,
        )

    def sink(self) -> Sink:
        return RedisSink(
            self._client, stream="results", remember_s=60, max_entries=1000, timeout_s=5.0
        )

    async def published(self) -> list[bytes]:
        entries: Any = await self._client.xrange("results")
        return [fields[b"body"] for _, fields in entries]

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    with ExitStack() as stack:
        makes: dict[str, Callable[[], Stream]] = {
            "memory": InMemory,
            "jsonl": lambda: InFiles(tmp_path),
            "redis": lambda: InRedis(stack.enter_context(running_redis(tmp_path)).socket),
        }

        @asynccontextmanager
        async def it() -> AsyncIterator[Stream]:
            stream = makes[request.param]()
            yield stream
            await stream.close()

        yield it


def events(*names: object) -> list[bytes]:
    return [f'{{"event_id":"{name}","ü":1}}'.encode() for name in names]


def records(*names: object) -> list[Record]:
    return [Record(str(name), each) for name, each in zip(names, events(*names), strict=True)]


async def read(source: Source, count: int, *, most: int = 100) -> list[Delivery]:
    """Read so many events, and see that there are no more."""
    found: list[Delivery] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await source.read(most) or []
    assert not await source.read(most)
    return found


def positions(found: Sequence[Delivery]) -> list[str]:
    return [each.position for each in found]


async def test_events_come_in_the_order_in_which_they_were_written(opened: Any) -> None:
    async with opened() as stream:
        await stream.write(*events(*range(250)))

        found = await read(stream.source(), 250, most=30)

        assert [each.body for each in found] == events(*range(250))
        assert len({*positions(found)}) == 250
        assert {each.delivered for each in found} == {1}


async def test_no_more_come_at_once_than_are_asked_for(opened: Any) -> None:
    async with opened() as stream:
        await stream.write(*events(*range(10)))

        assert len(await stream.source().read(3)) == 3


async def test_what_was_acknowledged_does_not_come_again_and_all_else_does(opened: Any) -> None:
    async with opened() as stream:
        await stream.write(*events(*range(6)))
        source = stream.source()
        found = await read(source, 6)
        await source.ack(positions(found)[:4])
        await source.close()

        again = await read(stream.source(), 2)

        assert [each.body for each in again] == events(4, 5)


async def test_a_stream_without_events_is_no_error(opened: Any) -> None:
    async with opened() as stream:
        assert not await stream.source().read(10)


async def test_records_are_published_in_their_order(opened: Any) -> None:
    async with opened() as stream:
        sink = stream.sink()

        assert await sink.publish(records(*range(50))) == [True] * 50
        assert await sink.publish(records(50)) == [True]

        assert await stream.published() == events(*range(51))


async def test_of_one_key_the_first_is_published_once(opened: Any) -> None:
    async with opened() as stream:
        sink = stream.sink()
        first, second = Record("a", events("a")[0]), Record("a", b'{"event_id":"a","later":1}')

        assert await sink.publish([first, second, *records("b")]) == [True, False, True]
        assert await sink.publish([second, *records("c")]) == [False, True]

        assert await stream.published() == events("a", "b", "c")


async def test_a_key_is_known_again_to_whoever_comes_after_a_crash(opened: Any) -> None:
    async with opened() as stream:
        await stream.write(*events("e"))
        source, sink = stream.source(), stream.sink()
        (first,) = await read(source, 1)
        await sink.publish(records("e"))
        await sink.close()  # and died before it could acknowledge

        (again,) = await read(stream.source(), 1)
        assert again.body == first.body
        assert await stream.sink().publish(records("e")) == [False]

        assert await stream.published() == events("e")


async def test_nothing_to_publish_is_no_error(opened: Any) -> None:
    async with opened() as stream:
        assert await stream.sink().publish([]) == []
