"""Envoy does what our configuration asks for: tried out, not read in its documentation."""

import asyncio
import base64
import json
import os
import struct
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import grpc.aio
import pytest

from inferd.services.status import DETAILS, refusal
from inferd.transport.envoy import launch
from inferd.transport.envoy.admin import Admin
from inferd.transport.envoy.bootstrap import ARRIVED, RATE_LIMITED, described, printed
from support import echo
from support.envoy import Hosted, a_bootstrap, hosted, validated
from support.server import free_port

WHY_NOT = launch.missing()
pytestmark = pytest.mark.skipif(bool(WHY_NOT) and "CI" not in os.environ, reason=WHY_NOT)

SERVICE = "/inferd.test.Plain"
MIB = 1024 * 1024
UNBOUNDED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]
SHOP = "https://shop.example"
#: HTTP/2's frames.
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
END_STREAM, END_HEADERS = 1, 4
ACKNOWLEDGED = 1


@pytest.fixture(scope="module")
def envoy() -> Iterator[Hosted]:
    with hosted() as running:
        yield running


@pytest.fixture(scope="module")
def for_browsers() -> Iterator[Hosted]:
    with hosted(
        grpc_web=True,
        json_transcoding=True,
        cors_origins=(SHOP,),
        descriptors=described([echo.SERVICE]),
        services=(echo.SERVICE_NAME,),
    ) as running:
        yield running


async def port_of(envoy: Hosted) -> int:
    admin = Admin(envoy.admin)
    try:
        return await asyncio.wait_for(admin.listener_port(), 20)
    finally:
        await admin.close()


@asynccontextmanager
async def a_channel(envoy: Hosted) -> AsyncIterator[grpc.aio.Channel]:
    address = f"127.0.0.1:{await port_of(envoy)}"
    async with grpc.aio.insecure_channel(address, options=UNBOUNDED) as channel:
        yield channel


async def called(
    channel: grpc.aio.Channel, method: str, body: bytes = b"", **options: Any
) -> bytes:
    answer: bytes = await channel.unary_unary(f"{SERVICE}/{method}")(body, timeout=30, **options)
    return answer


async def seen(channel: grpc.aio.Channel, metadata: Sequence[tuple[str, str]] = ()) -> Any:
    """Return what the application sees of a call: its headers and its peer."""
    return json.loads(await called(channel, "Seen", metadata=metadata))


def a_frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack("!BBL", kind, flags, stream) + payload


async def a_connection(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open an HTTP/2 connection by hand."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + a_frame(SETTINGS))
    return reader, writer


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, int, int, bytes]]:
    """Yield kind, flags, stream and payload of frames until the connection ends."""
    while True:
        try:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return
        kind, flags, stream = struct.unpack("!BBL", head[3:])
        yield kind, flags, stream, payload


async def the_first(reader: asyncio.StreamReader, wanted: int) -> tuple[int, int, bytes]:
    """Return flags, stream and payload of the first frame of a kind."""
    async with asyncio.timeout(20):
        async for kind, flags, stream, payload in frames(reader):
            if kind == wanted:
                return flags, stream, payload
    raise AssertionError(f"the connection ended without a frame of kind {wanted}")


def literals(*fields: tuple[str, str]) -> bytes:
    """Return a header block that uses none of HPACK's tables."""
    encoded = b""
    for field in fields:
        encoded += b"\0" + b"".join(bytes([len(each)]) + each.encode() for each in field)
    return encoded


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        (
            {
                "concurrency": 2,
                "grpc_web": True,
                "json_transcoding": True,
                "cors_origins": ("*", SHOP),
                "rate_limit_per_s": 7,
                "access_log": "/dev/stderr",
                "max_connections": 0,
                "max_connection_age_s": 60,
                "max_metadata_bytes": 2**40,
                "max_receive_bytes": 2**40,
                "max_concurrent_streams": 2**40,
                "statistics": False,
            },
            {
                "descriptors": described([echo.SERVICE]),
                "services": (echo.SERVICE_NAME,),
            },
        ),
    ],
    ids=["by default", "with everything"],
)
def test_envoy_accepts_what_is_printed(
    tmp_path: Path, settings: dict[str, Any], options: dict[str, Any]
) -> None:
    result = validated(printed(a_bootstrap(tmp_path / "admin.sock", {**settings}, **options)))

    assert result.returncode == 0, result.stderr
    assert result.stderr == ""


async def test_the_application_sees_what_the_client_sent(envoy: Hosted) -> None:
    async with a_channel(envoy) as channel:
        headers = {name for name, _ in (await seen(channel))["headers"]}

    assert headers == {
        *("host", "content-type", "te", "grpc-accept-encoding", "grpc-timeout", "user-agent"),
        ARRIVED,
    }


