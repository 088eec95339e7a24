"""Routes on a real gRPC server, loopback sockets and real clients, with a fake service behind."""

import asyncio
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from inferd import errors
from inferd.call import Call
from inferd.config import Log, Server
from inferd.services.pipeline import Pipeline
from inferd.services.routes import bind
from inferd.services.status import DETAILS, PUSHBACK
from inferd.telemetry.rpc import RpcStatistics
from inferd.transport.grpcio import listening
from support.echo import SERVICE, SERVICE_NAME, Act, Echo, a_note, text_of

GRPC_LOG = "grpc._cython.cygrpc"


class Wire:
    """A running server, and a channel to it that sends and receives bytes."""

    def __init__(self, port: int, channel: Any, echo: Echo, pipeline: Pipeline) -> None:
        self.port = port
        self.channel = channel
        self.echo = echo
        self.pipeline = pipeline

    def say(self, body: bytes = b"", **options: Any) -> Any:
        return self.channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(body, **options)

    async def refused(self, body: bytes = b"", **options: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.say(body, **options)
        return caught.value

    def counted(self, name: str = "SayOnce") -> dict[str, int]:
        by_code = self.pipeline.statistics.methods[f"/{SERVICE_NAME}/{name}"].by_code
        return {code: seen.count for code, seen in by_code.items() if seen.count}


def a_config(**settings: Any) -> Server:
    return Server(**{"port": 0, "drain_s": 5.0, **settings})


@asynccontextmanager
async def a_wire(
    act: Act | None = None,
    *,
    options: Iterable[tuple[str, Any]] = (),
    unconditional: tuple[str, ...] = (),
    **settings: Any,
) -> AsyncIterator[Wire]:
    echo = Echo(act)
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    routes = bind(SERVICE, echo, unconditional=unconditional)
    async with (
        listening(a_config(**settings), routes, pipeline) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=list(options)) as channel,
    ):
        yield Wire(port, channel, echo, pipeline)


def raising(error: BaseException) -> Act:
    async def act(request: Any, call: Call) -> Any:
        raise error

    return act


async def notes(*words: str) -> AsyncIterator[bytes]:
    for word in words:
        yield a_note(word)


async def test_all_four_kinds_of_method() -> None:
    async with a_wire() as wire:
        path, channel = f"/{SERVICE_NAME}/", wire.channel
        once = await channel.unary_unary(path + "SayOnce")(a_note("a"))
        collected = await channel.stream_unary(path + "Collect")(notes("a", "b"))
        expanded = [
            text_of(each) async for each in channel.unary_stream(path + "Expand")(a_note("a b"))
        ]
        conversed = [
            text_of(each)
            async for each in channel.stream_stream(path + "Converse")(notes("a", "b"))
        ]

    assert (text_of(once), text_of(collected)) == ("a", "a b")
    assert (expanded, conversed) == (["a", "b"], ["a", "b"])


async def test_a_synchronous_client() -> None:
    def ask(port: int) -> tuple[bytes, list[bytes]]:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            converse = channel.stream_stream(f"/{SERVICE_NAME}/Converse")
            return (
                channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(a_note("a"), timeout=5),
                list(converse(iter([a_note("b"), a_note("c")]), timeout=5)),
            )

    async with a_wire() as wire:
        answers = await asyncio.to_thread(ask, wire.port)

    assert answers == (a_note("a"), [a_note("b"), a_note("c")])


async def test_a_call_knows_where_it_comes_from_and_when_it_is_due() -> None:
    async with a_wire() as wire:
        metadata = (("x-id", "7"), ("x-raw-bin", b"\x00\xff"), ("x-id", "8"))
        before = time.monotonic()
        await wire.say(timeout=0.9, metadata=metadata)
        after = time.monotonic()
        call = wire.echo.call

    assert call is not None
    assert call.method == f"/{SERVICE_NAME}/SayOnce"
    assert (call.metadata["x-id"], call.metadata["x-raw-bin"]) == ("8", b"\x00\xff")
    assert call.peer.startswith("ipv4:127.0.0.1:")
    assert before < call.arrived < after
    # Below a second gRPC sends whole milliseconds, rounded up; above, it is coarser still.
    assert call.arrived < call.deadline.at < after + 0.9 + 0.002


async def test_a_call_without_a_deadline_has_none() -> None:
    async with a_wire() as wire:
        await wire.say()

        assert wire.echo.call is not None
        assert wire.echo.call.deadline.at == math.inf


