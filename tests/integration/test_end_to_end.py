"""A real server, real models and real clients: what a caller can rely on.

Triton's client, the digits example and grpcurl run in processes of their own; our own
clients run here. The server is shared, so a test looks at its own model's counts only.
"""

import asyncio
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

import inferd_client
from inferd_client import AsyncClient, BFloat16, Client, InferRequest, RetryPolicy
from support.server import ROOT, Server

#: For what must not be refused for lack of time, on any machine.
AMPLE_S = 30.0
#: Microseconds, as the protocol's `timeout` parameter has them: less than a run of `slow`.
TOO_LITTLE_US = 10_000
ONCE = RetryPolicy(max_attempts=1)
GRPCURL = shutil.which("grpcurl")

needs_grpcurl = pytest.mark.skipif(
    GRPCURL is None and "CI" not in os.environ, reason="grpcurl is not installed"
)

Array = NDArray[Any]


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, retry=ONCE) as client:
        yield client


def run(*command: str) -> str:
    """Run a program to its good end and return what it printed."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=AMPLE_S * 2, cwd=ROOT, check=False
    )
    assert done.returncode == 0, f"{command[:3]} ended with {done.returncode}:\n{done.stderr}"
    return done.stdout


def one(value: float) -> dict[str, Array]:
    return {"INPUT0": np.array([[value]], np.float32)}


def index(*values: int) -> dict[str, Array]:
    return {"INDEX": np.array([[value] for value in values], np.int64)}


# -- other people's clients ------------------------------------------------------------


@pytest.fixture(scope="module")
def triton(server: Server) -> Any:
    return json.loads(run(sys.executable, "tests/support/triton_script.py", server.address))


def test_tritons_client_adds_and_subtracts(triton: Any) -> None:
    assert triton["simple"] == {
        "sum": [each + 1 for each in range(16)],
        "difference": [each - 1 for each in range(16)],
        "id": "7",
    }


def test_tritons_client_sees_a_server_and_a_model_that_are_ready(triton: Any) -> None:
    assert (triton["live"], triton["ready"], triton["model ready"]) == (True, True, True)
    assert triton["config"] == 8


def test_tritons_client_sends_text(triton: Any) -> None:
    assert triton["text"] == ["", "grüß", "a\0b", "x" * 1000]


def test_tritons_client_gets_classes(triton: Any) -> None:
    assert triton["classes"] == ["0.500000:1:east", "0.250000:2:south"]


def test_tritons_client_finds_the_words_it_looks_for(triton: Any) -> None:
    assert triton["unknown"] == {
        "status": "StatusCode.NOT_FOUND",
        "message": "Request for unknown model: 'nosuch' is not found",
    }


def test_tritons_client_streams(triton: Any) -> None:
    first, failed, last = triton["stream"]

    assert (first, last) == ([10.0], [40.0])
    assert "99" in failed


def test_the_digits_are_read(server: Server) -> None:
    text = run(sys.executable, "examples/digits/classify.py", "--url", server.address)

    accuracy = float(text.split()[1])
    assert accuracy >= 0.97, text
    assert "300 held-out digits" in text


def grpcurl(server: Server, *arguments: str, data: object = None) -> str:
    assert GRPCURL, "grpcurl is not installed"
    sent = () if data is None else ("-d", json.dumps(data))
    return run(GRPCURL, "-plaintext", *sent, server.address, *arguments)


@needs_grpcurl
def test_grpcurl_lists_and_describes(server: Server) -> None:
    services = grpcurl(server, "list").split()
    described = grpcurl(server, "describe", "inference.GRPCInferenceService.ModelInfer")

    assert {"inference.GRPCInferenceService", "grpc.health.v1.Health"} <= set(services)
    assert "rpc ModelInfer ( .inference.ModelInferRequest )" in described


@needs_grpcurl
def test_grpcurl_infers_with_typed_contents(server: Server) -> None:
    def tensor(name: str, values: list[int]) -> dict[str, Any]:
        contents = {"intContents": values}
        return {"name": name, "datatype": "INT32", "shape": ["1", "16"], "contents": contents}

    inputs = [tensor("INPUT0", [*range(16)]), tensor("INPUT1", [1] * 16)]
    request = {"modelName": "simple", "id": "x", "inputs": inputs}
    answer = json.loads(grpcurl(server, "inference.GRPCInferenceService/ModelInfer", data=request))

    outputs = {each["name"]: each for each in answer["outputs"]}
    assert (answer["model_name"], answer["id"]) == ("simple", "x")
    assert outputs["OUTPUT0"]["contents"]["int_contents"] == [each + 1 for each in range(16)]
    assert outputs["OUTPUT1"]["contents"]["int_contents"] == [each - 1 for each in range(16)]


@needs_grpcurl
def test_grpcurl_checks_health(server: Server) -> None:
    for name in ("", "simple", "simple/1", "inference.GRPCInferenceService"):
        answer = grpcurl(server, "grpc.health.v1.Health/Check", data={"service": name})

        assert json.loads(answer) == {"status": "SERVING"}


# -- tensors ----------------------------------------------------------------------------

EXTREMES: dict[str, list[Any]] = {
    "BOOL": [True, False, True],
    "UINT8": [0, 255],
    "UINT16": [0, 2**16 - 1],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-(2**15), 2**15 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [-65504.0, 0.0, 6e-8, np.inf],
    "FP32": [-3.4e38, 1e-45, np.nan],
    "FP64": [-1.8e308, 5e-324, -0.0],
    "BYTES": [b"", b"a\0b\0", "grüß".encode(), b"x" * 70_000],
}


def test_all_datatypes_come_back_as_they_went(client: Client) -> None:
    inputs = {}
    for datatype, values in EXTREMES.items():
        dtype = object if datatype == "BYTES" else datatype.lower().replace("fp", "float")
        inputs[f"INPUT_{datatype}"] = np.array([values], dtype)

    answer = client.infer("identity_all", inputs, timeout_s=AMPLE_S)

    assert sorted(answer.outputs) == sorted(f"OUTPUT_{datatype}" for datatype in EXTREMES)
    for datatype in EXTREMES:
        sent, got = inputs[f"INPUT_{datatype}"], answer[f"OUTPUT_{datatype}"]
        assert answer.datatypes[f"OUTPUT_{datatype}"] == datatype
        assert (got.dtype, got.shape) == (sent.dtype, sent.shape)
        assert got.tolist() == sent.tolist() or got.tobytes() == sent.tobytes()


def test_bf16_comes_back_bit_by_bit(client: Client) -> None:
    bits = np.array([[0x0000, 0x3F80, 0x7F80, 0xFF80, 0x7FC1, 0x0001]], np.uint16)

    answer = client.infer("identity_bf16", {"INPUT0": BFloat16(bits)}, timeout_s=AMPLE_S)

    assert answer.datatypes == {"OUTPUT0": "BF16"}
    assert answer["OUTPUT0"].view(np.uint16).tolist() == bits.tolist()


@pytest.mark.parametrize(
    ("model", "empty"),
    [
        ("identity_fp32", np.zeros((3, 0), np.float32)),
        ("sequence_any", np.zeros((2, 0, 5), np.float32)),
        ("sequence_any", np.zeros((2, 5, 0), np.float32)),
        ("identity_bytes", np.zeros((2, 0), object)),
    ],
)
def test_an_empty_tensor_keeps_its_shape(client: Client, model: str, empty: Array) -> None:
    answer = client.infer(model, {"INPUT0": empty}, timeout_s=AMPLE_S)

    assert (answer["OUTPUT0"].shape, answer["OUTPUT0"].dtype) == (empty.shape, empty.dtype)


def test_a_model_without_a_batch_dimension(client: Client) -> None:
    matrix = np.arange(6, dtype=np.float32).reshape(2, 3)

    answer = client.infer("no_batch", {"INPUT0": matrix}, timeout_s=AMPLE_S)

    assert answer["OUTPUT0"].tolist() == matrix.T.tolist()


def test_only_the_outputs_asked_for_come_and_in_that_order(client: Client) -> None:
    inputs = {name: np.ones((1, 16), np.int32) for name in ("INPUT0", "INPUT1")}

    second = client.infer("simple", inputs, outputs=["OUTPUT1"], timeout_s=AMPLE_S)
    both = client.infer("simple", inputs, outputs=["OUTPUT1", "OUTPUT0"], timeout_s=AMPLE_S)

    assert list(second.outputs) == ["OUTPUT1"]
    assert list(both.outputs) == ["OUTPUT1", "OUTPUT0"]
    assert (both["OUTPUT0"].max(), both["OUTPUT1"].max()) == (2, 0)


@pytest.mark.parametrize("rows", [8, 9, 20, 64])
def test_more_rows_than_a_batch_holds_come_back_whole_and_in_order(
    client: Client, rows: int
) -> None:
    numbers = np.arange(rows * 16, dtype=np.int32).reshape(rows, 16)

    answer = client.infer("simple", {"INPUT0": numbers, "INPUT1": -numbers}, timeout_s=AMPLE_S)

    assert not answer["OUTPUT0"].any()
    assert answer["OUTPUT1"].tolist() == (2 * numbers).tolist()


def test_text_is_split_like_numbers(client: Client) -> None:
    words = np.array([[f"{row}", "x" * row] for row in range(19)], object)

    answer = client.infer("identity_bytes", {"INPUT0": words}, timeout_s=AMPLE_S)

    assert answer["OUTPUT0"].tolist() == [[b"%d" % row, b"x" * row] for row in range(19)]


async def test_an_optional_input_may_be_left_out_beside_callers_who_give_it(server: Server) -> None:
    values = np.array([[1, 2, 3, 4]], np.float32)
    with_it = {"INPUT0": values, "INPUT1": values}

    async with AsyncClient(server.address, retry=ONCE) as client:
        answers = await asyncio.gather(
            *(
                client.infer(
                    "optional_input", with_it if at % 2 else {"INPUT0": values}, timeout_s=AMPLE_S
                )
                for at in range(20)
            )
        )

    for at, answer in enumerate(answers):
        expected = values * 2 if at % 2 else values + 10
        assert answer["OUTPUT0"].tolist() == expected.tolist()


async def test_both_clients_get_the_same(server: Server, client: Client) -> None:
    blocking = client.infer("identity_fp32", one(7), request_id="a", timeout_s=AMPLE_S)
    async with AsyncClient(server.address) as other:
        awaited = await other.infer("identity_fp32", one(7), request_id="a", timeout_s=AMPLE_S)

    for answer in (blocking, awaited):
        assert (answer.id, answer.model_name, answer.model_version) == ("a", "identity_fp32", "1")
        assert answer["OUTPUT0"].tolist() == [[7.0]]


# -- strangers in a batch ------------------------------------------------------------------


async def test_a_poisonous_input_fails_alone_in_its_batch(server: Server) -> None:
    async with AsyncClient(server.address, retry=ONCE) as client:
        before = (await client.statistics("patient", timeout_s=AMPLE_S))[0]
        answers = await asyncio.gather(
            *(
                client.infer("patient", index(99 if at == 5 else at % 4), timeout_s=AMPLE_S)
                for at in range(16)
            ),
            return_exceptions=True,
        )
        after = (await client.statistics("patient", timeout_s=AMPLE_S))[0]

    assert after.execution_count == before.execution_count + 1, "they did not share a batch"
    failure = answers.pop(5)
    assert isinstance(failure, inferd_client.ServerError)
    assert (failure.reason, failure.pushback_ms) == ("MODEL_FAILED", -1)
    for at, answer in zip([each for each in range(16) if each != 5], answers, strict=True):
        assert not isinstance(answer, BaseException), answer
        assert answer["OUTPUT0"].tolist() == [[10 * (at % 4 + 1)]]


async def test_callers_who_leave_a_waiting_batch_leave_the_others_alone(server: Server) -> None:
    async with AsyncClient(server.address, retry=ONCE) as client:
        before = (await client.statistics("calm", timeout_s=AMPLE_S))[0]
        waiting = [
            asyncio.create_task(client.infer("calm", index(at % 4), timeout_s=AMPLE_S))
            for at in range(15)
        ]
        while not await pending(client, server, "calm", 15):
            assert not any(task.done() for task in waiting)
        for task in waiting[:5]:
            task.cancel()
        while not await pending(client, server, "calm", 10):
            assert not any(task.done() for task in waiting[5:])
        late = [client.infer("calm", index(at % 4), timeout_s=AMPLE_S) for at in range(6)]
        await asyncio.gather(*late)
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        after = (await client.statistics("calm", timeout_s=AMPLE_S))[0]

    assert all(isinstance(each, asyncio.CancelledError) for each in answers[:5])
    for at, answer in enumerate(answers[5:], start=5):
        assert not isinstance(answer, BaseException), answer
        assert answer["OUTPUT0"].tolist() == [[10 * (at % 4 + 1)]]
    assert after.execution_count == before.execution_count + 1
    assert after.fail.count == before.fail.count + 5


async def pending(client: AsyncClient, server: Server, model: str, count: int) -> bool:
    """Whether that many requests wait, as the metrics say. A round trip each."""
    text = await asyncio.to_thread(server.get, "/metrics")
    return f'nv_inference_pending_request_count{{model="{model}",version="1"}} {count}\n' in text


async def test_a_burst_with_cancellations_mixes_up_nobodys_answers(server: Server) -> None:
    rng = random.Random(4)
    async with AsyncClient(server.address, retry=ONCE) as client:
        calls = [
            asyncio.create_task(client.infer("identity_fp32", one(at), timeout_s=AMPLE_S))
            for at in range(400)
        ]
        leavers = set(rng.sample(range(400), 130))
        for at in sorted(leavers):
            if rng.random() < 0.2:
                await asyncio.sleep(0)
            calls[at].cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)

    stayed = [(at, answer) for at, answer in enumerate(answers) if at not in leavers]
    for at, answer in stayed:
        assert not isinstance(answer, BaseException), answer
        assert answer["OUTPUT0"].tolist() == [[float(at)]]


# -- deadlines ----------------------------------------------------------------------------


def test_a_call_without_the_time_for_a_run_is_refused_at_once(client: Client) -> None:
    with pytest.raises(inferd_client.DeadlineExceeded) as refused:
        client.infer("slow", one(1), timeout_s=AMPLE_S, parameters={"timeout": TOO_LITTLE_US})

    assert (refused.value.reason, refused.value.pushback_ms) == ("INFEASIBLE", -1)


def test_the_callers_own_deadline_counts_like_a_parameter(client: Client) -> None:
    reasons = set()
    for _ in range(20):
        with pytest.raises(inferd_client.DeadlineExceeded) as refused:
            client.infer("slow", one(1), timeout_s=0.010)
        # Without a reason it was our own clock that ended the call, a moment earlier.
        reasons.add(refused.value.reason)

    assert "INFEASIBLE" in reasons
    assert reasons <= {"INFEASIBLE", "LATE_DROP", "DEADLINE_EXCEEDED", ""}


async def test_in_a_crowd_some_are_answered_in_time_and_the_rest_hear_that_they_are_not(
    server: Server,
) -> None:
    async with AsyncClient(server.address, retry=ONCE) as client:
        before = (await client.statistics("slow", timeout_s=AMPLE_S))[0]
        answers = await asyncio.gather(
            *(
                client.infer("slow", one(at), timeout_s=AMPLE_S, parameters={"timeout": 500_000})
                for at in range(60)
            ),
            return_exceptions=True,
        )
        after = (await client.statistics("slow", timeout_s=AMPLE_S))[0]

    served = [(at, each) for at, each in enumerate(answers) if not isinstance(each, BaseException)]
    refused = [each for each in answers if isinstance(each, inferd_client.InferdError)]
    assert len(served) + len(refused) == len(answers)
    assert served, "the machine cannot answer even one of them in half a second"
    assert refused, "the machine is faster than this test foresaw"
    assert all(answer["OUTPUT0"].tolist() == [[at]] for at, answer in served)
    kinds = {"SHED": inferd_client.Unavailable, "LATE_DROP": inferd_client.DeadlineExceeded}
    assert all(type(each) is kinds[each.reason] for each in refused)
    assert "SHED" in {each.reason for each in refused}, "most of them are told at the door"
    assert after.success.count - before.success.count == len(served)
    assert after.fail.count - before.fail.count == len(refused)


def test_the_server_has_never_said_ok_too_late(server: Server, client: Client) -> None:
    for timeout_s in (0.03, 0.05, 0.08):
        try:
            client.infer("slow", one(1), timeout_s=timeout_s)
        except inferd_client.DeadlineExceeded:
            continue

    late = [
        line
        for line in server.get("/metrics").splitlines()
        if line.startswith("inferd_deadline_slack_seconds_bucket") and 'le="0.0"' in line
    ]
    assert late
    assert [line for line in late if not line.endswith(" 0")] == []


# -- what can be known of a call, a model, the server ------------------------------------------


def test_a_call_can_be_told_where_its_time_went(client: Client) -> None:
    stages = client.infer("identity_fp32", one(1), timeout_s=AMPLE_S, explain=True).latency

    assert list(stages) == [
        f"{stage}-us" for stage in ("decode", "queue", "batch-wait", "compute", "return", "total")
    ]
    parts = [value for stage, value in stages.items() if stage != "total-us"]
    assert all(part >= 0 for part in parts)
    assert 0 < sum(parts) <= stages["total-us"] + len(parts), "each is rounded"
    assert not client.infer("identity_fp32", one(1), timeout_s=AMPLE_S).latency


def test_statistics_add_up(client: Client) -> None:
    def now() -> inferd_client.ModelStatistics:
        return client.statistics("sequence_any", timeout_s=AMPLE_S)[0]

    before = now()
    for rows in (1, 1, 3, 8, 11):
        tensor = {"INPUT0": np.ones((rows, 2, 2), np.float32)}
        client.infer("sequence_any", tensor, timeout_s=AMPLE_S)
    with pytest.raises(inferd_client.InvalidRequest):
        client.infer("sequence_any", {"INPUT0": np.ones((1, 2), np.float32)}, timeout_s=AMPLE_S)
    after = now()

    assert after.success.count - before.success.count == 5
    assert after.fail.count - before.fail.count == 1
    assert after.inference_count - before.inference_count == 24
    assert after.execution_count - before.execution_count == 6, "11 rows are 8 and 3"
    assert sum(each.compute_infer.count for each in after.batches) == after.execution_count
    rows_run = sum(each.batch_size * each.compute_infer.count for each in after.batches)
    assert rows_run == after.inference_count
    assert after.queue.count == after.success.count
    assert after.compute_infer.count - before.compute_infer.count == 6, "a part counts as one"
    assert after.success.total_ns > after.compute_infer.total_ns > 0
    assert after.last_inference_ms >= before.last_inference_ms > 0


@pytest.mark.parametrize("problem", ["infeasible", "poison"])
def test_a_call_in_parts_fails_once(client: Client, problem: str) -> None:
    model, inputs, timeout_us = {
        "infeasible": ("slow", {"INPUT0": np.ones((20, 1), np.float32)}, TOO_LITTLE_US),
        "poison": ("poison", index(*[99] * 40), 10_000_000),
    }[problem]
    before = client.statistics(model, timeout_s=AMPLE_S)[0]

    with pytest.raises(inferd_client.InferdError):
        client.infer(model, inputs, timeout_s=AMPLE_S, parameters={"timeout": timeout_us})

    after = client.statistics(model, timeout_s=AMPLE_S)[0]
    assert after.fail.count - before.fail.count == 1
    assert after.success.count == before.success.count


def test_the_server_says_what_it_is_and_can(client: Client) -> None:
    metadata = client.server_metadata(timeout_s=AMPLE_S)

    assert metadata.name == "inferd"
    assert {
        "classification",
        "model_repository",
        "schedule_policy",
        "model_configuration",
        "binary_tensor_data",
        "statistics",
    } <= set(metadata.extensions)
    assert "system_shared_memory" not in metadata.extensions, "it is off unless configured"


def test_the_index_tells_what_failed_and_why(client: Client) -> None:
    states = {each.name: each for each in client.repository_index(timeout_s=AMPLE_S)}

    assert states["simple"].state == "READY"
    assert states["nan_maker"].state == "UNAVAILABLE"
    assert "not finite" in states["nan_maker"].reason
    with pytest.raises(inferd_client.NotFound, match="not finite"):
        client.infer("nan_maker", {"INPUT0": np.ones((1, 4), np.float32)}, timeout_s=AMPLE_S)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("", "SERVING"),
        ("simple", "SERVING"),
        ("digits/2", "SERVING"),
        ("nan_maker", "NOT_SERVING"),
        ("nosuch", "SERVICE_UNKNOWN"),
    ],
)
def test_a_health_watch_begins_with_how_it_stands(server: Server, name: str, status: str) -> None:
    with grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=name), timeout=AMPLE_S
        )
        first = next(watch)
        watch.cancel()

    assert health_pb2.HealthCheckResponse.ServingStatus.Name(first.status) == status


# -- streams ------------------------------------------------------------------------------------


def a_stream() -> list[InferRequest]:
    return [
        InferRequest(model="poison", inputs=index(99 if at == 7 else at % 4), request_id=f"{at}")
        for at in range(200)
    ]


def check_stream(answers: dict[str, inferd_client.StreamAnswer]) -> None:
    assert len(answers) == 200
    assert "99" in answers.pop("7").error
    for at, answer in answers.items():
        assert answer.result()["OUTPUT0"].tolist() == [[10 * (int(at) % 4 + 1)]]


def test_a_blocking_stream(client: Client) -> None:
    check_stream({each.id: each for each in client.infer_stream(a_stream(), timeout_s=AMPLE_S)})


async def test_an_asyncio_stream(server: Server) -> None:
    async with AsyncClient(server.address) as client:
        stream = client.infer_stream(a_stream(), timeout_s=AMPLE_S)
        check_stream({each.id: each async for each in stream})


def test_a_stream_without_ids_answers_in_order(client: Client) -> None:
    requests = [InferRequest(model="identity_fp32", inputs=one(at)) for at in range(100)]

    answers = [*client.infer_stream(requests, timeout_s=AMPLE_S)]

    assert [float(each.result()["OUTPUT0"][0, 0]) for each in answers] == [*range(100)]
