"""Both Python clients over a real socket, against a server that does as it is told.

What is true of one client is true of the other, so nearly every test runs for both: the
blocking one is asked from a thread, which leaves the test's loop to the server.
"""

import asyncio
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

import inferd_client
from inferd.oip import grpc_service_pb2 as pb
from inferd_client import BFloat16, Client, InferRequest, RetryPolicy
from support.fake_server import LOCAL, Trouble, a_client, a_server, refusal, shed, soon

README = Path(__file__).parents[2] / "clients" / "README.md"
PIXELS = np.zeros((2, 64), dtype=np.float32)

both = pytest.mark.parametrize("kind", ["blocking", "asyncio"])


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@both
async def test_every_datatype_survives_the_journey(kind: str) -> None:
    numbers = {
        np.dtype(code).name: np.array([[0, 1], [2, 100]]).astype(code)
        for code in ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
    }
    words = np.array([b"", b"a\0", "Zoë".encode()], dtype=object)
    halves = BFloat16.of(np.array([1.0, -0.5], dtype=np.float32))

    async with a_server() as (_, address), a_client(kind, address) as client:
        answer = await client.infer(
            "echo", {**numbers, "words": words, "halves": halves}, timeout_s=10
        )

    for name, array in {**numbers, "words": words}.items():
        assert answer[name].dtype == array.dtype
        np.testing.assert_array_equal(answer[name], array)
    np.testing.assert_array_equal(answer["halves"].view(np.uint16), halves.bits)
    assert len(set(answer.datatypes.values())) == 14


@both
async def test_what_the_caller_says_arrives_and_the_answer_says_who_gave_it(kind: str) -> None:
    async with (
        a_server() as (server, address),
        a_client(kind, address, metadata={"authorization": "Bearer t"}) as client,
    ):
        answer = await client.infer(
            "digits",
            {"pixels": PIXELS},
            timeout_s=10,
            version="3",
            outputs=["label"],
            request_id="r-1",
            parameters={"top_k": 2},
            metadata={"x-tenant": "a", "x-trace-bin": b"\0\1"},
            priority=1,
            explain=True,
        )

    (request,) = server.requests
    assert (request.model_version, request.outputs[0].name) == ("3", "label")
    assert request.parameters["top_k"].int64_param == 2
    assert request.parameters["priority"].uint64_param == 1
    _, metadata = server.calls[0]
    assert (metadata["authorization"], metadata["x-tenant"]) == ("Bearer t", "a")
    assert (metadata["x-trace-bin"], metadata["x-explain-latency"]) == (b"\0\1", "1")
    assert (answer.model_name, answer.model_version, answer.id) == ("digits", "3", "r-1")
    assert (answer.latency, answer.trailing["x-batch"]) == ({"queue-ms": 0.25}, "1")


@both
async def test_an_error_says_everything_the_server_said(kind: str) -> None:
    status = status_pb2.Status(code=3, message="unexpected shape")
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="inputs[0].shape", description="expected [-1,64]")
    status.details.add().Pack(bad)
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="BAD_TENSOR", domain="inferd"))
    details = ("grpc-status-details-bin", status.SerializeToString())

    async with a_server() as (server, address), a_client(kind, address) as client:
        server.troubles.append(
            refusal(StatusCode.INVALID_ARGUMENT, "unexpected shape", details, ("x-a", "b"))
        )
        with pytest.raises(inferd_client.InvalidRequest, match="unexpected shape") as caught:
            await client.infer("digits", {"pixels": PIXELS}, timeout_s=10)

    error = caught.value
    assert [violation.field for violation in error.violations] == ["inputs[0].shape"]
    assert (error.code, error.reason) == (StatusCode.INVALID_ARGUMENT, "BAD_TENSOR")
    assert error.trailing["x-a"] == "b"


@both
async def test_comes_back_after_the_pushback_and_says_so(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address) as client:
        server.troubles.extend([shed(60), shed(0)])
        answer = await client.infer("digits", {"pixels": PIXELS}, timeout_s=10)

    previous = [metadata.get("grpc-previous-rpc-attempts") for _, metadata in server.calls]
    assert previous == [None, "1", "2"]
    assert server.times[1] - server.times[0] >= 0.060
    assert answer["label"].tolist() == [[0], [0]]