async def test_what_the_handler_says_afterwards_arrives_with_the_answer() -> None:
    async def act(request: Any, call: Call) -> Any:
        call.trailing.append(("x-batch", "7"))
        call.stages.append(("compute", 0.001))
        return request

    async with a_wire(act) as wire:
        call = wire.say(metadata=(("x-explain-latency", "1"),))
        await call
        trailing = dict(await call.trailing_metadata())
        expand = wire.channel.unary_stream(f"/{SERVICE_NAME}/Expand")(a_note("a"))
        async for _ in expand:
            pass
        of_stream = dict(await expand.trailing_metadata())

    assert (trailing["x-batch"], trailing["x-latency-compute-us"]) == ("7", "1000")
    assert int(trailing["x-latency-total-us"]) > 0
    assert of_stream["x-batch"] == "7"


@pytest.mark.parametrize(
    ("error", "code", "pushback"),
    [
        (errors.InvalidRequest("no", field="inputs[0]"), StatusCode.INVALID_ARGUMENT, None),
        (errors.NotFound("no"), StatusCode.NOT_FOUND, None),
        (errors.Unimplemented("no"), StatusCode.UNIMPLEMENTED, None),
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
    error: errors.InferdError, code: StatusCode, pushback: str | None
) -> None:
    async with a_wire(raising(error)) as wire:
        refused = await wire.refused()

    trailing = dict(refused.trailing_metadata())
    details = status_pb2.Status.FromString(trailing[DETAILS])
    info = error_details_pb2.ErrorInfo()
    details.details[0].Unpack(info)
    assert (refused.code(), refused.details()) == (code, "no")
    assert (details.code, details.message) == (code.value[0], "no")
    assert (info.reason, info.domain) == (error.reason, "inferd")
    assert trailing.get(PUSHBACK) == pushback


async def test_any_text_survives_as_a_message() -> None:
    message = "expected '\N{SNOWMAN}',\n got 100 %"

    async with a_wire(raising(errors.NotFound(message))) as wire:
        assert (await wire.refused()).details() == message


async def test_a_stream_ends_with_its_error_after_what_was_answered() -> None:
    async with a_wire(raising(errors.ModelFailed("no"))) as wire:
        answers = wire.channel.unary_stream(f"/{SERVICE_NAME}/Expand")(a_note("a b"))
        first = await anext(aiter(answers))
        with pytest.raises(grpc.aio.AioRpcError, match="no"):
            await anext(aiter(answers))

    assert first == a_note("a")


async def test_a_refusal_is_retried_after_the_pushback() -> None:
    # Only a status without headers before it may be retried: gRPC's proposal A6.
    attempts: list[float] = []

    async def act(request: Any, call: Call) -> Any:
        attempts.append(call.arrived)
        if len(attempts) == 1:
            raise errors.Shed("no", retry_after_s=0.05)
        return request

    policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.001s",
        "maxBackoff": "0.001s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    service_config = {"methodConfig": [{"name": [{}], "retryPolicy": policy}]}

    async with a_wire(act, options=[("grpc.service_config", json.dumps(service_config))]) as wire:
        answer = await wire.say(a_note("again"), timeout=5)

    assert text_of(answer) == "again"
    assert len(attempts) == 2
    assert attempts[1] - attempts[0] >= 0.05


async def test_bytes_that_are_no_message_are_refused() -> None:
    async with a_wire() as wire:
        refused = await wire.refused(b"\xff\xff")

    assert refused.code() is StatusCode.INVALID_ARGUMENT
    assert refused.details() == "the request is not a valid inferd.test.Note message"


async def test_a_message_that_is_too_large_is_refused() -> None:
    async with a_wire(max_receive_bytes=1000) as wire:
        assert await wire.say(b"") == b""
        refused = await wire.refused(a_note("x" * 2000))

    assert refused.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_that_are_too_large_are_refused() -> None:
    async with a_wire(max_metadata_bytes=2000) as wire:
        await wire.say(metadata=(("x-large", "x" * 1000),))
        refused = await wire.refused(metadata=(("x-large", "x" * 4000),))

    assert refused.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_metadata_that_fit_are_never_refused() -> None:
    # Left to itself gRPC begins to refuse, by chance, at four fifths of the limit.
    async with a_wire(max_metadata_bytes=64_000) as wire:
        for _ in range(20):
            await wire.say(metadata=(("x-large", "x" * 60_000),))


async def test_what_is_not_there_is_unimplemented() -> None:
    async with a_wire() as wire:
        for path in (f"/{SERVICE_NAME}/Shout", "/no.such.Service/SayOnce"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await wire.channel.unary_unary(path)(b"")
            assert caught.value.code() is StatusCode.UNIMPLEMENTED


async def test_a_late_answer_is_not_an_answer() -> None:
    # The client's own clock would hide what the server says, so the server is made to believe
    # that the deadline was earlier than it is.
    async def act(request: Any, call: Call) -> Any:
        call.deadline = call.deadline.tightened(0.001, now=call.arrived)
        await asyncio.sleep(0.02)
        return request

    async with a_wire(act) as wire:
        refused = await wire.refused(timeout=30)

    assert refused.code() is StatusCode.DEADLINE_EXCEEDED
    assert (refused.details() or "").startswith("the answer was ready")


class Patient:
    """A handler that waits until it is told to go on, and remembers what became of it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self, request: Any, call: Call) -> Any:
        self.begun.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.02)  # cleaning up
            self.cancelled.set()
            raise
        return request


async def test_a_callers_change_of_mind_reaches_the_handler() -> None:
    patient = Patient()
    async with a_wire(patient) as wire:
        call = wire.say()
        await patient.begun.wait()
        call.cancel()
        await asyncio.wait_for(patient.cancelled.wait(), 5)
        await wire.pipeline.idle()

        assert wire.counted() == {"CANCELLED": 1}


async def test_a_deadline_that_passes_ends_the_handler() -> None:
    patient = Patient()
    async with a_wire(patient) as wire:
        refused = await wire.refused(timeout=0.05)
        await asyncio.wait_for(patient.cancelled.wait(), 5)
        await wire.pipeline.idle()

        assert refused.code() is StatusCode.DEADLINE_EXCEEDED
        assert wire.counted() == {"DEADLINE_EXCEEDED": 1}


@pytest.mark.parametrize("name", ["Expand", "Converse"])
async def test_a_stream_whose_caller_leaves_ends(name: str) -> None:
    patient = Patient()
    async with a_wire(patient) as wire:
        path = f"/{SERVICE_NAME}/{name}"
        if name == "Expand":
            call = wire.channel.unary_stream(path)(a_note("a b"))
        else:
            call = wire.channel.stream_stream(path)()
            await call.write(a_note("a"))
        await patient.begun.wait()
        call.cancel()
        await asyncio.wait_for(patient.cancelled.wait(), 5)
        await wire.pipeline.idle()

        assert wire.counted(name) == {"CANCELLED": 1}


async def test_a_drain_waits_for_calls_under_way_and_takes_no_new_ones() -> None:
    patient = Patient()
    async with a_wire(patient) as wire:
        admitted = wire.say(a_note("admitted"))
        await patient.begun.wait()
        wire.pipeline.drain()
        refused = await wire.refused()
        asyncio.get_running_loop().call_later(0.05, patient.go_on.set)
        # The server stops first: the channel, which was opened after it, closes before it.
        answer = await admitted

    assert text_of(answer) == "admitted"
    assert refused.code() is StatusCode.UNAVAILABLE
    assert refused.details() == "the server is shutting down"


async def test_a_drain_under_load_loses_no_admitted_call() -> None:
    admitted: set[str] = set()

    async def act(request: Any, call: Call) -> Any:
        admitted.add(request.text)
        await asyncio.sleep(0.01)
        return request

    answered: set[str] = set()
    refused: dict[str, StatusCode] = {}
    loaded = asyncio.Event()

    async def caller(channel: Any, me: int) -> None:
        say = channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")
        for i in range(10_000):
            text = f"{me}.{i}"
            try:
                answered.add(text_of(await say(a_note(text), timeout=5)))
                if len(answered) > 200:
                    loaded.set()
            except grpc.aio.AioRpcError as error:
                refused[text] = error.code()
                return

    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    async with (
        asyncio.TaskGroup() as callers,
        listening(a_config(), bind(SERVICE, Echo(act)), pipeline) as port,
    ):
        channels = [
            grpc.aio.insecure_channel(
                f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]
            )
            for _ in range(4)
        ]
        for me in range(32):
            callers.create_task(caller(channels[me % 4], me))
        await loaded.wait()
    for channel in channels:
        await channel.close()

    assert admitted <= answered
    assert len(refused) == 32, "every caller noticed in the end"
    assert not admitted & refused.keys()
    # CANCELLED is gRPC's word for what it had received and not yet announced.
    assert set(refused.values()) <= {StatusCode.UNAVAILABLE, StatusCode.CANCELLED}


async def test_a_drain_has_an_end() -> None:
    patient = Patient()
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    async with listening(a_config(drain_s=0.05), bind(SERVICE, Echo(patient)), pipeline) as port:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        call = channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(b"")
        await patient.begun.wait()

    assert patient.cancelled.is_set()
    with pytest.raises(grpc.aio.AioRpcError):
        await call
    await channel.close()


async def test_an_open_conversation_does_not_hold_the_drain_up() -> None:
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    async with listening(a_config(drain_s=60.0), bind(SERVICE, Echo()), pipeline) as port:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        call = channel.stream_stream(f"/{SERVICE_NAME}/Converse")()
        await call.write(a_note("hello"))
        assert await call.read() == a_note("hello")

    with pytest.raises(grpc.aio.AioRpcError, match="shutting down") as caught:
        await call.read()
    assert caught.value.code() is StatusCode.UNAVAILABLE
    await channel.close()


async def test_a_port_that_is_taken_is_named() -> None:
    def a_server(port: int) -> Any:
        pipeline = Pipeline(RpcStatistics([0.1]), Log())
        return listening(a_config(port=port), bind(SERVICE, Echo()), pipeline)

    async with a_server(0) as port:
        with pytest.raises(
            OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: address already"
        ):
            async with a_server(port):
                pass


async def test_an_address_that_is_not_ours_is_named() -> None:
    pipeline = Pipeline(RpcStatistics([0.1]), Log())

    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1:\d+: cannot assign"):
        async with listening(a_config(host="192.0.2.1"), bind(SERVICE, Echo()), pipeline):
            pass


async def test_two_servers_may_share_a_port_if_told_so() -> None:
    def a_server(port: int) -> Any:
        pipeline = Pipeline(RpcStatistics([0.1]), Log())
        return listening(a_config(port=port, reuse_port=True), bind(SERVICE, Echo()), pipeline)

    async with a_server(0) as port, a_server(port) as same:
        assert port == same


async def test_more_calls_than_fit_are_refused() -> None:
    patient = Patient()
    async with a_wire(patient, max_concurrent_calls=1) as wire:
        first = wire.say(a_note("first"))
        await patient.begun.wait()
        refused = await wire.refused()
        patient.go_on.set()

        assert text_of(await first) == "first"
        assert refused.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_the_server_may_end_a_conversation() -> None:
    async with a_wire() as wire:
        call = wire.channel.stream_stream(f"/{SERVICE_NAME}/Converse")(timeout=5)
        await call.write(a_note("bye"))

        assert await call.read() is grpc.aio.EOF
        assert await call.code() is StatusCode.OK


@asynccontextmanager
async def a_relay(port: int, relayed: list[int]) -> AsyncIterator[int]:
    """Carry one connection to `port` and note how many bytes come back at a time."""
    done = asyncio.get_running_loop().create_future()

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, note: Any) -> None:
        while data := await source.read(65536):
            note(len(data))
            sink.write(data)
        sink.close()
        await sink.wait_closed()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(
            carry(reader, inner_writer, lambda _: None),
            carry(inner_reader, writer, relayed.append),
            return_exceptions=True,  # either side may hang up
        )
        done.set_result(None)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as relay:
        yield relay.sockets[0].getsockname()[1]
        await done


@pytest.mark.parametrize("compression", ["none", "deflate", "gzip"])
async def test_answers_are_compressed_if_told_so(compression: str) -> None:
    relayed: list[int] = []
    pipeline = Pipeline(RpcStatistics([0.1]), Log(access=False))
    config = a_config(compression=compression)
    async with (
        listening(config, bind(SERVICE, Echo()), pipeline) as port,
        a_relay(port, relayed) as relay,
        grpc.aio.insecure_channel(f"127.0.0.1:{relay}") as channel,
    ):
        answer = await channel.unary_unary(f"/{SERVICE_NAME}/SayOnce")(a_note("x" * 50_000))

    assert text_of(answer) == "x" * 50_000
    assert (sum(relayed) > 50_000) == (compression == "none")


async def test_nothing_of_this_alarms_grpc(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, GRPC_LOG)
    patient = Patient()
    async with a_wire(patient) as wire:
        await wire.refused(b"\xff")
        call = wire.say()
        await patient.begun.wait()
        call.cancel()
        await asyncio.wait_for(patient.cancelled.wait(), 5)
        expand = wire.channel.unary_stream(f"/{SERVICE_NAME}/Expand")(b"\xff")
        with pytest.raises(grpc.aio.AioRpcError):
            await expand.read()
        await wire.pipeline.idle()

    assert [record.message for record in caplog.records if record.name == GRPC_LOG] == []
