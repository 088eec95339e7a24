"""The generator's loops against a server that exists only in virtual time."""

import asyncio
from collections.abc import Awaitable

import grpc

from inferd.oip import grpc_service_pb2 as pb
from inferd_perf.generator import (
    BAD_ANSWER,
    ClosedLoop,
    Load,
    OpenLoop,
    Sender,
    closed_loop,
    open_loop,
)
from inferd_perf.pacer import Pacer
from inferd_perf.payload import Recipe
from inferd_perf.schedule import Window
from inferd_perf.stats import Summary, Tally


class VirtualPacer(Pacer):
    """A clock that stands still until somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.at_s = 0.0

    def now(self) -> float:
        return self.at_s

    async def until(self, at_s: float) -> None:
        self.at_s = max(self.at_s, at_s)
        await asyncio.sleep(0)


class Server:
    """Answers every call after `takes_s`, or with an error."""

    def __init__(self, pacer: VirtualPacer, takes_s: float, answer: bytes = b"") -> None:
        self.pacer = pacer
        self.takes_s = takes_s
        self.answer = answer
        self.error: grpc.StatusCode | None = None
        self.received: list[tuple[bytes, float]] = []

    def call(self, message: bytes, *, timeout: float) -> Awaitable[bytes]:
        self.received.append((message, timeout))
        return self._answer()

    async def _answer(self) -> bytes:
        self.pacer.at_s += self.takes_s
        if self.error is not None:
            metadata = grpc.aio.Metadata()
            raise grpc.aio.AioRpcError(self.error, metadata, metadata)
        return self.answer


def run(
    server: Server, pattern: OpenLoop | ClosedLoop, window: Window, *, check: bool = False
) -> Summary:
    pacer = server.pacer
    load = Load(
        target="",
        recipe=Recipe(model="m", shapes={}),
        pattern=pattern,
        window=window,
        deadline_s=0.5,
        channels=1,
        check=check,
    )
    tally = Tally(window, load.deadline_s)
    sender = Sender([server.call], [b"a", b"b"], load, tally, pacer.now)
    if isinstance(pattern, OpenLoop):
        asyncio.run(open_loop(pattern, window, sender, tally, pacer))
    else:
        asyncio.run(closed_loop(pattern, window, sender, pacer))
    return tally.summary()


def test_the_open_loop_sends_on_schedule_and_in_turn() -> None:
    server = Server(VirtualPacer(), takes_s=0.0)

    summary = run(server, OpenLoop(4.0, "fixed"), Window(0.0, 1.0))

    assert [message for message, _timeout in server.received] == [b"a", b"b", b"a", b"b"]
    assert summary.statuses == {"OK": 4}


def test_a_server_that_stalls_cannot_hide_it_from_the_open_loop() -> None:
    server = Server(VirtualPacer(), takes_s=2.0)

    summary = run(server, OpenLoop(4.0, "fixed"), Window(0.0, 1.0))

    assert summary.latency is not None
    assert summary.requests == 4
    assert summary.latency.max_ms > 6000
    assert summary.good == 0


def test_the_deadline_counts_from_the_intended_time() -> None:
    pacer = VirtualPacer()
    server = Server(pacer, takes_s=0.0)
    pacer.at_s = 0.2

    run(server, OpenLoop(1.0, "fixed"), Window(0.0, 1.0))

    assert [round(timeout, 3) for _message, timeout in server.received] == [0.3]


def test_arrivals_beyond_the_limit_are_dropped_and_counted() -> None:
    server = Server(VirtualPacer(), takes_s=0.0)

    summary = run(server, OpenLoop(4.0, "fixed", max_in_flight=0), Window(0.0, 1.0))

    assert (summary.requests, summary.skipped) == (0, 4)


def test_errors_are_counted_by_their_status() -> None:
    server = Server(VirtualPacer(), takes_s=0.1)
    server.error = grpc.StatusCode.UNAVAILABLE

    summary = run(server, OpenLoop(4.0, "fixed"), Window(0.0, 1.0))

    assert summary.statuses == {"UNAVAILABLE": 4}
    assert summary.latency is None


def test_the_closed_loop_waits_for_answers_and_ends_with_its_window() -> None:
    server = Server(VirtualPacer(), takes_s=0.25)

    summary = run(server, ClosedLoop(1), Window(0.5, 1.0))

    assert len(server.received) == 6
    assert summary.requests == 4
    assert summary.latency is not None
    assert round(summary.latency.p50_ms) == 250


def test_the_closed_loop_stops_at_its_count() -> None:
    server = Server(VirtualPacer(), takes_s=0.01)

    summary = run(server, ClosedLoop(3), Window(0.0, 100.0, count=7))

    assert summary.requests == 7


def test_an_answer_without_outputs_fails_when_checked() -> None:
    whole = pb.ModelInferResponse(raw_output_contents=[b"1234"])
    whole.outputs.add(name="y", datatype="FP32", shape=[1])
    window = Window(0.0, 1.0, count=1)

    empty = run(Server(VirtualPacer(), 0.1), ClosedLoop(1), window, check=True)
    full = run(
        Server(VirtualPacer(), 0.1, whole.SerializeToString()), ClosedLoop(1), window, check=True
    )

    assert empty.statuses == {BAD_ANSWER: 1}
    assert full.statuses == {"OK": 1}
