"""Nothing of a call is left behind, however it ended."""

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from inferd.call import Call
from inferd.errors import NotFound
from unit.envoy.host import Bench, Headers, Host

CALLS = 40
SOON: Headers = [(b"grpc-timeout", b"50m")]


async def act(request: Any, call: Call) -> Any:
    match request.text:
        case "fail":
            raise NotFound("no")
        case "wait":
            await asyncio.sleep(3600)
    return request


def answered(bench: Bench, name: str) -> Host:
    return bench.say("hello", name)


def failed(bench: Bench, name: str) -> Host:
    return bench.say("fail", name)


def refused(bench: Bench, name: str) -> Host:
    return bench.say("hello", name, more=[(b"x-bin", b"!")])


def late(bench: Bench, name: str) -> Host:
    return bench.say("wait", name, more=SOON)


def late_before_it_came(bench: Bench, name: str) -> Host:
    return bench.open(name, more=SOON)


def left(bench: Bench, name: str) -> Host:
    host = bench.say("wait", name)
    asyncio.get_running_loop().call_later(0.1, host.leave)
    return host


def left_before_it_came(bench: Bench, name: str) -> Host:
    host = bench.open(name)
    asyncio.get_running_loop().call_later(0.1, host.leave)
    return host


def left_without_reading(bench: Bench, name: str) -> Host:
    host = left(bench, name)
    host.reading = False
    return host


ENDS = [
    *(answered, failed, refused, late, late_before_it_came),
    *(left, left_before_it_came, left_without_reading),
]


async def a_round(bench: Bench, begin: Callable[[Bench, str], Host], name: str) -> None:
    hosts = [begin(bench, name) for _ in range(CALLS)]
    for host in hosts:
        await host.ended()
    bench.echo.calls.clear()
    await asyncio.sleep(2.0)  # timers that are still set


def census() -> Counter[str]:
    gc.collect()
    counted = Counter(type(each).__name__ for each in gc.get_objects())
    return Counter({name: n for name, n in counted.items() if name not in ("dict", "tuple")})


@pytest.fixture
def out_of_sight() -> Iterator[None]:
    """Keep everything that there is already out of the census, which is quick then."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("out_of_sight")
@pytest.mark.parametrize("name", ["SayOnce", "Collect", "Expand", "Converse"])
@pytest.mark.parametrize("begin", ENDS)
async def test_nothing_is_left(begin: Callable[[Bench, str], Host], name: str) -> None:
    bench = Bench(act)
    counts = []
    for _ in range(3):
        await a_round(bench, begin, name)
        counts.append(census())
    # What Python keeps of a first time it keeps once; what a call leaves grows every time.
    first, second = (after - before for before, after in pairwise(counts))
    grown = first & second

    assert not {kind: more for kind, more in grown.items() if more >= CALLS // 2}
