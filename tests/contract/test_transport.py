"""Routes on a real server, loopback sockets and real clients: one contract, two transports.

The service is in another process, behind grpcio or within Envoy; a request says what the
service should do, and what it saw is asked beside the wire.
"""

import asyncio
import json
import math
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from inferd import errors
from inferd.services.status import DETAILS, PUSHBACK
from support.acting import doing
from support.echo import SERVICE_NAME, a_note, text_of
from support.transports import Transport
from support.wire import EchoProcess, NotStarted, Servers, Wires

MIB = 1024 * 1024
DIFFERENCES: dict[str, dict[Transport, Any]] = {
    # grpcio reads one message, and is alarmed if it happens to have another by then.
    "a second message where one is taken": {
        "grpcio": {StatusCode.OK, StatusCode.INTERNAL},
        "envoy": {StatusCode.UNIMPLEMENTED},
    },
    # grpcio tells of the end of the requests and of their sender's leaving in any order.
    "a caller who leaves while it is waited for": {
        "grpcio": {"CANCELLED", "OK"},
        "envoy": {"CANCELLED"},
    },
    "a caller whose time is up while it is waited for": {
        "grpcio": {"DEADLINE_EXCEEDED", "OK"},
        "envoy": {"DEADLINE_EXCEEDED"},
    },
    # grpcio counts pings (`keepalive_min_client_interval_s`), Envoy those that wait.
    "thirty pings in a row": {"grpcio": {"GOAWAY 11"}, "envoy": {"answered"}},
}
"""What a client may see of which transport it is: everything else is the same."""
# Settings. To start a server takes a second: what does not collide is in one.
SMALL = {"max_receive_bytes": 1000, "max_send_bytes": 1000, "max_metadata_bytes": 2000}
GZIP = {"compression": "gzip", "max_metadata_bytes": 64_000, "max_concurrent_streams": 2}
DEFLATE = {"compression": "deflate", "max_concurrent_calls": 3}
AGEING = {"host": "::1", "max_connection_age_s": 0.5}
WAIT = doing("wait")
REFUSED_STREAM = "RST_STREAM with error code 7"


async def notes(*words: str) -> AsyncIterator[bytes]:
    for word in words:
        yield a_note(word)


async def texts(answers: Any) -> list[str]:
    return [text_of(each) async for each in answers]


# -- calls that go well -----------------------------------------------------------------


async def test_all_four_kinds_of_method(a_wire: Wires) -> None:
    async with a_wire() as wire:
        once = await wire.say(a_note("a"))
        collected = await wire.method("Collect")(notes("a", "b"))
        expanded = await texts(wire.method("Expand")(a_note("a b")))
        conversed = await texts(wire.method("Converse")(notes("a", "b")))

    assert (text_of(once), text_of(collected)) == ("a", "a b")
    assert (expanded, conversed) == (["a", "b"], ["a", "b"])


async def test_a_synchronous_client(a_wire: Wires) -> None:
    def ask(address: str) -> tuple[bytes, list[bytes]]:
        with grpc.insecure_channel(address) as channel:
            converse = channel.stream_stream(f"/{SERVICE_NAME}/Converse")
            return (
                channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(a_note("a"), timeout=5),
                list(converse(iter([a_note("b"), a_note("c")]), timeout=5)),
            )

    async with a_wire() as wire:
        answers = await asyncio.to_thread(ask, wire.address)

    assert answers == (a_note("a"), [a_note("b"), a_note("c")])


async def test_streams_of_nothing(a_wire: Wires) -> None:
    async with a_wire() as wire:
        collected = await wire.method("Collect")(notes())
        expanded = await texts(wire.method("Expand")(b""))
        conversed = await texts(wire.method("Converse")(notes()))

    assert (collected, expanded, conversed) == (b"", [], [])


async def test_a_message_of_nothing(a_wire: Wires) -> None:
    async with a_wire() as wire:
        assert await wire.say(b"") == b""


async def test_a_message_of_many_mebibytes(a_wire: Wires) -> None:
    large = a_note("x" * 20 * MIB)

    async with a_wire() as wire:
        channel_options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
        async with grpc.aio.insecure_channel(wire.address, options=channel_options) as channel:
            once = await channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(large)
            conversation = channel.stream_stream(f"/{SERVICE_NAME}/Converse")()
            await conversation.write(large)
            again = await conversation.read()
            await conversation.done_writing()

    assert once == again == large