async def test_a_client_cannot_pass_for_another(envoy: Hosted) -> None:
    async with a_channel(envoy) as channel:
        call = await seen(channel, [("x-forwarded-for", "192.0.2.9"), ("x-real-ip", "192.0.2.9")])

    assert call["client"][0] == "127.0.0.1"
    assert ["x-forwarded-for", "192.0.2.9"] in call["headers"]


async def test_the_arrival_is_envoys_word_alone(envoy: Hosted) -> None:
    async with a_channel(envoy) as channel:
        before = time.time()
        call = await seen(channel, [(ARRIVED, "1"), (ARRIVED, "2")])
        after = time.time()

    (noted,) = [value for name, value in call["headers"] if name == ARRIVED]
    assert before - 0.1 <= int(noted) / 1e6 <= after + 0.1  # the clock may be set meanwhile


async def test_the_answer_has_no_header_of_a_proxy(envoy: Hosted) -> None:
    async with a_channel(envoy) as channel:
        call = channel.unary_unary(f"{SERVICE}/Echo")(b"")
        names = [name for name, _ in await call.initial_metadata()]

    assert names == ["date"]


@pytest.mark.parametrize("method", ["Count", "Gated"])
async def test_a_large_request_arrives(envoy: Hosted, method: str) -> None:
    size = 20 * MIB
    async with a_channel(envoy) as channel:
        call = asyncio.create_task(called(channel, method, bytes(size)))
        if method == "Gated":  # nobody reads it for a while
            await called(channel, "Open")

        assert int(await call) == size + 5


async def test_a_large_answer_arrives(envoy: Hosted) -> None:
    body = bytes(20 * MIB)
    async with a_channel(envoy) as channel:
        assert await called(channel, "Echo", body) == body


async def test_a_client_that_is_faster_than_the_application_is_held_up() -> None:
    with hosted(stream_window_bytes=MIB, connection_window_bytes=4 * MIB) as envoy:
        async with a_channel(envoy) as channel:
            sent = 0
            stream = channel.stream_unary(f"{SERVICE}/Gated")()

            async def send() -> None:
                nonlocal sent
                for _ in range(24):
                    await stream.write(bytes(MIB))
                    sent += 1
                await stream.done_writing()

            sending = asyncio.create_task(send())
            # Others on the connection do not suffer, however much they send.
            for _ in range(10):
                assert int(await called(channel, "Count", bytes(MIB))) == MIB + 5
            assert sent <= 4

            await called(channel, "Open")
            await sending
            assert int(await stream) == 24 * (MIB + 5)


async def test_python_gets_to_refuse_large_metadata() -> None:
    with hosted(max_metadata_bytes=2000) as envoy:
        async with a_channel(envoy) as channel:
            call = await seen(channel, [(f"x-{n}", "z" * 1000) for n in range(50)])

    assert len(call["headers"]) > 50


async def test_metadata_beyond_all_bounds_end_the_call_alone(envoy: Hosted) -> None:
    async with a_channel(envoy) as channel:
        stream = channel.stream_stream(f"{SERVICE}/Converse")()
        await stream.write(b"before")
        await stream.read()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await seen(channel, [(f"x-{n}", "z" * 1000) for n in range(70)])

        assert caught.value.code() is grpc.StatusCode.INTERNAL
        await stream.write(b"after")
        assert await stream.read() == b"after"


async def test_clients_are_told_of_the_limits() -> None:
    with hosted(max_metadata_bytes=3000, max_concurrent_streams=9) as envoy:
        reader, writer = await a_connection(await port_of(envoy))
        _, _, payload = await the_first(reader, SETTINGS)
        writer.close()

    settings = dict(struct.iter_unpack("!HL", payload))
    assert settings[6] == 3000
    assert settings[3] == 9


async def test_a_malformed_request_ends_alone(envoy: Hosted) -> None:
    reader, writer = await a_connection(await port_of(envoy))
    good = literals(
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"{SERVICE}/Echo"),
        (":authority", "us"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    )
    bad = good + literals(("X-Upper", "not allowed in HTTP/2"))
    both = END_STREAM | END_HEADERS

    writer.write(a_frame(HEADERS, bad, flags=both, stream=1))
    _, stream, _ = await the_first(reader, RST_STREAM)
    writer.write(a_frame(HEADERS, good, flags=both, stream=3))
    _, answered, _ = await the_first(reader, HEADERS)
    writer.close()

    assert (stream, answered) == (1, 3)


