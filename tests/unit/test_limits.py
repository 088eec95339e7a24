"""What the pipeline does with calls that may not begin, and with those that may."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2

from inferd import errors
from inferd.call import CLIENT_ID, CRITICALITY, Call
from inferd.config import Log
from inferd.config import resilience as config
from inferd.deadline import Deadline
from inferd.resilience.rate_rules import Allowance, Verdict
from inferd.services.limits import Limits, identity_of
from inferd.services.pipeline import Answer, Pipeline, Requests
from inferd.services.routes import bind
from inferd.services.status import DETAILS, PUSHBACK, REASON, Code, Refusal
from inferd.telemetry.rpc import RpcStatistics
from support.echo import SERVICE, SERVICE_NAME, Act, Echo, a_note

SAY_ONCE = f"/{SERVICE_NAME}/SayOnce"


class FakeRedis:
    """Counts together what it is asked to; says what it is told, after a while."""

    def __init__(self, *says: Verdict | Exception) -> None:
        self._says = list(says)
        self.asked: list[list[str]] = []

    async def count(
        self, call: Call, deadline: Deadline, allowances: Sequence[Allowance]
    ) -> Verdict:
        self.asked.append([each.key.rpartition(":")[2] for each in allowances])
        await asyncio.sleep(0.001)
        said = self._says.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


class Bench:
    """The echo service behind limits, in virtual time."""

    def __init__(
        self,
        *rate_limits: config.RateLimit,
        bulkhead: config.Bulkhead | None = None,
        act: Act | None = None,
        redis: FakeRedis | None = None,
        unconditional: tuple[str, ...] = (),
    ) -> None:
        clock = asyncio.get_running_loop().time
        settings = config.Resilience(
            rate_limits=rate_limits, bulkheads={SERVICE_NAME: bulkhead} if bulkhead else {}
        )
        self.echo = Echo(act)
        self.limits = Limits(settings, clock=clock, together=redis.count if redis else None)
        self.pipeline = Pipeline(RpcStatistics([1.0]), Log(), clock=clock, limits=self.limits)
        self.routes = bind(SERVICE, self.echo, unconditional=unconditional)
        self._bound = {route.path: self.pipeline.bind(route) for route in self.routes}

    def call(self, name: str = "SayOnce", **about: Any) -> Call:
        metadata = {CLIENT_ID: about.get("client", ""), CRITICALITY: about.get("worth", "CRITICAL")}
        return Call(
            f"/{SERVICE_NAME}/{name}",
            arrived=asyncio.get_running_loop().time(),
            metadata=metadata,
            peer=about.get("peer", "ipv4:192.0.2.1:5000"),
        )

    async def say(self, body: bytes = b"", **about: Any) -> Answer:
        answer: Answer = await self._bound[SAY_ONCE](body, self.call(**about))
        return answer

    async def codes(self, count: int, **about: Any) -> str:
        """Return how calls ended, one after the other: O for OK, else the status's letter."""
        return "".join([_letter(await self.say(**about)) for _ in range(count)])

    def many(self, name: str, body: Any, **about: Any) -> Any:
        return self._bound[f"/{SERVICE_NAME}/{name}"](body, self.call(name, **about))

    @property
    def under_way(self) -> int:
        assert self.pipeline.in_flight == self.limits.bulkheads[SERVICE_NAME].in_flight
        return self.pipeline.in_flight


def _letter(answer: Answer) -> str:
    return answer.code.name[0] if isinstance(answer, Refusal) else "O"


def a_rate(per_s: float = 1.0, **settings: Any) -> config.RateLimit:
    return config.RateLimit(per_s=per_s, **settings)


async def holding(request: Any, call: Call) -> Any:
    await asyncio.sleep(1.0)
    return request


async def failing(request: Any, call: Call) -> Any:
    raise errors.ModelFailed("it failed")


def wait_ms(refused: Answer) -> int:
    """Return what a refusal says about when to return, in both of its ways."""
    assert isinstance(refused, Refusal)
    trailing = dict(refused.trailing)
    details = trailing[DETAILS]
    assert isinstance(details, bytes)
    retry = error_details_pb2.RetryInfo()
    assert any(each.Unpack(retry) for each in status_pb2.Status.FromString(details).details)
    assert retry.retry_delay.ToMilliseconds() == int(trailing[PUSHBACK])
    return int(trailing[PUSHBACK])


async def test_who_calls_too_often_is_told_when_to_return() -> None:
    bench = Bench(a_rate(per_s=4, burst=2))
    assert await bench.codes(2) == "OO"
    await asyncio.sleep(0.1)

    refused = await bench.say()

    assert isinstance(refused, Refusal)
    assert refused.code is Code.RESOURCE_EXHAUSTED
    assert refused.message == "the limit of 4 calls per second is used up"
    assert (REASON, "RATE_LIMITED") in refused.trailing
    assert wait_ms(refused) == 150
    await asyncio.sleep(0.15)
    assert await bench.codes(2) == "OR"