async def test_a_conversation_takes_turns(a_wire: Wires) -> None:
    async with a_wire() as wire:
        call = wire.method("Converse")()
        heard = []
        for word in ("a", "b", "c"):
            await call.write(a_note(word))
            heard.append(text_of(await call.read()))
        await call.done_writing()
        after = await call.read()
        code = await call.code()

    assert heard == ["a", "b", "c"]
    assert (after, code) == (grpc.aio.EOF, StatusCode.OK)


async def test_the_server_may_end_a_conversation(a_wire: Wires) -> None:
    async with a_wire() as wire:
        call = wire.method("Converse")(timeout=5)
        await call.write(a_note("bye"))

        assert await call.read() is grpc.aio.EOF
        assert await call.code() is StatusCode.OK


async def test_many_calls_at_once_on_one_connection(a_wire: Wires) -> None:
    words = [f"{number}" for number in range(300)]

    async with a_wire() as wire:
        answers = await asyncio.gather(*(wire.say(a_note(word)) for word in words))
        streams = await asyncio.gather(
            *(texts(wire.method("Expand")(a_note(f"{word} b c"))) for word in words[:100])
        )

    assert [text_of(each) for each in answers] == words
    assert streams == [[word, "b", "c"] for word in words[:100]]


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_caller_may_compress(a_wire: Wires, compression: grpc.Compression) -> None:
    large = a_note("x" * 100_000)

    async with a_wire() as wire:
        once = await wire.say(large, compression=compression)
        collected = await wire.method("Collect")(notes("a", "b"), compression=compression)

    assert (once, text_of(collected)) == (large, "a b")


# -- what the service knows of a call, and may say beside the answer ---------------------------


async def test_a_call_knows_where_it_comes_from_and_when_it_is_due(a_wire: Wires) -> None:
    async with a_wire() as wire:
        metadata = (("x-id", "7"), ("x-raw-bin", b"\x00\xff"), ("x-id", "8"))
        before = time.monotonic()
        await wire.say(timeout=0.9, metadata=metadata)
        after = time.monotonic()
        call = await wire.call()

    assert call.method == f"/{SERVICE_NAME}/SayOnce"
    assert (call.metadata["x-id"], call.metadata["x-raw-bin"]) == ("8", b"\x00\xff")
    assert call.peer.startswith("ipv4:127.0.0.1:")
    assert before < call.arrived < after
    # Below a second gRPC sends whole milliseconds, rounded up; above, it is coarser still.
    assert call.arrived < call.deadline_at < after + 0.9 + 0.002


async def test_a_call_without_a_deadline_has_none(a_wire: Wires) -> None:
    async with a_wire() as wire:
        await wire.say()
        call = await wire.call()

    assert call.deadline_at == math.inf


async def test_only_the_callers_own_metadata_arrive(a_wire: Wires) -> None:
    async with a_wire() as wire:
        await wire.say(metadata=(("x-id", "7"), ("x-request-id", "8")))
        metadata = (await wire.call()).metadata

    assert metadata.keys() <= {"x-id", "x-request-id", "user-agent"}
    assert (metadata["x-id"], metadata["x-request-id"]) == ("7", "8")


async def test_a_peer_may_have_an_address_of_version_6(a_wire: Wires) -> None:
    async with a_wire(**AGEING) as wire:
        await wire.say()
        call = await wire.call()

    assert call.peer.startswith("ipv6:%5B::1%5D:")


async def test_a_peer_is_who_is_connected_whatever_it_says(a_wire: Wires) -> None:
    async with a_wire() as wire:
        await wire.say(metadata=(("x-forwarded-for", "192.0.2.1"), ("x-real-ip", "192.0.2.1")))
        call = await wire.call()

    assert call.peer.startswith("ipv4:127.0.0.1:")