@both
@pytest.mark.parametrize(
    "trouble",
    [
        shed(-1),
        refusal(StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", "soon")),
        refusal(StatusCode.UNAVAILABLE, "'digits' version 3 is not at ready state"),
        refusal(StatusCode.INTERNAL, "the model failed", ("grpc-retry-pushback-ms", "0")),
        shed(60_000),
    ],
    ids=["never", "unreadable", "without a word", "not a refusal", "beyond the timeout"],
)
async def test_makes_one_attempt_where_a_second_is_not_invited(kind: str, trouble: Trouble) -> None:
    async with a_server() as (server, address), a_client(kind, address) as client:
        server.troubles.append(trouble)
        with pytest.raises(inferd_client.InferdError):
            await client.infer("digits", {"pixels": PIXELS}, timeout_s=10)

    assert len(server.calls) == 1


@both
async def test_grpcs_own_retries_stay_out_of_it(kind: str) -> None:
    config = {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.01s",
                    "maxBackoff": "0.01s",
                    "backoffMultiplier": 1,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
    options = [("grpc.service_config", json.dumps(config))]

    async with (
        a_server() as (server, address),
        a_client(kind, address, options=options) as client,
    ):
        server.troubles.append(refusal(StatusCode.UNAVAILABLE, "not ready"))
        with pytest.raises(inferd_client.Unavailable):
            await client.infer("digits", {"pixels": PIXELS}, timeout_s=10)

    assert len(server.calls) == 1


@both
async def test_a_server_that_hangs_costs_the_timeout_and_no_more(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address) as client:
        server.troubles.append(server.hang)
        before = time.monotonic()
        with pytest.raises(inferd_client.DeadlineExceeded):
            await client.infer("digits", {"pixels": PIXELS}, timeout_s=0.2)
        took_s = time.monotonic() - before
        await soon(server.cancelled)

    assert 0.19 <= took_s < 5
    assert len(server.calls) == 1


@both
async def test_says_when_nobody_listens(kind: str) -> None:
    async with a_client(kind, f"127.0.0.1:{unused_port()}") as client:
        with pytest.raises(inferd_client.Unavailable) as caught:
            await client.server_live(timeout_s=10)

    assert caught.value.never_sent
    assert caught.value.retry_after_s is None


@both
async def test_finds_a_server_that_comes_up_while_it_retries(kind: str) -> None:
    port = unused_port()
    patient = RetryPolicy(max_attempts=50, max_tokens=1000)

    async with a_client(kind, f"127.0.0.1:{port}", retry=patient) as client:
        call = asyncio.ensure_future(client.server_live(timeout_s=30))
        await asyncio.sleep(0.1)
        async with a_server(port) as (server, _):
            assert await call is True

    assert int(server.calls[0][1]["grpc-previous-rpc-attempts"]) >= 1


async def test_a_cancelled_task_cancels_its_call_on_the_server() -> None:
    async with a_server() as (server, address), a_client("asyncio", address) as client:
        server.troubles.append(server.hang)
        call = asyncio.create_task(client.server_live(timeout_s=30))
        await soon(server.hanging)
        call.cancel()
        await soon(server.cancelled)

    assert call.cancelled()


@both
async def test_closing_ends_the_calls_under_way(kind: str) -> None:
    async with a_server() as (server, address), a_client(kind, address) as client:
        server.troubles.append(server.hang)
        call = asyncio.ensure_future(client.server_live(timeout_s=30))
        await soon(server.hanging)
        await client.close()
        with pytest.raises(inferd_client.Cancelled):
            await call


@both
async def test_large_tensors_pass_and_too_large_ones_say_so(kind: str) -> None:
    large = np.arange(2_000_000, dtype=np.float32)
    narrow = [("grpc.max_receive_message_length", 1_000_000)]

    async with a_server() as (_, address):
        async with a_client(kind, address) as client:
            answer = await client.infer("echo", {"x": large}, timeout_s=30)
        async with a_client(kind, address, options=narrow) as client:
            with pytest.raises(inferd_client.ResourceExhausted, match="larger than max"):
                await client.infer("echo", {"x": large}, timeout_s=30)

    np.testing.assert_array_equal(answer["x"], large)
    assert not answer["x"].flags.writeable


@both
async def test_a_stream_answers_each_request_in_turn(kind: str) -> None:
    requests = [
        InferRequest(model=model, inputs={"pixels": PIXELS}, request_id=str(number))
        for number, model in enumerate(["digits", "broken", "digits"])
    ]

    async with a_server() as (_, address), a_client(kind, address) as client:
        answers = [answer async for answer in client.infer_stream(requests, timeout_s=10)]

    assert [(answer.id, answer.error) for answer in answers] == [
        ("0", ""),
        ("1", "broken"),
        ("2", ""),
    ]
    assert answers[2].result()["label"].tolist() == [[0], [0]]
    with pytest.raises(inferd_client.RequestFailed, match="broken"):
        answers[1].result()


@both
async def test_a_stream_that_cannot_start_raises(kind: str) -> None:
    async with a_client(kind, f"127.0.0.1:{unused_port()}") as client:
        stream = client.infer_stream([], timeout_s=10)
        with pytest.raises(inferd_client.Unavailable):
            await anext(stream)


@both
@pytest.mark.parametrize("count", [0, 1, 500])
async def test_a_stream_that_is_refused_says_why_however_much_was_sent(
    kind: str, count: int
) -> None:
    requests = [InferRequest(model="digits", inputs={"pixels": PIXELS})] * count

    async with a_server() as (server, address), a_client(kind, address) as client:
        server.no_streams = shed(7)
        with pytest.raises(inferd_client.Unavailable, match="shed") as caught:
            await anext(client.infer_stream(requests, timeout_s=10))

    assert caught.value.retry_after_s == 0.007


@both
async def test_a_stream_that_the_server_ends_early_just_ends(kind: str) -> None:
    async def nothing_more(_: Any) -> None:
        pass

    requests = [InferRequest(model="digits", inputs={"pixels": PIXELS})] * 500

    async with a_server() as (server, address), a_client(kind, address) as client:
        server.no_streams = nothing_more
        answers = [answer async for answer in client.infer_stream(requests, timeout_s=10)]

    assert answers == []


@both
async def test_a_method_the_server_lacks_is_unimplemented(kind: str) -> None:
    async with a_server() as (_, address), a_client(kind, address) as client:
        assert (await client.server_metadata(timeout_s=10)).extensions == ("statistics",)
        with pytest.raises(inferd_client.Unimplemented):
            await client.statistics(timeout_s=10)


@both
async def test_any_service_is_called_in_the_same_way(kind: str) -> None:
    less = ("x-degraded", "features=stale;reason=TIMED_OUT;age_ms=1500")

    async def answer_with_less(context: Any) -> None:
        context.set_trailing_metadata((less,))

    async with a_server() as (server, address), a_client(kind, address) as client:
        server.troubles.extend([shed(0), refusal(StatusCode.UNAVAILABLE, "down", less)])
        ask = (
            "/somebodys.own.Service/ServerLive",
            pb.ServerLiveRequest(),
            pb.ServerLiveResponse,
        )
        with pytest.raises(inferd_client.Unavailable, match="down") as caught:
            await client.call(*ask, timeout_s=10)
        server.troubles.append(answer_with_less)
        answer = await client.call(*ask, timeout_s=10, metadata={"x-tenant": "a"})

    assert len(server.calls) == 3
    assert server.calls[2][1]["x-tenant"] == "a"
    assert answer.message.live is True
    (degraded,) = answer.degraded
    assert degraded == ("features", "stale", "TIMED_OUT", 1.5)
    assert caught.value.degraded == answer.degraded


async def test_threads_may_share_a_client() -> None:
    def ask(client: Client, number: int) -> int:
        array = np.full((1, 3), number, dtype=np.int64)
        return int(client.infer("echo", {"x": array}, timeout_s=30)["x"].sum())

    async with a_server() as (server, address):
        with Client(address, options=LOCAL) as client:
            server.troubles.extend([shed(1)] * 3)
            sums = await asyncio.gather(
                *(asyncio.to_thread(ask, client, number) for number in range(40))
            )

    assert sums == [3 * number for number in range(40)]


async def test_lives_in_one_process_beside_tritonclient() -> None:
    def ask_with_triton(address: str) -> Any:
        tensor = triton.InferInput("pixels", [2, 64], "FP32")
        tensor.set_data_from_numpy(PIXELS)
        with triton.InferenceServerClient(address) as client:
            return client.infer("digits", [tensor], client_timeout=10).as_numpy("label")

    async with a_server() as (_, address), a_client("asyncio", address) as client:
        ours = await client.infer("digits", {"pixels": PIXELS}, timeout_s=10)
        theirs = await asyncio.to_thread(ask_with_triton, address)

    np.testing.assert_array_equal(ours["label"], theirs)


async def test_the_readmes_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)

    async with a_server() as (_, address):
        for example in examples:
            code = compile(example.replace("127.0.0.1:8001", address), str(README), "exec")
            await asyncio.to_thread(exec, code, {"__name__": "__main__"})

    assert len(examples) == 9
    assert "[[0]] 0.1 {'queue-ms': 0.25}" in capsys.readouterr().out
