"""Hedging over a real socket: who is asked twice, who answers, and that nobody is left behind.

Servers here hang or answer at once, and clients wait for either; no test waits for a time.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from grpc import StatusCode

import inferd_client
from inferd.oip import grpc_service_pb2 as pb
from inferd_client import HedgePolicy
from inferd_client._hedge import ENOUGH
from support.fake_server import (
    LOCAL,
    Trouble,
    a_client,
    a_server,
    refusal,
    shed,
    soon,
)
from support.server import eventually

PIXELS = np.zeros((2, 64), dtype=np.float32)
HEDGE = HedgePolicy(after_s=0.03)
SERVICE = "inference.GRPCInferenceService"
PREVIOUS = "grpc-previous-rpc-attempts"

both = pytest.mark.parametrize("kind", ["blocking", "asyncio"])


@both
async def test_grpcs_own_hedging_is_still_ignored_in_python(kind: str) -> None:
    """If this fails, gRPC has learnt it: then see whether `inferd_client` needs to hedge."""
    attempts = {"maxAttempts": 3}
    hedged = {**attempts, "hedgingDelay": "0.02s", "nonFatalStatusCodes": ["UNAVAILABLE"]}
    retried = {
        **attempts,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    config = {
        "methodConfig": [
            {"name": [{"service": SERVICE, "method": "ModelInfer"}], "hedgingPolicy": hedged},
            {"name": [{"service": SERVICE, "method": "ServerLive"}], "retryPolicy": retried},
        ]
    }
    options = [
        *LOCAL,
        ("grpc.service_config", json.dumps(config)),
        ("grpc.enable_retries", 1),
        ("grpc.experimental.enable_hedging", 1),
    ]

    async with a_server() as (server, address):
        server.troubles.extend([refusal(StatusCode.UNAVAILABLE, "not yet"), nothing, server.hang])
        if kind == "asyncio":
            await live_and_infer_async(address, options)
        else:
            await asyncio.to_thread(live_and_infer, address, options)

    called = [method for method, _ in server.calls]
    assert called[:2] == ["ServerLive"] * 2, "the service config is read"
    assert called[2:] == ["ModelInfer"]


LIVE = f"/{SERVICE}/ServerLive"
INFER = f"/{SERVICE}/ModelInfer"


def live_and_infer(address: str, options: Any) -> None:
    with grpc.insecure_channel(address, options=options) as channel:
        channel.unary_unary(LIVE)(b"", timeout=10)
        with pytest.raises(grpc.RpcError):
            channel.unary_unary(INFER)(b"", timeout=0.3)


async def live_and_infer_async(address: str, options: Any) -> None:
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        await channel.unary_unary(LIVE)(b"", timeout=10)
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary(INFER)(b"", timeout=0.3)


@both
async def test_whoever_hangs_is_asked_again_and_then_let_go(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        server.troubles.append(server.hang)
        result = await client.infer("digits", {"pixels": PIXELS}, timeout_s=30)
        await soon(server.cancelled)

    assert result["label"].tolist() == [[0], [0]]
    # In whichever order they arrived: the first may have been on its way for longer.
    said = [metadata.get(PREVIOUS) for _, metadata in server.calls]
    assert sorted(said, key=str) == ["1", None]


@both
async def test_the_first_attempt_may_still_win(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        server.troubles.extend([lambda _: wait_for(server.hanging), server.hang])
        await client.infer("digits", {"pixels": PIXELS}, timeout_s=30)
        await soon(server.cancelled)

    assert len(server.calls) == 2


@both
@pytest.mark.parametrize(
    "refused",
    [shed(-1), refusal(StatusCode.DEADLINE_EXCEEDED, "no time", ("grpc-retry-pushback-ms", "-1"))],
    ids=["shed", "infeasible"],
)
async def test_a_hedge_that_is_refused_does_not_harm_the_call(kind: str, refused: Trouble) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        over = asyncio.Event()

        async def refuse(context: Any) -> None:
            over.set()
            await refused(context)

        server.troubles.extend([lambda _: wait_for(over), refuse])
        result = await client.infer("digits", {"pixels": PIXELS}, timeout_s=30)

    assert result["label"].tolist() == [[0], [0]]
    assert len(server.calls) == 2


@both
async def test_a_request_that_is_wrong_is_wrong_for_all_attempts(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        server.troubles.extend([server.hang, refusal(StatusCode.INVALID_ARGUMENT, "wrong")])
        with pytest.raises(inferd_client.InvalidRequest, match="wrong"):
            await client.infer("digits", {"pixels": PIXELS}, timeout_s=30)
        await soon(server.cancelled)

    assert len(server.calls) == 2


@both
async def test_while_one_hangs_a_pushback_brings_another(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        server.troubles.extend([server.hang, shed(40)])
        await client.infer("digits", {"pixels": PIXELS}, timeout_s=30)
        await soon(server.cancelled)

    assert [metadata.get(PREVIOUS) for _, metadata in server.calls] == [None, "1", "2"]
    assert server.times[2] - server.times[1] >= 0.040


@both
async def test_two_attempts_share_one_timeout(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        server.troubles.extend([server.hang] * 2)
        with pytest.raises(inferd_client.DeadlineExceeded):
            await client.infer("digits", {"pixels": PIXELS}, timeout_s=0.3)
        await until(lambda: not server.under_way)

    assert len(server.calls) == 2


@both
async def test_loading_is_never_hedged(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        server.troubles.append(server.hang)
        with pytest.raises(inferd_client.DeadlineExceeded):
            await client.load_model("digits", timeout_s=0.2)

    assert len(server.calls) == 1


@both
async def test_any_call_that_is_said_to_be_repeatable_is_hedged(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address) as client:
        server.troubles.append(server.hang)
        result = await client.call(
            "/somebodys.own.Service/ServerLive",
            pb.ServerLiveRequest(),
            pb.ServerLiveResponse,
            timeout_s=30,
            repeatable=True,
            hedge=HEDGE,
        )

    assert result.message.live
    assert len(server.calls) == 2


@both
async def test_learns_when_an_answer_is_overdue(kind: str) -> None:
    learning = HedgePolicy()

    async with a_server() as (server, address), a_client(kind, address, hedge=learning) as client:
        for _ in range(ENOUGH):
            await client.infer("digits", {"pixels": PIXELS}, timeout_s=30)
        assert [metadata.get(PREVIOUS) for _, metadata in server.calls] == [None] * ENOUGH
        server.troubles.append(server.hang)
        await client.infer("digits", {"pixels": PIXELS}, timeout_s=30)
        await soon(server.cancelled)

    assert server.calls[-1][1][PREVIOUS] == "1"


@both
async def test_closing_ends_both_attempts(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address, hedge=HEDGE) as client:
        server.troubles.extend([server.hang] * 2)
        call = asyncio.ensure_future(client.server_live(timeout_s=30))
        await until(lambda: server.under_way == 2)
        await client.close()
        with pytest.raises(inferd_client.Cancelled):
            await call
        await until(lambda: not server.under_way)


async def test_a_cancelled_task_cancels_both_attempts_on_the_server() -> None:
    async with a_server() as (server, address), a_client("asyncio", address, hedge=HEDGE) as client:
        server.troubles.extend([server.hang] * 2)
        call = asyncio.create_task(client.server_live(timeout_s=30))
        await until(lambda: server.under_way == 2)
        call.cancel()
        await until(lambda: not server.under_way)

    assert call.cancelled()


async def test_threads_may_share_a_client_that_hedges() -> None:
    async with (
        a_server() as (server, address),
        a_client("blocking", address, hedge=HEDGE) as client,
    ):
        server.troubles.extend([server.hang] * 3)
        answers = await asyncio.gather(*(client.server_live(timeout_s=30) for _ in range(20)))
        await until(lambda: not server.under_way)

    assert answers == [True] * 20


async def nothing(_: Any) -> None:
    """Trouble that is none."""


async def wait_for(event: asyncio.Event) -> None:
    await event.wait()


async def until(holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(eventually, holds)