async def test_what_the_handler_says_afterwards_arrives_with_the_answer(a_wire: Wires) -> None:
    told = doing("annotate", text="a", trailing={"x-batch": "7"}, stages={"compute": 0.001})

    async with a_wire() as wire:
        call = wire.say(told, metadata=(("x-explain-latency", "1"),))
        await call
        trailing = dict(await call.trailing_metadata())
        expand = wire.method("Expand")(told)
        await texts(expand)
        of_stream = dict(await expand.trailing_metadata())

    assert (trailing["x-batch"], trailing["x-latency-compute-us"]) == ("7", "1000")
    assert int(trailing["x-latency-total-us"]) > 0
    assert of_stream["x-batch"] == "7"


async def test_bytes_survive_in_metadata(a_wire: Wires) -> None:
    async with a_wire() as wire:
        for raw in (b"", b"\x00", b"\xff\xfe", bytes(range(256))):
            call = wire.say(
                doing("annotate", raw={"x-back-bin": raw.hex()}), metadata=(("x-there-bin", raw),)
            )
            await call
            back = dict(await call.trailing_metadata())["x-back-bin"]
            there = (await wire.call()).metadata["x-there-bin"]

            assert (there, back) == (raw, raw)


@pytest.mark.parametrize("kind", ["SayOnce", "Converse"])
async def test_what_the_handler_says_first_arrives_before_the_answer(
    a_wire: Wires, kind: str
) -> None:
    told = doing("annotate", text="a", initial={"x-first": "1"}, trailing={"x-last": "2"})

    async with a_wire() as wire:
        if kind == "SayOnce":
            call = wire.say(told)
            await call
        else:
            call = wire.method("Converse")()
            await call.write(told)
            await call.read()
            await call.done_writing()
        initial = dict(await call.initial_metadata())
        trailing = dict(await call.trailing_metadata())

    assert (initial.get("x-first"), trailing.get("x-last")) == ("1", "2")
    assert "x-first" not in trailing