async def test_a_refused_request_is_not_even_read() -> None:
    bench = Bench(a_rate())
    await bench.say()

    assert _letter(await bench.say(b"\xff no message")) == "R"


async def test_callers_are_told_apart_by_name_or_else_by_address_whatever_the_port() -> None:
    bench = Bench(a_rate())

    assert await bench.codes(2, client="shop") == "OR"
    assert await bench.codes(2, client="bank") == "OR"
    assert await bench.codes(1, peer="ipv4:192.0.2.7:1") == "O"
    assert await bench.codes(1, peer="ipv4:192.0.2.7:2") == "R"
    assert await bench.codes(1, peer="ipv6:[2001:db8::1]:1") == "O"


@pytest.mark.parametrize(
    ("peer", "identity"),
    [
        ("ipv4:192.0.2.1:5000", "ipv4:192.0.2.1"),
        ("ipv6:%5B::1%5D:5000", "ipv6:%5B::1%5D"),
        ("unix:", "unix"),
        ("", ""),
    ],
)
def test_an_address_is_everything_but_the_port(peer: str, identity: str) -> None:
    assert identity_of(Call("/a.B/C", arrived=0.0, peer=peer)) == identity


async def test_too_long_a_name_is_the_callers_mistake() -> None:
    refused = await Bench(a_rate()).say(client="x" * 129)

    assert isinstance(refused, Refusal)
    assert refused.code is Code.INVALID_ARGUMENT
    assert "client-id must have at most 128 characters" in refused.message


async def test_methods_have_their_own_limits() -> None:
    bench = Bench(a_rate(methods=(f"/{SERVICE_NAME}/Collect",)))

    assert await bench.codes(3) == "OOO"


async def test_a_route_without_limits_is_left_as_it_is() -> None:
    bench = Bench(a_rate(methods=("/other.Service/*",)))
    route = bench.routes[0]

    assert bench.limits.guard(route) == (route, None)


async def test_what_answers_in_any_case_is_not_limited() -> None:
    bench = Bench(a_rate(), bulkhead=config.Bulkhead(max_calls=1), unconditional=("SayOnce",))

    assert await bench.codes(5) == "OOOOO"


async def test_a_stream_counts_once() -> None:
    bench = Bench(a_rate(burst=2))

    for ending in ("one two three", "one two three", ""):
        answers = [each async for each in bench.many("Expand", a_note(ending))]
        assert len(answers) == (3 if ending else 1)

    assert isinstance(answers[0], Refusal)
    assert bench.limits.rate_limits[0].allowed == 2


async def test_a_draining_server_uses_up_nobodys_allowance() -> None:
    bench = Bench(a_rate())
    bench.pipeline.drain()

    assert await bench.codes(3) == "UUU"
    assert bench.limits.rate_limits[0].refused == 0


async def test_calls_beyond_the_bulkhead_are_refused_and_others_are_not() -> None:
    bench = Bench(bulkhead=config.Bulkhead(max_calls=2, critical_share=1.0), act=holding)

    ended = await asyncio.gather(*(bench.say() for _ in range(4)))

    assert "".join(map(_letter, ended)) == "OOUU"
    refused = ended[2]
    assert isinstance(refused, Refusal)
    assert refused.message == f"as many calls of {SERVICE_NAME} are under way as there may be"
    assert (REASON, "LIMITED") in refused.trailing
    assert PUSHBACK not in dict(refused.trailing)


async def test_sheddable_calls_find_no_room_before_critical_ones_do() -> None:
    bench = Bench(bulkhead=config.Bulkhead(max_calls=10), act=holding)
    worths = ["sheddable"] * 8 + ["SHEDDABLE_PLUS"] * 4 + ["CRITICAL", "nonsense", "CRITICAL_PLUS"]

    ended = await asyncio.gather(*(bench.say(worth=worth) for worth in worths))

    assert "".join(map(_letter, ended)) == "OOOOOOUU" + "OOUU" + "OUO"


@pytest.mark.parametrize("act", [None, failing])
async def test_a_call_leaves_the_bulkhead_however_it_is_answered(act: Act | None) -> None:
    bench = Bench(bulkhead=config.Bulkhead(max_calls=1), act=act)

    await bench.codes(3)
    await bench.say(b"\xff no message")

    assert bench.under_way == 0