async def test_a_client_that_is_dead_is_found_out() -> None:
    with hosted(keepalive_time_s=0.1, keepalive_timeout_s=0.1) as envoy:
        reader, writer = await a_connection(await port_of(envoy))

        kinds = []
        async with asyncio.timeout(20):
            async for kind, flags, _, _ in frames(reader):
                if not flags & ACKNOWLEDGED:
                    kinds.append(kind)
        writer.close()

    assert PING in kinds


async def test_an_old_connection_is_sent_away() -> None:
    with hosted(max_connection_age_s=0.1) as envoy:
        reader, writer = await a_connection(await port_of(envoy))
        await the_first(reader, GOAWAY)
        writer.close()


async def test_there_are_no_more_connections_than_allowed() -> None:
    with hosted(max_connections=2) as envoy:
        port = await port_of(envoy)
        within = [await a_connection(port) for _ in range(2)]
        for reader, _ in within:
            await the_first(reader, SETTINGS)

        reader, writer = await a_connection(port)
        async with asyncio.timeout(20):
            assert not [each async for each in frames(reader)]
        for _, each in [*within, (reader, writer)]:
            each.close()


async def test_a_port_is_nobody_elses() -> None:
    with hosted(port=free_port()) as one:
        port = await port_of(one)
        with hosted(port=port) as other:
            assert other.process.wait(30) != 0
            said = other.logged()

        assert "Address already in use" in said
        assert one.process.poll() is None


async def test_a_rate_limit_refuses_in_our_words() -> None:
    with hosted(rate_limit_per_s=1) as envoy:
        async with a_channel(envoy) as channel:
            calls = asyncio.gather(*[called(channel, "Echo") for _ in range(20)])
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await calls

    ours = refusal(RATE_LIMITED)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert caught.value.details() == ours.message
    assert dict(caught.value.trailing_metadata())[DETAILS] == dict(ours.trailing)[DETAILS]


async def test_the_access_log_has_a_line_for_each_call(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    with hosted(access_log=str(log)) as envoy:
        async with a_channel(envoy) as channel:
            for _ in range(3):
                await called(channel, "Echo")
        envoy.process.terminate()  # which flushes it
        envoy.process.wait(30)

        assert log.read_text().count(f"POST {SERVICE}/Echo") == 3


async def test_grpc_web_is_spoken_on_request(for_browsers: Hosted) -> None:
    url = f"http://127.0.0.1:{await port_of(for_browsers)}{SERVICE}/Echo"
    message = b"\0\0\0\0\5hello"
    async with aiohttp.ClientSession() as browser:
        binary = await browser.post(
            url, data=message, headers={"content-type": "application/grpc-web+proto"}
        )
        text = await browser.post(
            url,
            data=base64.b64encode(message),
            headers=dict.fromkeys(("content-type", "accept"), "application/grpc-web-text"),
        )

        assert await binary.read() == message + b"\x80\0\0\0\x0fgrpc-status:0\r\n"
        assert (await text.read()).startswith(base64.b64encode(message))


async def test_json_is_spoken_on_request(for_browsers: Hosted) -> None:
    url = f"http://127.0.0.1:{await port_of(for_browsers)}/{echo.SERVICE_NAME}/SayOnce"
    note = {"name": "a", "text": "hello"}
    async with aiohttp.ClientSession() as browser:
        answer = await browser.post(url, json=note)
        wrong = await browser.post(url, json={"name": 1.5})

        assert (answer.status, await answer.json()) == (200, note)
        assert wrong.status == 400


async def test_grpc_itself_is_spoken_beside_them(for_browsers: Hosted) -> None:
    async with a_channel(for_browsers) as channel:
        assert await called(channel, "Echo", b"hello") == b"hello"


@pytest.mark.parametrize(
    ("origin", "allowed"), [(SHOP, True), ("https://elsewhere.example", False)]
)
async def test_pages_of_other_origins_may_not_call(
    for_browsers: Hosted, origin: str, allowed: bool
) -> None:
    url = f"http://127.0.0.1:{await port_of(for_browsers)}{SERVICE}/Echo"
    asked = {"origin": origin, "access-control-request-method": "POST"}
    async with aiohttp.ClientSession() as browser:
        answer = await browser.options(url, headers=asked)

    assert ("access-control-allow-origin" in answer.headers) is allowed


async def test_http_1_is_not_spoken_unless_asked_for(envoy: Hosted) -> None:
    url = f"http://127.0.0.1:{await port_of(envoy)}{SERVICE}/Echo"
    async with aiohttp.ClientSession() as browser:
        with pytest.raises(aiohttp.ClientError):
            await browser.post(url, data=b"")