# -- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "pushback"),
    [
        (errors.InvalidRequest("no", field="inputs[0]"), StatusCode.INVALID_ARGUMENT, None),
        (errors.NotFound("no"), StatusCode.NOT_FOUND, None),
        (errors.Unimplemented("no"), StatusCode.UNIMPLEMENTED, None),
        (errors.TooLarge("no"), StatusCode.RESOURCE_EXHAUSTED, "-1"),
        (errors.Exhausted("no"), StatusCode.RESOURCE_EXHAUSTED, None),
        (errors.Unavailable("no", retry_after_s=1.0), StatusCode.UNAVAILABLE, "1000"),
        (errors.NotReady("no"), StatusCode.UNAVAILABLE, None),
        (errors.Draining("no"), StatusCode.UNAVAILABLE, None),
        (errors.Shed("no", retry_after_s=0.0121), StatusCode.UNAVAILABLE, "13"),
        (errors.Shed("no", retry_after_s=-1.0), StatusCode.UNAVAILABLE, "-1"),
        (errors.DeadlineExceeded("no"), StatusCode.DEADLINE_EXCEEDED, "-1"),
        (errors.Infeasible("no"), StatusCode.DEADLINE_EXCEEDED, "-1"),
        (errors.Expired("no"), StatusCode.DEADLINE_EXCEEDED, "-1"),
        (errors.ModelFailed("no"), StatusCode.INTERNAL, "-1"),
        (errors.LoadFailed("no"), StatusCode.INTERNAL, None),
        (errors.Internal("no"), StatusCode.INTERNAL, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_each_error_on_the_wire(
    a_wire: Wires, error: errors.InferdError, code: StatusCode, pushback: str | None
) -> None:
    about: dict[str, Any] = {"error": type(error).__name__}
    if error.retry_after_s != type(error).retry_after_s:
        about["retry_after_s"] = error.retry_after_s
    if isinstance(error, errors.InvalidRequest):
        about["field"] = "inputs[0]"

    async with a_wire(alarming=type(error) is errors.Internal) as wire:
        refused = await wire.refused(doing("fail", **about))

    trailing = dict(refused.trailing_metadata())
    details = status_pb2.Status.FromString(trailing[DETAILS])
    info = error_details_pb2.ErrorInfo()
    details.details[0].Unpack(info)
    assert (refused.code(), refused.details()) == (code, "no")
    assert (details.code, details.message) == (code.value[0], "no")
    assert (info.reason, info.domain) == (error.reason, "inferd")
    assert trailing.get(PUSHBACK) == pushback


@pytest.mark.parametrize(
    "message",
    ["expected '\N{SNOWMAN}',\n got 100 %", "%41%zz", " a\tb\r\n ", "\N{PILE OF POO}" * 200],
)
async def test_any_text_survives_as_a_message(a_wire: Wires, message: str) -> None:
    async with a_wire() as wire:
        refused = await wire.refused(doing("fail", error="NotFound", message=message))

    assert refused.details() == message


async def test_a_refusal_comes_without_headers(a_wire: Wires) -> None:
    # They would be an answer's beginning, and clients do not retry what has begun.
    async with a_wire() as wire:
        refused = await wire.refused(doing("fail", error="Shed", retry_after_s=1.0))

    assert list(refused.initial_metadata()) == []


async def test_a_failure_keeps_its_secrets(a_wire: Wires) -> None:
    async with a_wire(alarming=True) as wire:
        refused = await wire.refused(doing("crash"))

    assert (refused.code(), refused.details()) == (StatusCode.INTERNAL, "internal error")
    assert "a secret of ours" in wire.server.logged()


async def test_a_stream_ends_with_its_error_after_what_was_answered(a_wire: Wires) -> None:
    async with a_wire() as wire:
        answers = wire.method("Expand")(doing("fail", error="ModelFailed", text="a b"))
        first = await anext(aiter(answers))
        with pytest.raises(grpc.aio.AioRpcError, match="no"):
            await anext(aiter(answers))

    assert first == a_note("a")


async def test_a_refusal_is_retried_after_the_pushback(a_wire: Wires) -> None:
    # Only a status without headers before it may be retried: gRPC's proposal A6.
    policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.001s",
        "maxBackoff": "0.001s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    service_config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}
    told = doing("shed once", text="again", retry_after_s=0.05)

    async with a_wire(options=[("grpc.service_config", json.dumps(service_config))]) as wire:
        answer = await wire.say(told, timeout=5)
        attempts = [call["arrived"] for call in await wire.ask("calls")]

    assert text_of(answer) == "again"
    assert len(attempts) == 2
    assert attempts[1] - attempts[0] >= 0.05


async def test_bytes_that_are_no_message_are_refused(a_wire: Wires) -> None:
    async with a_wire() as wire:
        refused = await wire.refused(b"\xff\xff")
        conversation = wire.method("Converse")()
        await conversation.write(b"\xff\xff")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await conversation.read()

    for each in (refused, caught.value):
        assert each.code() is StatusCode.INVALID_ARGUMENT
        assert each.details() == "the request is not a valid inferd.test.Note message"


@pytest.mark.parametrize("kind", ["SayOnce", "Collect", "Expand", "Converse"])
async def test_a_message_that_is_too_large_is_refused(a_wire: Wires, kind: str) -> None:
    large = a_note("x" * 2000)
    requests: Any = large if kind in {"SayOnce", "Expand"} else iter([a_note("small"), large])

    async with a_wire(**SMALL) as wire:
        assert await wire.say(b"") == b""
        call = wire.method(kind)(requests)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (texts(call) if kind in {"Expand", "Converse"} else call)

    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in (caught.value.details() or "")


@pytest.mark.parametrize("kind", ["SayOnce", "Converse"])
async def test_an_answer_that_is_too_large_is_an_error(a_wire: Wires, kind: str) -> None:
    told = doing("grow", size=2000)

    async with a_wire(**SMALL) as wire:
        call = wire.say(told) if kind == "SayOnce" else wire.method(kind)(iter([told]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (call if kind == "SayOnce" else texts(call))

    assert caught.value.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_that_are_too_large_are_refused(a_wire: Wires) -> None:
    async with a_wire(**SMALL) as wire:
        await wire.say(metadata=(("x-large", "x" * 1000),))
        refused = await wire.refused(metadata=(("x-large", "x" * 4000),))
        answer = await wire.say(a_note("still"))

    assert refused.code() is StatusCode.RESOURCE_EXHAUSTED
    assert text_of(answer) == "still"


async def test_metadata_that_fit_are_never_refused(a_wire: Wires) -> None:
    # Left to itself gRPC begins to refuse, by chance, at four fifths of the limit.
    async with a_wire(**GZIP) as wire:
        for _ in range(20):
            await wire.say(metadata=(("x-large", "x" * 60_000),))


async def test_what_is_not_there_is_unimplemented(a_wire: Wires) -> None:
    async with a_wire() as wire:
        for path in (f"/{SERVICE_NAME}/Shout", "/no.such.Service/SayOnce", "/", "/a"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await wire.channel.unary_unary(path)(b"")
            assert caught.value.code() is StatusCode.UNIMPLEMENTED


async def test_a_second_message_where_one_is_taken(a_wire: Wires, transport: Transport) -> None:
    async with a_wire() as wire:
        call = wire.channel.stream_unary(f"/{SERVICE_NAME}/SayOnce")(notes("a", "b"))
        code = await call.code()
        answer = await wire.say(a_note("still"))

    assert code in DIFFERENCES["a second message where one is taken"][transport]
    assert text_of(answer) == "still"


# -- time, and callers who leave ------------------------------------------------------------


async def test_a_late_answer_is_not_an_answer(a_wire: Wires) -> None:
    # The client's own clock would hide what the server says, so the server is made to believe
    # that the deadline was earlier than it is.
    async with a_wire() as wire:
        refused = await wire.refused(doing("be late"), timeout=30)

    assert refused.code() is StatusCode.DEADLINE_EXCEEDED
    assert (refused.details() or "").startswith("the answer was ready")


async def test_a_callers_change_of_mind_reaches_the_handler(a_wire: Wires) -> None:
    async with a_wire() as wire:
        call = wire.say(WAIT)
        await wire.until("begun")
        call.cancel()
        await wire.until("cancelled")
        await wire.ask("idle")

        assert await wire.counted() == {"CANCELLED": 1}


async def test_a_caller_whose_connection_breaks_has_left(a_wire: Wires) -> None:
    async with a_wire() as wire:
        own = [("grpc.use_local_subchannel_pool", 1)]
        other = grpc.aio.insecure_channel(wire.address, options=own)
        call = other.unary_unary(f"/{SERVICE_NAME}/SayOnce")(WAIT)
        await wire.until("begun")
        await other.close()
        await wire.until("cancelled")
        await wire.ask("idle")

        assert call.cancelled()
        assert await wire.counted() == {"CANCELLED": 1}


async def test_a_deadline_that_passes_ends_the_handler(a_wire: Wires) -> None:
    async with a_wire() as wire:
        await wire.channel.channel_ready()  # connecting is no part of what the server sees
        refused = await wire.refused(WAIT, timeout=0.05)
        await wire.until("cancelled")
        await wire.ask("idle")

        assert refused.code() is StatusCode.DEADLINE_EXCEEDED
        assert await wire.counted() == {"DEADLINE_EXCEEDED": 1}


@pytest.mark.parametrize("name", ["Collect", "Expand", "Converse"])
async def test_a_stream_whose_caller_leaves_ends(a_wire: Wires, name: str) -> None:
    async with a_wire() as wire:
        if name == "Expand":
            call = wire.method(name)(doing("wait", text="a b"))
        else:
            call = wire.method(name)()
            await call.write(WAIT)
        await wire.until("begun")
        call.cancel()
        await wire.until("cancelled")
        await wire.ask("idle")

        assert await wire.counted(name) == {"CANCELLED": 1}


async def test_a_caller_who_leaves_while_it_is_waited_for(
    a_wire: Wires, transport: Transport
) -> None:
    async with a_wire() as wire:
        call = wire.method("Converse")()
        await call.write(a_note("a"))
        await call.read()
        call.cancel()
        await wire.ask("idle")
        ((code, count),) = (await wire.counted("Converse")).items()

    assert code in DIFFERENCES["a caller who leaves while it is waited for"][transport]
    assert count == 1


async def test_a_stream_is_cleaned_up_after_whoever_does_not_hear_its_end(a_wire: Wires) -> None:
    async with a_wire() as wire:
        call = wire.method("Expand")(doing("grow", size=MIB, text="word " * 1000))
        await call.read()
        call.cancel()
        await wire.ask("idle")

        assert await wire.ask("closed") == 1
        assert await wire.ask("in flight") == 0


async def test_a_deadline_ends_a_conversation(a_wire: Wires, transport: Transport) -> None:
    async with a_wire() as wire:
        await wire.channel.channel_ready()
        call = wire.method("Converse")(timeout=0.2)
        await call.write(a_note("a"))
        assert await call.read() == a_note("a")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await wire.ask("idle")
        ((code, count),) = (await wire.counted("Converse")).items()

    assert caught.value.code() is StatusCode.DEADLINE_EXCEEDED
    assert code in DIFFERENCES["a caller whose time is up while it is waited for"][transport]
    assert count == 1


# -- who does not read, and who sends too fast -------------------------------------------------


async def at_rest(read: Callable[[], Awaitable[int]]) -> int:
    """Return a count once it has stopped growing."""
    before = -1
    while (count := await read()) != before:
        before = count
        await asyncio.sleep(0.3)
    return count


async def test_a_handler_waits_for_a_caller_who_does_not_read(a_wire: Wires) -> None:
    async with a_wire() as wire:
        call = wire.method("Converse")()
        for _ in range(400):
            await call.write(doing("grow", size=MIB // 4))
        await call.done_writing()
        ahead = await at_rest(lambda: wire.ask("tally", what="taken"))
        answers = [text_of(await call.read()) for _ in range(400)]
        end = await call.read()

    assert 0 < ahead < 400
    assert {*map(len, answers)} == {MIB // 4}
    assert end is grpc.aio.EOF


async def test_a_caller_waits_for_a_handler_who_does_not_read(a_wire: Wires) -> None:
    sent = 0

    async with a_wire() as wire:
        call = wire.method("Collect")()
        await call.write(WAIT)

        async def send() -> None:
            nonlocal sent
            for _ in range(2000):
                await call.write(doing("swallow", text="x" * 65536))
                sent += 1
            await call.done_writing()

        async def how_many() -> int:
            return sent

        sending = asyncio.create_task(send())
        ahead = await at_rest(how_many)
        await wire.ask("go on")
        await sending
        await call
        taken = await wire.ask("tally", what="taken")

    assert 0 < ahead < 2000
    assert taken == 2001


async def test_who_does_not_read_is_in_nobodys_way(a_wire: Wires) -> None:
    async with a_wire() as wire:
        slow = wire.method("Converse")()
        for _ in range(200):
            await slow.write(doing("grow", size=MIB // 4))
        await at_rest(lambda: wire.ask("tally", what="taken"))
        answer = await wire.say(a_note("quick"), timeout=5)
        slow.cancel()
        await wire.ask("idle")

    assert text_of(answer) == "quick"


async def test_more_calls_than_fit_are_refused(a_wire: Wires) -> None:
    async with a_wire(**DEFLATE) as wire:
        calls = [wire.say(doing("wait", text=f"{at}")) for at in range(3)]
        await wire.until("begun", 3)
        refused = await wire.refused()
        await wire.ask("go on")

        assert [text_of(await each) for each in calls] == ["0", "1", "2"]
        assert refused.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_more_calls_than_a_connection_may_have_wait_their_turn(a_wire: Wires) -> None:
    async with a_wire(**GZIP) as wire:
        await wire.say()  # from here on the client knows of the limit
        calls = [wire.say(doing("wait", text=f"{at}")) for at in range(5)]
        await wire.until("begun", 2)
        at_once = await wire.ask("in flight")
        await wire.ask("go on")
        answers = await asyncio.gather(*calls, return_exceptions=True)

    assert at_once == 2
    for at, answer in enumerate(answers):
        # A client may count a call as ended a moment before the server does.
        too_early = isinstance(answer, grpc.RpcError) and REFUSED_STREAM in str(answer)
        assert too_early or answer == doing("wait", text=f"{at}")
    assert answers[0] == doing("wait", text="0")


async def test_a_client_that_pings_all_the_time(a_wire: Wires, transport: Transport) -> None:
    async with a_wire() as wire:
        heard = await asyncio.to_thread(ping, wire.port, times=30)
        answer = await wire.say(a_note("others"))

    assert heard in DIFFERENCES["thirty pings in a row"][transport]
    assert text_of(answer) == "others"


def ping(port: int, *, times: int) -> str:
    """Speak just enough HTTP/2 to ping, and return how that ends."""
    settings, pinging, goaway = 4, 6, 7
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as connection,
        connection.makefile("rb") as stream,
    ):
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings))
        for _ in range(times):
            connection.sendall(frame(pinging, bytes(8)))
            kind = -1
            while kind != pinging:
                head = stream.read(9)
                payload, kind = stream.read(int.from_bytes(head[:3])), head[3]
                if kind == goaway:
                    return f"GOAWAY {int.from_bytes(payload[4:8])}"
    return "answered"


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Return an HTTP/2 frame of the connection."""
    return len(payload).to_bytes(3) + bytes([kind]) + bytes(5) + payload


async def test_an_old_connection_is_replaced_and_no_call_notices(a_wire: Wires) -> None:
    async with a_wire(**AGEING) as wire:
        peers: list[str] = []
        while len({*peers}) < 3:
            await asyncio.gather(*(wire.say(timeout=5) for _ in range(10)))
            peers.append((await wire.call()).peer)


# -- compression ------------------------------------------------------------------------


@asynccontextmanager
async def a_relay(port: int, relayed: list[int]) -> AsyncIterator[int]:
    """Carry one connection to `port` and note how many bytes come back at a time."""
    carriers: list[asyncio.Task[None]] = []

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: Any) -> None:
        try:
            while data := await source.read(65536):
                note(len(data))
                sink.write(data)
        finally:
            sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        carriers.append(asyncio.create_task(carry(reader, inner_writer, lambda _: None)))
        carriers.append(asyncio.create_task(carry(inner_reader, writer, relayed.append)))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as relay:
        yield relay.sockets[0].getsockname()[1]
        for each in carriers:  # gRPC is in no hurry to close a connection
            each.cancel()
        await asyncio.gather(*carriers, return_exceptions=True)


@pytest.mark.parametrize("settings", [{}, DEFLATE, GZIP], ids=["none", "deflate", "gzip"])
async def test_answers_are_compressed_if_told_so(a_wire: Wires, settings: dict[str, Any]) -> None:
    relayed: list[int] = []
    large = a_note("x" * 50_000)

    async with (
        a_wire(**settings) as wire,
        a_relay(wire.port, relayed) as relay,
        grpc.aio.insecure_channel(f"127.0.0.1:{relay}") as channel,
    ):
        once = await channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(large)
        expand = channel.unary_stream(f"/{SERVICE_NAME}/Expand")(a_note("y" * 50_000))
        # How they are compressed is said there. gRPC's client, busy, once gave away the first
        # answer as it had come.
        await expand.initial_metadata()
        streamed = [each async for each in expand]

    assert (once, streamed) == (large, [a_note("y" * 50_000)])
    assert (sum(relayed) > 50_000) == ("compression" not in settings)


# -- going ------------------------------------------------------------------------------


async def test_a_drain_waits_for_calls_under_way_and_takes_no_new_ones(a_wire: Wires) -> None:
    async with a_wire() as wire:
        admitted = wire.say(doing("wait", text="admitted"))
        await wire.until("begun")
        wire.server.spent = True
        await wire.ask("drain")
        refused = await wire.refused()
        await wire.stop()
        in_flight = await wire.ask("in flight")
        await wire.ask("go on")
        answer = await admitted
        await wire.ask("stopped")

    assert text_of(answer) == "admitted"
    assert in_flight == 1
    assert refused.code() is StatusCode.UNAVAILABLE
    assert refused.details() == "the server is shutting down"


async def test_a_drain_under_load_loses_no_admitted_call(a_wire: Wires) -> None:
    answered: set[str] = set()
    refused: dict[str, StatusCode] = {}
    loaded = asyncio.Event()

    async def caller(channel: Any, me: int) -> None:
        say = channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")
        for i in range(10_000):
            text = f"{me}.{i}"
            try:
                answered.add(text_of(await say(doing("work", text=text), timeout=5)))
                if len(answered) > 200:
                    loaded.set()
            except grpc.aio.AioRpcError as error:
                refused[text] = error.code()
                return

    own = [("grpc.use_local_subchannel_pool", 1)]
    async with a_wire() as wire, AsyncExitStack() as stack:
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(wire.address, options=own))
            for _ in range(4)
        ]
        async with asyncio.TaskGroup() as callers:
            for me in range(32):
                callers.create_task(caller(channels[me % 4], me))
            await loaded.wait()
            await wire.stop()
        await wire.ask("stopped")
        admitted = {*await wire.ask("admitted")}

    assert admitted <= answered
    assert len(refused) == 32, "every caller noticed in the end"
    assert not admitted & refused.keys()
    # CANCELLED is gRPC's word for what it had received and not yet announced.
    assert set(refused.values()) <= {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}


async def test_a_drain_has_an_end(a_wire: Wires) -> None:
    told = doing("wait", text="a b")
    async with a_wire(drain_s=0.05) as wire:
        expand = wire.method("Expand")(told)
        calls = [
            wire.say(told),
            wire.method("Collect")(iter([told])),
            expand,
            wire.method("Converse")(iter([told])),
        ]
        await expand.read()
        await wire.until("begun", len(calls))
        await wire.stop()
        await wire.ask("stopped")
        cancelled = await wire.ask("tally", what="cancelled")
        codes = [await each.code() for each in calls]

    assert cancelled == len(calls)
    assert {*codes} <= {StatusCode.CANCELLED, StatusCode.UNAVAILABLE}


async def test_an_open_conversation_does_not_hold_the_drain_up(a_wire: Wires) -> None:
    async with a_wire(drain_s=60.0) as wire:
        call = wire.method("Converse")()
        await call.write(a_note("hello"))
        assert await call.read() == a_note("hello")
        await wire.stop()
        with pytest.raises(grpc.aio.AioRpcError, match="shutting down") as caught:
            await call.read()
        await wire.ask("stopped")

    assert caught.value.code() is StatusCode.UNAVAILABLE


async def test_an_idle_connection_hears_of_the_end(a_wire: Wires) -> None:
    async with a_wire() as wire:
        await wire.channel.channel_ready()
        await wire.stop()
        async with asyncio.timeout(10):
            await wire.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        await wire.ask("stopped")
        refused = await wire.refused()

    assert refused.code() is StatusCode.UNAVAILABLE


async def test_a_busy_connection_hears_of_the_end_and_keeps_its_calls(a_wire: Wires) -> None:
    async with a_wire() as wire:
        call = wire.say(doing("wait", text="still"))
        await wire.until("begun")
        await wire.stop()
        async with asyncio.timeout(10):
            await wire.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        await wire.ask("go on")

        assert text_of(await call) == "still"


async def test_who_is_sent_away_goes_elsewhere(servers: Servers) -> None:
    """A balancing client moves on to the other server and loses no call."""
    with ExitStack() as stack:
        going, staying = servers.start(stack), servers.start(stack)
        addresses = f"ipv4:127.0.0.1:{going.port},127.0.0.1:{staying.port}"
        options = [("grpc.lb_policy_name", "round_robin")]
        async with grpc.aio.insecure_channel(addresses, options=options) as channel:
            say = channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")
            while not await served(going) or not await served(staying):
                await say(b"")
            await asyncio.to_thread(going.control.ask, "stop")
            stopped = asyncio.create_task(asyncio.to_thread(going.control.ask, "stopped"))
            codes = set()
            while not stopped.done():
                codes.add(await say(b"", wait_for_ready=True).code())
            await say(b"")

    # Refused in so many words, or never sent.
    assert codes <= {StatusCode.OK, StatusCode.UNAVAILABLE, StatusCode.CANCELLED}


async def served(server: EchoProcess) -> int:
    calls: list[Any] = await asyncio.to_thread(server.control.ask, "calls")
    return len(calls)


# -- where it listens -------------------------------------------------------------------


def test_a_port_that_is_taken_is_named(servers: Servers) -> None:
    with ExitStack() as stack:
        port = servers.start(stack).port
        with pytest.raises(NotStarted) as ended:
            servers.start(stack, port=port)

    told = str(ended.value)
    assert told.startswith("exit code 2\n")
    assert told.endswith(f"\ncannot listen on 127.0.0.1:{port}: address already in use\n")


def test_an_address_that_is_not_ours_is_named(servers: Servers) -> None:
    with (
        ExitStack() as stack,
        pytest.raises(NotStarted, match=r"cannot listen on 192\.0\.2\.1:\d+: cannot assign"),
    ):
        servers.start(stack, host="192.0.2.1")


def test_two_servers_may_share_a_port_if_told_so(servers: Servers) -> None:
    with ExitStack() as stack:
        port = servers.start(stack, reuse_port=True).port

        assert servers.start(stack, port=port, reuse_port=True).port == port
