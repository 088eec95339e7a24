"""The asyncio client over a channel that is a list of outcomes, in virtual time."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc.aio
import numpy as np
import pytest
from grpc import StatusCode

from inferd.oip import grpc_service_pb2 as pb
from inferd_client import (
    AsyncClient,
    Cancelled,
    HedgePolicy,
    InferRequest,
    ServerError,
    Unavailable,
)

HEDGE = HedgePolicy(after_s=0.05)
PIXELS = np.zeros((1, 2), dtype=np.float32)
ANSWER = pb.ModelInferResponse(
    model_name="digits",
    outputs=[{"name": "label", "datatype": "INT8", "shape": [1, 1]}],
    raw_output_contents=[b"\5"],
)
LIVE = pb.ServerLiveResponse(live=True)


def failure(text: str, pushback_ms: int | None = None) -> Exception:
    pushback = () if pushback_ms is None else (("grpc-retry-pushback-ms", str(pushback_ms)),)
    trailing = grpc.aio.Metadata(*pushback)
    error: Exception = grpc.aio.AioRpcError(
        StatusCode.UNAVAILABLE, grpc.aio.Metadata(), trailing, text
    )
    return error


class Rpc:
    """One attempt, after `takes_s`: an outcome, and what it was sent with."""

    def __init__(self, outcome: Any, takes_s: float, sent: dict[str, Any]) -> None:
        self.outcome = outcome
        self.takes_s = takes_s
        self.sent = sent
        self.cancelled = False
        self.received: asyncio.Queue[Any] = asyncio.Queue()

    def __await__(self) -> Any:
        return self._run().__await__()

    async def _run(self) -> Any:
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata(("x-latency-queue-ms", "2"))

    def add_done_callback(self, callback: Any) -> None:
        self.done_callback = callback

    async def wait_for_connection(self) -> None:
        await asyncio.sleep(self.takes_s)

    async def write(self, message: Any) -> None:
        self.received.put_nowait(message)

    async def done_writing(self) -> None:
        self.received.put_nowait(None)

    async def __aiter__(self) -> Any:
        while (message := await self.received.get()) is not None:
            yield pb.ModelStreamInferResponse(infer_response={"id": message.id})

    def cancel(self) -> None:
        self.cancelled = True


class FakeChannel:
    """Gives each attempt the next outcome and remembers them all.

    An outcome may be a pair: itself and the seconds it takes.
    """

    def __init__(self, outcomes: Sequence[Any], *, takes_s: float = 0.01) -> None:
        self._outcomes = [each if isinstance(each, tuple) else (each, takes_s) for each in outcomes]
        self.attempts: list[Rpc] = []

    def unary_unary(self, path: str, **_: Any) -> Any:
        def call(_request: Any, *, timeout: float, metadata: Any) -> Rpc:
            return self._attempt(timeout=timeout, metadata=dict(metadata), path=path)

        return call

    def stream_stream(self, path: str, **_: Any) -> Any:
        def call(*, timeout: float, metadata: Any) -> Rpc:
            return self._attempt(timeout=timeout, metadata=dict(metadata), path=path)

        return call

    def _attempt(self, **sent: Any) -> Rpc:
        outcome, takes_s = self._outcomes.pop(0)
        self.attempts.append(Rpc(outcome, takes_s, sent))
        return self.attempts[-1]


def a_client(channel: FakeChannel, **arguments: Any) -> AsyncClient:
    clock = asyncio.get_running_loop().time
    return AsyncClient(channel, clock=clock, random=lambda: 0.5, **arguments)


def now() -> float:
    return asyncio.get_running_loop().time()


def nothing_is_left() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_arrays_go_in_and_come_out() -> None:
    client = a_client(FakeChannel([ANSWER]))

    answer = await client.infer("digits", {"pixels": PIXELS}, timeout_s=1.0)

    assert answer["label"].tolist() == [[5]]
    assert answer.latency == {"queue-ms": 2.0}


async def test_every_attempt_has_what_is_left_of_one_timeout() -> None:
    channel = FakeChannel([failure("shed", 120), failure("shed", 50), ANSWER], takes_s=0.1)

    await a_client(channel).infer("digits", {"pixels": PIXELS}, timeout_s=1.0)

    timeouts = [attempt.sent["timeout"] for attempt in channel.attempts]
    assert timeouts == [pytest.approx(1.0), pytest.approx(0.78), pytest.approx(0.63)]
    assert channel.attempts[2].sent["metadata"] == {"grpc-previous-rpc-attempts": "2"}


async def test_gives_up_when_the_wait_would_outlast_the_timeout() -> None:
    channel = FakeChannel([failure("shed", 900)], takes_s=0.2)

    with pytest.raises(Unavailable, match="shed"):
        await a_client(channel).infer("digits", {"pixels": PIXELS}, timeout_s=1.0)

    assert asyncio.get_running_loop().time() == pytest.approx(0.2)


async def test_tries_three_times_to_reach_anybody() -> None:
    unreachable = failure("failed to connect to all addresses; last error: ...")
    channel = FakeChannel([unreachable] * 3, takes_s=0.0)

    with pytest.raises(Unavailable, match="failed to connect"):
        await a_client(channel).server_live(timeout_s=1.0)

    assert asyncio.get_running_loop().time() == pytest.approx(0.1 + 0.2)


async def test_cancelling_while_it_waits_makes_no_further_attempt() -> None:
    channel = FakeChannel([failure("shed", 500)])
    call = asyncio.create_task(a_client(channel).server_live(timeout_s=1.0))

    await asyncio.sleep(0.3)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert len(channel.attempts) == 1


async def test_a_cancelled_task_sees_its_cancellation() -> None:
    call = asyncio.create_task(
        a_client(FakeChannel([ANSWER], takes_s=5.0)).server_live(timeout_s=9.0)
    )

    await asyncio.sleep(0.1)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_connection_that_closes_is_an_error_not_a_cancellation() -> None:
    client = a_client(FakeChannel([asyncio.CancelledError()]))

    with pytest.raises(Cancelled, match="closed"):
        await client.server_live(timeout_s=1.0)


async def test_a_hedge_that_answers_first_ends_the_attempt_before_it() -> None:
    channel = FakeChannel([(failure("late"), 5.0), (ANSWER, 0.02)])

    answer = await a_client(channel, hedge=HEDGE).infer("digits", {"pixels": PIXELS}, timeout_s=1.0)

    assert answer["label"].tolist() == [[5]]
    assert now() == pytest.approx(0.07)
    assert [attempt.cancelled for attempt in channel.attempts] == [True, False]
    assert [attempt.sent["timeout"] for attempt in channel.attempts] == [1.0, pytest.approx(0.95)]
    assert channel.attempts[1].sent["metadata"] == {"grpc-previous-rpc-attempts": "1"}
    assert nothing_is_left()


async def test_a_first_attempt_that_answers_after_all_ends_its_hedge() -> None:
    channel = FakeChannel([(LIVE, 0.06), (LIVE, 5.0)])

    await a_client(channel, hedge=HEDGE).server_live(timeout_s=1.0)

    assert now() == pytest.approx(0.06)
    assert [attempt.cancelled for attempt in channel.attempts] == [False, True]
    assert nothing_is_left()


async def test_what_is_answered_in_time_is_not_hedged() -> None:
    channel = FakeChannel([(LIVE, 0.04)])

    await a_client(channel, hedge=HEDGE).server_live(timeout_s=1.0)

    assert len(channel.attempts) == 1
    assert nothing_is_left()


async def test_a_call_may_be_hedged_though_its_client_does_not() -> None:
    channel = FakeChannel([(ANSWER, 5.0), (ANSWER, 0.02)])

    await a_client(channel).infer("digits", {"pixels": PIXELS}, timeout_s=9.0, hedge=HEDGE)

    assert now() == pytest.approx(0.07)


async def test_the_hedge_answers_though_the_first_attempt_was_refused() -> None:
    channel = FakeChannel([(failure("shed", -1), 0.06), (LIVE, 0.1)])

    await a_client(channel, hedge=HEDGE).server_live(timeout_s=1.0)

    assert now() == pytest.approx(0.15)


async def test_a_failure_that_all_would_meet_ends_the_call_and_the_other_attempt() -> None:
    broken = grpc.aio.AioRpcError(
        StatusCode.INTERNAL, grpc.aio.Metadata(), grpc.aio.Metadata(), "the model failed"
    )
    channel = FakeChannel([(LIVE, 5.0), (broken, 0.02)])

    with pytest.raises(ServerError, match="the model failed"):
        await a_client(channel, hedge=HEDGE).server_live(timeout_s=9.0)

    assert now() == pytest.approx(0.07)
    assert channel.attempts[0].cancelled
    assert nothing_is_left()


async def test_while_one_attempt_is_out_a_pushback_brings_another_when_it_says() -> None:
    channel = FakeChannel([(LIVE, 5.0), (failure("shed", 300), 0.01), (LIVE, 0.01)])

    await a_client(channel, hedge=HEDGE).server_live(timeout_s=9.0)

    assert now() == pytest.approx(0.05 + 0.01 + 0.3 + 0.01)
    assert channel.attempts[2].sent["metadata"] == {"grpc-previous-rpc-attempts": "2"}


async def test_a_refusal_before_the_hedge_is_retried_when_the_server_says() -> None:
    channel = FakeChannel([(failure("shed", 300), 0.01), (LIVE, 0.1)])

    await a_client(channel, hedge=HEDGE).server_live(timeout_s=9.0)

    assert now() == pytest.approx(0.41)


async def test_a_wait_that_took_too_long_ends_in_the_servers_words() -> None:
    channel = FakeChannel([(failure("shed", 300), 0.01)])
    call = asyncio.create_task(a_client(channel, hedge=HEDGE).server_live(timeout_s=0.32))

    await asyncio.sleep(0.2)
    asyncio.get_running_loop()._selector_with_time.now += 0.2  # type: ignore[attr-defined]

    with pytest.raises(Unavailable, match="shed"):
        await call
    assert len(channel.attempts) == 1


async def test_cancelling_a_hedged_call_cancels_both_attempts() -> None:
    channel = FakeChannel([(LIVE, 5.0), (LIVE, 5.0)])
    call = asyncio.create_task(a_client(channel, hedge=HEDGE).server_live(timeout_s=9.0))

    await asyncio.sleep(0.1)
    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert [attempt.cancelled for attempt in channel.attempts] == [True, True]
    assert nothing_is_left()


async def test_a_connection_that_closes_during_a_race_is_an_error() -> None:
    channel = FakeChannel([(LIVE, 5.0), (asyncio.CancelledError(), 0.01)])

    with pytest.raises(Cancelled, match="closed"):
        await a_client(channel, hedge=HEDGE).server_live(timeout_s=9.0)

    assert nothing_is_left()


@pytest.mark.parametrize("kind", ["iterable", "async iterable"])
async def test_a_stream_takes_requests_of_either_kind(kind: str) -> None:
    async def trickle() -> Any:
        for each in requests:
            await asyncio.sleep(0.1)
            yield each

    requests = [InferRequest(model="m", inputs={}, request_id=each) for each in "ab"]
    channel = FakeChannel([None])
    source = requests if kind == "iterable" else trickle()

    answers = a_client(channel).infer_stream(source, timeout_s=1.0)

    assert [answer.id async for answer in answers] == ["a", "b"]


async def test_a_stream_raises_what_its_requests_raised() -> None:
    async def broken() -> Any:
        yield InferRequest(model="m", inputs={}, request_id="a")
        raise KeyError("no more")

    answers = a_client(FakeChannel([None])).infer_stream(broken(), timeout_s=1.0)

    assert (await anext(answers)).id == "a"
    with pytest.raises(KeyError, match="no more"):
        await anext(answers)


async def test_leaving_a_stream_early_cancels_it() -> None:
    requests = [InferRequest(model="m", inputs={}, request_id=each) for each in "ab"]
    channel = FakeChannel([None])

    answers = a_client(channel).infer_stream(requests, timeout_s=1.0)
    await anext(answers)
    await answers.aclose()

    assert channel.attempts[0].cancelled
