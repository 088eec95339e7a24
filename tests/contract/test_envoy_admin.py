"""Envoy's admin interface, as the server around which it runs uses it."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import grpc.aio
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from inferd.call import CRITICALITY, Criticality
from inferd.services.status import refusal
from inferd.transport.envoy import launch
from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.bootstrap import DRAIN, SHED
from inferd.transport.envoy.giving_way import SHARES, key_of
from inferd.transport.envoy.shares import NOTHING, ORDER, Shares
from support.envoy import Hosted, hosted

WHY_NOT = launch.missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT) and "CI" not in os.environ, reason=WHY_NOT)

SERVICE = "/inferd.test.Plain"
#: A channel's own connection, not one that channels to the same address share.
ALONE = [("grpc.use_local_subchannel_pool", 1)]
CALLS = 1000
UNCONDITIONAL = "/inferd.test.Asked/"
EVERYTHING: Shares = dict.fromkeys(ORDER, 1.0)


@pytest.fixture(scope="module")
def envoy() -> Iterator[Hosted]:
    with hosted(unconditional=[UNCONDITIONAL]) as running:
        yield running


@asynccontextmanager
async def an_admin(envoy: Hosted) -> AsyncIterator[Admin]:
    admin = Admin(envoy.admin)
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def a_channel(admin: Admin) -> AsyncIterator[grpc.aio.Channel]:
    port = await admin.listener_port()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=ALONE) as channel:
        yield channel


async def echoed(channel: grpc.aio.Channel, body: bytes = b"hello") -> bytes:
    answer: bytes = await channel.unary_unary(f"{SERVICE}/Echo")(body, timeout=20)
    return answer


async def refused(channel: grpc.aio.Channel) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await echoed(channel)
    return caught.value


async def is_answered(
    channel: grpc.aio.Channel, criticality: str | None = None, service: str = f"{SERVICE}/"
) -> bool:
    said = [] if criticality is None else [(CRITICALITY, criticality)]
    try:
        await channel.unary_unary(f"{service}Echo")(b"", timeout=20, metadata=said)
    except grpc.aio.AioRpcError:
        return False
    return True


async def until_shed(admin: Admin, shares: Shares) -> None:
    """Have Envoy refuse so many calls, and return when it has heard of it."""
    admin.shed(shares)
    async with asyncio.timeout(20):
        while True:
            if await heard(admin) == shares:
                return
            await asyncio.sleep(0.001)


async def heard(admin: Admin) -> Shares:
    """Return what Envoy says that it refuses."""
    entries = json.loads(await admin._ask("GET", "/runtime"))["entries"]
    said = {key: yaml.safe_load(entry["final_value"]) for key, entry in entries.items()}
    nothing = {"numerator": 0}
    return {each: said.get(key_of(each), nothing)["numerator"] / 10_000 for each in ORDER}


async def left(channel: grpc.aio.Channel) -> None:
    """Return when a channel has no connection that can be used."""
    async with asyncio.timeout(20):
        while (state := channel.get_state()) is grpc.ChannelConnectivity.READY:
            await channel.wait_for_state_change(state)


async def counted(admin: Admin, name: str) -> float:
    page = (await admin.statistics()).decode()
    (family,) = [each for each in text_string_to_metric_families(page) if each.name == name]
    return sum(sample.value for sample in family.samples)


async def test_the_port_is_told_when_it_can_be_connected_to() -> None:
    with hosted() as just_started:
        async with an_admin(just_started) as admin, a_channel(admin) as channel:
            assert await echoed(channel) == b"hello"


async def test_statistics_count_our_calls_and_nobody_else_s(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        before = await counted(admin, "envoy_http_downstream_rq")
        for _ in range(3):
            await echoed(channel)

        assert await counted(admin, "envoy_http_downstream_rq") == before + 3


async def test_statistics_have_names_of_their_own(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin:
        await admin.listener_port()
        page = (await admin.statistics()).decode()

    families = list(text_string_to_metric_families(page))
    assert families
    assert all(family.name.startswith("envoy_") for family in families)
    assert 'prefix="admin"' not in page


async def test_an_envoy_that_does_not_answer_has_no_statistics(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    admin = Admin(tmp_path / "nobody.sock")

    with caplog.at_level(logging.WARNING):
        assert await admin.statistics() == b""

    assert "Envoy's statistics are missing" in caplog.text
    await admin.close()


async def test_what_envoy_sheds_is_refused_as_we_would(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        await echoed(channel)
        before = await counted(admin, "envoy_http_fault_aborts_injected")
        await until_shed(admin, EVERYTHING)
        error = await refused(channel)
        assert await counted(admin, "envoy_http_fault_aborts_injected") == before + 1
        await until_shed(admin, NOTHING)
        assert await is_answered(channel)

    ours = refusal(SHED)
    trailing = dict(error.trailing_metadata())
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details() == ours.message
    assert {key: trailing[key] for key, _ in ours.trailing} == dict(ours.trailing)
    # Headers of its own would make the refusal an answer, which clients do not send again.
    assert not list(error.initial_metadata())


async def test_a_share_is_shed_at_random(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        await until_shed(admin, {**NOTHING, Criticality.CRITICAL: 0.5})
        answered = [await is_answered(channel) for _ in range(CALLS)]
        await until_shed(admin, NOTHING)

    # Ten standard deviations to each side.
    assert 0.34 < sum(answered) / CALLS < 0.66


@pytest.mark.parametrize("shed", ORDER)
async def test_a_class_is_shed_and_no_other(envoy: Hosted, shed: Criticality) -> None:
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        await until_shed(admin, {**NOTHING, shed: 1.0})
        answered = {each for each in Criticality if await is_answered(channel, each.value)}
        in_small_letters = await is_answered(channel, shed.value.lower())
        await until_shed(admin, NOTHING)

    assert answered == {*Criticality} - {shed}
    assert not in_small_letters


async def test_who_says_nothing_that_we_know_is_critical(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        await until_shed(admin, {**NOTHING, Criticality.CRITICAL: 1.0})
        answered = [await is_answered(channel, said) for said in (None, "", "urgent")]
        await until_shed(admin, NOTHING)

    assert answered == [False, False, False]


async def test_what_must_always_be_answered_is_never_shed(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        await until_shed(admin, EVERYTHING)
        plus = await is_answered(channel, "CRITICAL_PLUS")
        asked = [await is_answered(channel, said, UNCONDITIONAL) for said in (None, "SHEDDABLE")]
        await until_shed(admin, NOTHING)

    assert plus
    assert asked == [True, True]


async def test_nobody_makes_up_statistics_or_rules(envoy: Hosted) -> None:
    """What a fault filter understands by itself: headers that ask for faults, or name a caller."""
    asking = {
        "x-envoy-fault-abort-request": "503",
        "x-envoy-fault-abort-grpc-request": "14",
        "x-envoy-fault-abort-request-percentage": "100",
        "x-envoy-fault-delay-request": "30000",
        "x-envoy-downstream-service-cluster": "made-up",
    }
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        await channel.unary_unary(f"{SERVICE}/Echo")(b"", timeout=20, metadata=[*asking.items()])

        assert "made" not in (await admin.statistics()).decode()


def test_what_has_been_said_is_not_said_again(tmp_path: Path) -> None:
    admin = Admin(tmp_path / "admin.sock")
    link = tmp_path / SHARES

    def said() -> str:
        return (link / key_of(Criticality.SHEDDABLE)).read_text().splitlines()[0]

    admin.shed({**NOTHING, Criticality.SHEDDABLE: 0.25})
    first = link.readlink()
    admin.shed({**NOTHING, Criticality.SHEDDABLE: 0.25})
    assert (link.readlink(), said()) == (first, "numerator: 2500")
    admin.shed({**NOTHING, Criticality.SHEDDABLE: 0.5})
    assert (link.readlink() != first, said()) == (True, "numerator: 5000")
    for thousandths in range(100):
        admin.shed({**NOTHING, Criticality.SHEDDABLE: thousandths / 1000})

    assert said() == "numerator: 990"
    assert len([*tmp_path.iterdir()]) == 3


async def test_nobody_else_can_open_the_admin_socket(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin:
        await admin.listener_port()

    assert envoy.admin.stat().st_mode & 0o777 == 0o600


async def test_draining_sends_idle_and_busy_clients_away() -> None:
    with hosted() as envoy:
        async with an_admin(envoy) as admin, a_channel(admin) as idle, a_channel(admin) as busy:
            await echoed(idle)
            stream = busy.stream_stream(f"{SERVICE}/Converse")()
            await stream.write(b"before")
            assert await stream.read() == b"before"

            await admin.drain()

            await left(idle)
            await left(busy)
            await stream.write(b"after")
            assert await stream.read() == b"after"
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF
            assert await stream.code() is grpc.StatusCode.OK


async def test_draining_tells_every_connection_before_it_returns() -> None:
    with hosted() as envoy:
        async with an_admin(envoy) as admin, a_channel(admin) as one, a_channel(admin) as other:
            await asyncio.gather(echoed(one), echoed(other))

            await admin.drain()

            assert await counted(admin, "envoy_http_downstream_cx_max_duration_reached") == 2


async def shut(port: int) -> None:
    """Return when nobody gets in: the workers stop listening a moment after they are told."""
    async with asyncio.timeout(20):
        with suppress(ConnectionRefusedError):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()


async def test_nobody_new_gets_in_while_it_drains() -> None:
    with hosted() as envoy:
        async with an_admin(envoy) as admin:
            port = await admin.listener_port()
            await admin.drain()

            await shut(port)


async def test_draining_without_clients_is_soon_done() -> None:
    with hosted() as envoy:
        async with an_admin(envoy) as admin:
            await admin.listener_port()
            await admin.drain()

            assert (envoy.admin.parent / DRAIN).read_text() == "1"


async def test_answers_under_way_are_waited_for(envoy: Hosted) -> None:
    async with an_admin(envoy) as admin, a_channel(admin) as channel:
        stream = channel.stream_stream(f"{SERVICE}/Converse")()
        await stream.write(b"here")
        await stream.read()

        flushed = asyncio.create_task(admin.flushed())
        await admin.statistics()  # has Envoy's word on the first question come, then so has this
        assert not flushed.done()
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF

        await asyncio.wait_for(flushed, 20)