async def test_a_call_leaves_the_bulkhead_when_its_caller_does() -> None:
    bench = Bench(bulkhead=config.Bulkhead(max_calls=1), act=holding)
    call = asyncio.create_task(bench.say())
    await asyncio.sleep(0.5)
    assert bench.under_way == 1

    call.cancel()
    await asyncio.wait([call])

    assert bench.under_way == 0


async def test_a_stream_is_in_the_bulkhead_for_as_long_as_it_lasts() -> None:
    bench = Bench(bulkhead=config.Bulkhead(max_calls=1))
    requests = Requests()
    conversation = bench.many("Converse", requests)
    await requests.put(a_note("hello"))
    await anext(conversation)

    assert bench.under_way == 1
    assert await bench.codes(1) == "U"

    await conversation.aclose()
    assert bench.under_way == 0
    assert bench.echo.call is not None


async def test_who_finds_no_room_has_not_used_up_its_rate() -> None:
    bench = Bench(a_rate(burst=2), bulkhead=config.Bulkhead(max_calls=1), act=holding)
    first = asyncio.create_task(bench.say())
    await asyncio.sleep(0)

    assert await bench.codes(5) == "UUUUU"

    await first
    assert bench.limits.rate_limits[0].allowed == 1
    assert await bench.codes(1) == "O"


async def test_a_shared_limit_is_what_all_servers_together_say() -> None:
    redis = FakeRedis(Verdict(0.0, -1), Verdict(0.25, 0))
    bench = Bench(a_rate(shared=True), redis=redis)

    assert await bench.codes(1, client="shop") == "O"
    refused = await bench.say(client="shop")

    assert wait_ms(refused) == 250
    assert redis.asked == [["shop"], ["shop"]]
    rule = bench.limits.rate_limits[0]
    assert (rule.allowed, rule.refused) == (1, 1)


async def test_who_is_refused_by_all_servers_together_has_not_used_up_what_is_counted_here() -> (
    None
):
    redis = FakeRedis(Verdict(0.25, 0), Verdict(0.0, -1))
    bench = Bench(a_rate(per_s=0.1), a_rate(shared=True), redis=redis)

    assert await bench.codes(3) == "ROR"

    assert len(redis.asked) == 2  # the third was refused before
    assert [(rule.allowed, rule.refused) for rule in bench.limits.rate_limits] == [(1, 1), (1, 1)]


@pytest.mark.parametrize(
    "why",
    [
        errors.DependencyFailed("Redis failed"),
        errors.CircuitOpen("left alone"),
        errors.TimedOut("too slow"),
        errors.NoBudget("no time"),
    ],
)
async def test_while_redis_cannot_be_asked_this_server_counts_for_itself(why: Exception) -> None:
    bench = Bench(a_rate(burst=2, shared=True), redis=FakeRedis(why, why, why, Verdict(0.0, -1)))

    assert await bench.codes(4) == "OORO"


async def test_a_shared_limit_without_redis_is_counted_here() -> None:
    assert await Bench(a_rate(shared=True)).codes(2) == "OR"


async def test_redis_is_not_asked_about_callers_whom_no_shared_limit_is_for() -> None:
    redis = FakeRedis()
    bench = Bench(a_rate(shared=True, identities=("bank",)), redis=redis)

    assert await bench.codes(3, client="shop") == "OOO"
    assert redis.asked == []


async def test_streams_ask_shared_limits_too() -> None:
    bench = Bench(a_rate(shared=True), redis=FakeRedis(Verdict(0.0, -1), Verdict(1.0, 0)))

    first = [each async for each in bench.many("Expand", a_note("one two"))]
    second = [each async for each in bench.many("Expand", a_note("one two"))]

    assert [_letter(each) for each in first + second] == ["O", "O", "R"]


async def test_who_asks_redis_is_in_the_bulkhead_meanwhile() -> None:
    bench = Bench(
        a_rate(shared=True),
        bulkhead=config.Bulkhead(max_calls=1),
        redis=FakeRedis(Verdict(1.0, 0)),
    )

    assert "".join(map(_letter, await asyncio.gather(bench.say(), bench.say()))) == "RU"
    assert bench.under_way == 0


def test_what_is_configured_for_nothing_there_is_can_be_named() -> None:
    settings = config.Resilience(
        rate_limits=(a_rate(), a_rate(methods=("*", "/inferd.test.Eco/*"))),
        bulkheads={
            SERVICE_NAME: config.Bulkhead(max_calls=1),
            "Echo": config.Bulkhead(max_calls=1),
        },
    )
    limits = Limits(settings, clock=lambda: 0.0)

    assert limits.unknown(bind(SERVICE, Echo())) == [
        "resilience.rate_limits.1.methods.1",
        "resilience.bulkheads.Echo",
    ]
