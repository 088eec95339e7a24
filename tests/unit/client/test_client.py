"""The blocking client over grpcio-testing's fake channel and fake time: no socket, no wait."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import grpc_testing
import numpy as np
import pytest
from grpc import StatusCode

from inferd.oip import grpc_service_pb2 as pb
from inferd_client import (
    Client,
    DeadlineExceeded,
    Degradation,
    InferRequest,
    InvalidRequest,
    NotFound,
    ServerError,
    Unavailable,
)

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
PIXELS = np.zeros((1, 2), dtype=np.float32)
ANSWER = pb.ModelInferResponse(
    model_name="digits",
    outputs=[{"name": "label", "datatype": "INT8", "shape": [1, 1]}],
    raw_output_contents=[b"\5"],
)

pytestmark = pytest.mark.timeout(20)  # the fake channel waits for ever for an attempt


class Bench:
    """A client and, at the other end of its channel, the test."""

    def __init__(self, **arguments: Any) -> None:
        self.time = grpc_testing.strict_fake_time(1000.0)
        self.channel = grpc_testing.channel([SERVICE], self.time)
        self.client = Client(
            self.channel,
            clock=self.time.time,
            sleep=self.time.sleep_for,
            random=lambda: 0.5,
            **arguments,
        )

    def take(self, method: str) -> tuple[dict[str, str], Any, Any]:
        """Wait for the next attempt: its metadata, its request and how to answer it."""
        described = SERVICE.methods_by_name[method]
        metadata, request, rpc = self.channel.take_unary_unary(described)
        return dict(metadata), request, rpc

    def answer(self, method: str, message: Any, *trailing: tuple[str, str]) -> Any:
        """Answer the next attempt and return its request."""
        _, request, rpc = self.take(method)
        rpc.terminate(message, trailing, StatusCode.OK, "")
        return request

    def fail(
        self, method: str, code: StatusCode, text: str, *trailing: tuple[str, str]
    ) -> dict[str, str]:
        """Fail the next attempt and return its metadata."""
        metadata, _, rpc = self.take(method)
        rpc.terminate(None, trailing, code, text)
        return metadata


def started(call: Callable[[], Any]) -> "Future[Any]":
    """Make a blocking call in a thread that a failing test does not wait for."""
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def infer(bench: Bench, **arguments: Any) -> "Future[Any]":
    arguments = {"timeout_s": 1.0} | arguments
    return started(lambda: bench.client.infer("digits", {"pixels": PIXELS}, **arguments))


def test_arrays_go_in_and_come_out() -> None:
    bench = Bench()

    call = infer(bench, request_id="r-1")
    request = bench.answer("ModelInfer", ANSWER, ("x-latency-queue-ms", "0.5"))

    assert (request.id, request.raw_input_contents[0]) == ("r-1", PIXELS.tobytes())
    assert call.result(5)["label"].tolist() == [[5]]
    assert call.result(5).latency == {"queue-ms": 0.5}


def test_sends_its_own_metadata_and_then_the_calls() -> None:
    bench = Bench(metadata={"authorization": "Bearer t"})

    call = infer(bench, metadata=[("x-tenant", "a")], explain=True)
    metadata, _, rpc = bench.take("ModelInfer")
    rpc.terminate(ANSWER, (), StatusCode.OK, "")

    call.result(5)
    sent = [key for key in metadata if isinstance(key, str) and not key.startswith("grpc.")]
    assert sent == ["authorization", "x-tenant", "x-explain-latency"]


def test_comes_back_when_the_server_said_it_may() -> None:
    bench = Bench()

    call = infer(bench)
    first = bench.fail(
        "ModelInfer", StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", "120")
    )
    second, _, rpc = bench.take("ModelInfer")
    rpc.terminate(ANSWER, (), StatusCode.OK, "")

    assert call.result(5)["label"].tolist() == [[5]]
    assert bench.time.time() == pytest.approx(1000.120)
    assert "grpc-previous-rpc-attempts" not in first
    assert second["grpc-previous-rpc-attempts"] == "1"


def test_does_not_come_back_when_the_server_said_never() -> None:
    bench = Bench()

    call = infer(bench)
    bench.fail("ModelInfer", StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", "-1"))

    with pytest.raises(Unavailable, match="shed"):
        call.result(5)
    assert bench.time.time() == 1000.0


def test_does_not_wait_for_an_attempt_that_cannot_fit() -> None:
    bench = Bench()

    call = infer(bench, timeout_s=0.1)
    bench.fail("ModelInfer", StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", "120"))

    with pytest.raises(Unavailable) as caught:
        call.result(5)
    assert caught.value.retry_after_s == 0.120
    assert bench.time.time() == 1000.0


def test_a_nap_that_took_too_long_ends_in_the_servers_words() -> None:
    bench = Bench()
    bench.client = Client(
        bench.channel,
        clock=bench.time.time,
        sleep=lambda seconds: bench.time.sleep_for(seconds + 1.0),
    )

    call = infer(bench)
    bench.fail("ModelInfer", StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", "9"))

    with pytest.raises(Unavailable, match="shed"):
        call.result(5)


def test_gives_up_after_three_attempts_though_invited_to_a_fourth() -> None:
    bench = Bench()

    call = infer(bench)
    for _ in range(3):
        bench.fail("ModelInfer", StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", "9"))

    with pytest.raises(Unavailable, match="shed"):
        call.result(5)
    assert bench.time.time() == pytest.approx(1000.018)


def test_an_error_is_not_hidden_by_retries_elsewhere() -> None:
    bench = Bench()

    call = infer(bench)
    bench.fail("ModelInfer", StatusCode.UNAVAILABLE, "shed", ("grpc-retry-pushback-ms", "0"))
    bench.fail("ModelInfer", StatusCode.NOT_FOUND, "Request for unknown model: 'digits'")

    with pytest.raises(NotFound, match="unknown model"):
        call.result(5)


def test_sends_nothing_that_cannot_be_sent() -> None:
    client = Bench().client

    with pytest.raises(InvalidRequest, match="'pixels'"):
        client.infer("digits", {"pixels": [1.0]}, timeout_s=1.0)  # type: ignore[dict-item]
    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        client.infer("digits", {"pixels": PIXELS}, timeout_s=0.0)


@pytest.mark.parametrize(
    ("method", "call", "answer", "expected"),
    [
        ("ServerLive", "server_live", pb.ServerLiveResponse(live=True), True),
        ("ServerReady", "server_ready", pb.ServerReadyResponse(), False),
        ("ModelReady", "model_ready", pb.ModelReadyResponse(ready=True), True),
        ("RepositoryModelLoad", "load_model", pb.RepositoryModelLoadResponse(), None),
        ("RepositoryModelUnload", "unload_model", pb.RepositoryModelUnloadResponse(), None),
        ("RepositoryIndex", "repository_index", pb.RepositoryIndexResponse(), ()),
        ("ModelStatistics", "statistics", pb.ModelStatisticsResponse(), ()),
    ],
)
def test_asks_the_rest_of_the_service(
    method: str, call: str, answer: Any, expected: object
) -> None:
    bench = Bench()
    arguments = ("digits",) if "model" in call else ()

    asked = started(lambda: getattr(bench.client, call)(*arguments, timeout_s=1.0))
    request = bench.answer(method, answer)

    assert asked.result(5) == expected
    if arguments:
        assert "digits" in {getattr(request, "name", ""), getattr(request, "model_name", "")}


def test_asks_any_service_anything() -> None:
    bench = Bench(metadata={"authorization": "Bearer t"})

    call = started(
        lambda: bench.client.call(
            "/inference.GRPCInferenceService/ModelReady",
            pb.ModelReadyRequest(name="digits"),
            pb.ModelReadyResponse,
            timeout_s=1.0,
            criticality="SHEDDABLE",
        )
    )
    metadata, request, rpc = bench.take("ModelReady")
    degraded = ("x-degraded", "model=small;reason=OVERLOADED")
    rpc.terminate(pb.ModelReadyResponse(ready=True), (degraded,), StatusCode.OK, "")

    assert (request.name, metadata["authorization"]) == ("digits", "Bearer t")
    assert metadata["x-criticality"] == "SHEDDABLE"
    answer = call.result(5)
    assert answer.message == pb.ModelReadyResponse(ready=True)
    assert answer.degraded == (Degradation("model", "small", "OVERLOADED"),)
    assert answer.trailing["x-degraded"] == degraded[1]


def test_reads_who_the_server_and_the_model_are() -> None:
    bench = Bench()

    server = started(lambda: bench.client.server_metadata(timeout_s=1.0))
    bench.answer(
        "ServerMetadata", pb.ServerMetadataResponse(name="inferd", extensions=["statistics"])
    )
    model = started(lambda: bench.client.model_metadata("digits", timeout_s=1.0))
    bench.answer("ModelMetadata", pb.ModelMetadataResponse(name="digits", versions=["1"]))

    assert (server.result(5).name, server.result(5).extensions) == ("inferd", ("statistics",))
    assert (model.result(5).name, model.result(5).versions) == ("digits", ("1",))


def a_stream(bench: Bench, requests: Any) -> "tuple[Future[Any], Any]":
    """Read a whole stream in a thread; return its answers to come, and its server side."""
    answers = started(lambda: list(bench.client.infer_stream(requests, timeout_s=1.0)))
    described = SERVICE.methods_by_name["ModelStreamInfer"]
    _, rpc = bench.channel.take_stream_stream(described)
    return answers, rpc


def test_a_stream_goes_on_after_an_error() -> None:
    bench = Bench()
    ids = ["a", "b"]
    requests = [InferRequest(model="m", inputs={}, request_id=each) for each in ids]

    answers, rpc = a_stream(bench, requests)
    received = [rpc.take_request().id for _ in requests]
    rpc.send_response(pb.ModelStreamInferResponse(error_message="no"))
    rpc.send_response(pb.ModelStreamInferResponse(infer_response=ANSWER))
    rpc.terminate((), StatusCode.OK, "")

    assert received == ids
    assert [answer.error for answer in answers.result(5)] == ["no", ""]
    assert answers.result(5)[1].result()["label"].tolist() == [[5]]


def test_a_stream_that_breaks_raises() -> None:
    bench = Bench()

    answers, rpc = a_stream(bench, [])
    rpc.terminate((), StatusCode.INTERNAL, "broken")

    with pytest.raises(ServerError, match="broken"):
        answers.result(5)


def test_a_bad_request_ends_its_stream_after_the_answers_before_it() -> None:
    bench = Bench()
    good = InferRequest(model="m", inputs={}, request_id="good")
    bad = InferRequest(model="m", inputs={"x": [1.0]})  # type: ignore[dict-item]

    stream = bench.client.infer_stream([good, bad, good], timeout_s=1.0)
    _, rpc = bench.channel.take_stream_stream(SERVICE.methods_by_name["ModelStreamInfer"])
    rpc.take_request()
    rpc.requests_closed()
    rpc.send_response(pb.ModelStreamInferResponse(infer_response={"id": "good"}))
    rpc.terminate((), StatusCode.OK, "")

    assert next(stream).id == "good"
    with pytest.raises(InvalidRequest, match="'x'"):
        next(stream)


def test_leaves_a_channel_open_that_it_did_not_open() -> None:
    bench = Bench()

    with bench.client as client:
        pass

    call = started(lambda: client.server_live(timeout_s=1.0))
    bench.answer("ServerLive", pb.ServerLiveResponse(live=True))
    assert call.result(5) is True
