"""Limits of real servers, and those that servers count together in a real Redis."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from inferd import config, errors
from inferd.cache import quota
from inferd.cache.connection import client, close, translated
from inferd.call import Call
from inferd.config import resilience
from inferd.config.faults import Faults
from inferd.deadline import NEVER
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.rate_rules import Allowance, CountTogether, Verdict
from inferd.resilience.toolbox import Toolbox
from inferd.telemetry.statistics import Histogram
from support.redis import RedisServer
from support.server import Server, eventually, serving
from support.transports import Transport

AMPLE_S = 30.0
INDEX = "/inference.GRPCInferenceService/RepositoryIndex"
HEALTH = "/grpc.health.v1.Health/Check"
SLOWLY = 0.01
"""Calls per second: none is regained during a test."""
CALL = Call("/a.B/C", arrived=0.0)


@asynccontextmanager
async def counting(redis: RedisServer, **dependency: Any) -> AsyncIterator[CountTogether]:
    """Give what one server counts with. It waits longer than others, for slow machines."""
    guard = {"timeout_ms": AMPLE_S * 1000, **dependency}
    settings = resilience.Resilience.model_validate({"dependencies": {quota.NAME: guard}})
    faults = FaultPoints(Faults(), time.monotonic)
    toolbox = Toolbox(settings, faults, histogram=lambda: Histogram([1.0]))
    connected = client(config.Redis(url=redis.url))
    try:
        yield quota.counting(connected, toolbox.dependency(quota.NAME))
    finally:
        await close(connected)


def an_allowance(key: str, *, burst: int = 1, per_s: float = SLOWLY) -> Allowance:
    return Allowance(key, 1 / per_s, (burst - 1) / per_s)


async def restarted(redis: RedisServer) -> None:
    """Start Redis anew, and let clients notice that their connections are gone."""
    redis.restart()
    await asyncio.sleep(0.01)


async def passed(count: CountTogether, *allowances: Allowance) -> bool:
    verdict = await count(CALL, NEVER, allowances)
    return verdict.wait_s == 0


async def test_two_servers_count_together(redis_server: RedisServer) -> None:
    shop = an_allowance("shop", burst=5)
    async with counting(redis_server) as one, counting(redis_server) as other:
        results = [await passed(each, shop) for each in (one, other) * 4]

    assert results == [True] * 5 + [False] * 3


async def test_redis_says_when_to_return_to_the_microsecond(redis_server: RedisServer) -> None:
    shop = an_allowance("shop", per_s=20.0)
    async with counting(redis_server) as count:
        await count(CALL, NEVER, [shop])
        began = time.monotonic()
        refused = await count(CALL, NEVER, [shop])
        assert 0 < refused.wait_s <= 0.05
        await asyncio.sleep(refused.wait_s)
        while not await passed(count, shop):
            assert time.monotonic() - began < AMPLE_S

    assert time.monotonic() - began >= refused.wait_s


async def test_a_call_uses_up_all_of_its_allowances_or_none(redis_server: RedisServer) -> None:
    mine, everybodys = an_allowance("mine", burst=2), an_allowance("everybody's")
    async with counting(redis_server) as count:
        assert await passed(count, mine, everybodys)

        refused = [await count(CALL, NEVER, [mine, everybodys]) for _ in range(3)]

        assert {each.which for each in refused} == {1}
        assert await passed(count, mine)
        assert not await passed(count, mine)


async def test_of_several_waits_the_longest_is_told(redis_server: RedisServer) -> None:
    short, long = an_allowance("short", per_s=0.1), an_allowance("long", per_s=0.01)
    async with counting(redis_server) as count:
        await count(CALL, NEVER, [short, long])

        verdict = await count(CALL, NEVER, [long, short])

    assert verdict.which == 0
    assert verdict.wait_s == pytest.approx(100, abs=10)


async def test_what_has_passed_is_not_kept(redis_server: RedisServer) -> None:
    async with counting(redis_server) as count:
        await count(CALL, NEVER, [an_allowance("shop", per_s=100.0), an_allowance("bank")])
        connected = client(config.Redis(url=redis_server.url))
        assert await connected.pttl("shop") <= 10
        assert 90_000 < await connected.pttl("bank") <= 100_000
        await close(connected)


async def test_a_redis_that_was_started_anew_is_told_the_script_again(
    redis_server: RedisServer,
) -> None:
    async with counting(redis_server) as count:
        assert await passed(count, an_allowance("shop"))
        await restarted(redis_server)

        assert await passed(count, an_allowance("shop"))


async def test_something_else_under_the_key_is_a_failure_and_not_a_verdict(
    redis_server: RedisServer,
) -> None:
    async with counting(redis_server) as count:
        connected = client(config.Redis(url=redis_server.url))
        await connected.hset("shop", "a", "b")
        await close(connected)

        with pytest.raises(errors.DependencyFailed, match=r"Redis failed \(ResponseError\)"):
            await count(CALL, NEVER, [an_allowance("shop")])


async def test_a_dead_redis_fails_at_once_and_is_soon_left_alone(
    redis_server: RedisServer,
) -> None:
    redis_server.kill()
    breaker = {"minimum_calls": 5, "open_s": 10.0}
    async with counting(redis_server, breaker=breaker) as count:
        for _ in range(5):
            with pytest.raises(errors.DependencyFailed):
                await count(CALL, NEVER, [an_allowance("shop")])

        with pytest.raises(errors.CircuitOpen):
            await count(CALL, NEVER, [an_allowance("shop")])


async def test_a_redis_that_hangs_is_given_up_and_comes_back(redis_server: RedisServer) -> None:
    async with counting(redis_server, timeout_ms=50.0, breaker={"mode": "off"}) as count:
        with redis_server.paused():
            for _ in range(20):  # more than there are connections
                with pytest.raises(errors.TimedOut):
                    await count(CALL, NEVER, [an_allowance("shop")])

        for _ in range(100):
            try:
                verdict = await count(CALL, NEVER, [an_allowance("bank")])
                break
            except errors.TimedOut:
                continue
        assert verdict == Verdict(0.0, -1)


async def test_connections_that_died_in_the_meantime_are_replaced(
    redis_server: RedisServer,
) -> None:
    connected = client(config.Redis(url=redis_server.url, connections=4))
    for _ in range(3):
        with translated():
            assert await asyncio.gather(*(connected.ping() for _ in range(20))) == [True] * 20
        await restarted(redis_server)
    await close(connected)


async def test_a_client_is_closed_whether_redis_answers_or_not(redis_server: RedisServer) -> None:
    connected = client(config.Redis(url=redis_server.url))
    await connected.ping()

    with redis_server.paused():
        await close(connected)


def test_options_that_make_no_sense_are_named() -> None:
    with pytest.raises(ValueError, match=r"redis\.url: .*'colour'"):
        client(config.Redis(url="redis://127.0.0.1:6379/0?colour=blue"))


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("redis://127.0.0.1:port", "Port"),
        ("redis://127.0.0.1:6379/users", "number of a database"),
        ("http://127.0.0.1", "should match"),
    ],
)
def test_a_url_that_cannot_be_one_is_refused(url: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        config.Redis(url=url)


class Caller:
    """Calls a server as somebody."""

    def __init__(self, server: Server, name: str) -> None:
        self._channel = grpc.insecure_channel(server.address)
        self._metadata = [("client-id", name)]

    def __enter__(self) -> "Caller":
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def call(self, method: str = INDEX) -> "grpc.RpcError | bytes":
        """Return the answer, or the error that came instead."""
        try:
            answer: bytes = self._channel.unary_unary(method)(
                b"", timeout=AMPLE_S, metadata=self._metadata
            )
        except grpc.RpcError as error:
            return error
        return answer

    def codes(self, count: int, method: str = INDEX) -> list[str]:
        answers = [self.call(method) for _ in range(count)]
        return ["OK" if isinstance(each, bytes) else each.code().name for each in answers]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def a_server(
    stack: ExitStack,
    directory: Path,
    *rate_limits: dict[str, Any],
    redis: str = "",
    transport: Transport = "grpcio",
    dependencies: dict[str, Any] | None = None,
) -> Server:
    directory.mkdir()
    environment = {
        "INFERD__RESILIENCE__RATE_LIMITS": json.dumps(rate_limits),
        "INFERD__RESILIENCE__DEPENDENCIES": json.dumps(dependencies or {}),
        "INFERD__REDIS__URL": json.dumps(redis),
    }
    return stack.enter_context(
        serving(directory, transport=transport, environment=environment, repository=directory)
    )


def test_a_server_refuses_who_calls_too_often(
    stack: ExitStack, tmp_path: Path, transport: Transport
) -> None:
    limit = {"per_s": SLOWLY, "burst": 3, "methods": ["/inference.GRPCInferenceService/*"]}
    server = a_server(stack, tmp_path / "a", limit, transport=transport)

    with Caller(server, "shop") as shop, Caller(server, "bank") as bank:
        assert shop.codes(4) == ["OK"] * 3 + ["RESOURCE_EXHAUSTED"]
        assert bank.codes(1) == ["OK"]
        assert shop.codes(5, HEALTH) == ["OK"] * 5
        refused = shop.call()
    assert isinstance(refused, grpc.RpcError)
    trailing = dict(refused.trailing_metadata())
    assert trailing["x-reason"] == "RATE_LIMITED"
    assert 0 < int(trailing["grpc-retry-pushback-ms"]) <= 100_000


def test_servers_with_one_redis_have_one_limit(
    stack: ExitStack, tmp_path: Path, redis_server: RedisServer
) -> None:
    limit = {"per_s": SLOWLY, "burst": 10, "shared": True}
    patient = {quota.NAME: {"timeout_ms": 5000}}
    servers = [
        a_server(stack, tmp_path / name, limit, redis=redis_server.url, dependencies=patient)
        for name in "ab"
    ]
    one, other = (stack.enter_context(Caller(server, "shop")) for server in servers)

    codes = [code for each in (one, other) * 7 for code in each.codes(1)]
    assert codes == ["OK"] * 10 + ["RESOURCE_EXHAUSTED"] * 4

    redis_server.kill()
    assert one.codes(11) == ["OK"] * 10 + ["RESOURCE_EXHAUSTED"]
    assert other.codes(11) == ["OK"] * 10 + ["RESOURCE_EXHAUSTED"]

    redis_server.start()
    eventually(lambda: one.codes(1) == ["OK"])  # the new one knows of nothing yet


def test_a_server_starts_and_answers_while_redis_is_not_there(
    stack: ExitStack, tmp_path: Path
) -> None:
    limit = {"per_s": SLOWLY, "burst": 2, "shared": True}
    server = a_server(stack, tmp_path / "a", limit, redis=f"unix://{tmp_path}/nobody.sock")

    with Caller(server, "shop") as shop:
        assert shop.codes(3) == ["OK", "OK", "RESOURCE_EXHAUSTED"]


def test_a_server_answers_while_redis_hangs(
    stack: ExitStack, tmp_path: Path, redis_server: RedisServer
) -> None:
    limit = {"per_s": SLOWLY, "burst": 200, "shared": True}
    server = a_server(stack, tmp_path / "a", limit, redis=redis_server.url)

    with Caller(server, "shop") as shop, redis_server.paused():
        assert shop.codes(100) == ["OK"] * 100


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        (
            {"INFERD__RESILIENCE__BULKHEADS": "{inference.Typo: {max_calls: 5}}"},
            "resilience.bulkheads.inference.Typo: ",
        ),
        ({"INFERD__REDIS__URL": "redis://h/?colour=blue"}, "redis.url: "),
        (
            {"INFERD__RESILIENCE__RATE_LIMITS": "[{per_s: 1, shared: true}]"},
            "resilience.rate_limits.0.shared needs redis.url",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_named_at_start(
    tmp_path: Path, environment: dict[str, str], what: str
) -> None:
    with (
        pytest.raises(AssertionError, match=what.replace(".", r"\.")),
        serving(tmp_path, environment=environment),
    ):
        pass
