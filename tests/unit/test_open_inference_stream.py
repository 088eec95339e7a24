"""`ModelStreamInfer`: many requests in flight on one stream, and a response for each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest

from inferd.call import Call
from inferd.config import Config
from inferd.deadline import Deadline
from inferd.errors import InvalidRequest, Shed
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.open_inference import OpenInference
from inferd.services.open_inference.stream import answers
from support.fake_models import FakeModels, FakeVersion


def a_request(seconds: float, name: str = "", model: str = "m") -> pb.ModelInferRequest:
    """Return a request that takes the model so long."""
    return pb.ModelInferRequest(
        model_name=model,
        id=name,
        inputs=[{"name": "x", "datatype": "FP32", "shape": [1, 2]}],
        raw_input_contents=[np.array([seconds, 0], "<f4").tobytes()],
    )


def a_version() -> FakeVersion:
    """Return a version that takes as long as its input says."""
    version = FakeVersion()

    async def run(inputs: Any) -> Any:
        await asyncio.sleep(float(inputs["x"][0, 0]))
        return version.zeros(inputs)

    version.run = run
    return version


def serving(version: FakeVersion) -> OpenInference:
    models: Any = FakeModels(version)
    return OpenInference(models, Config(), clock=asyncio.get_running_loop().time)


async def given(*requests: pb.ModelInferRequest) -> AsyncIterator[pb.ModelInferRequest]:
    for request in requests:
        yield request


async def answered(
    requests: AsyncIterator[pb.ModelInferRequest], *, version: FakeVersion | None = None
) -> list[pb.ModelStreamInferResponse]:
    stream = serving(version or a_version()).model_stream_infer(requests, Call("/", arrived=0.0))
    return [response async for response in stream]


async def test_responses_come_when_they_are_ready() -> None:
    loop = asyncio.get_running_loop()

    responses = await answered(given(a_request(3, "a"), a_request(1, "b"), a_request(2, "c")))

    assert [each.infer_response.id for each in responses] == ["b", "c", "a"]
    assert loop.time() == pytest.approx(3)


async def test_requests_that_cannot_be_told_apart_are_answered_in_order() -> None:
    version = a_version()
    order: list[float] = []

    async def run(inputs: Any) -> Any:
        await asyncio.sleep(float(inputs["x"][0, 0]))
        order.append(float(inputs["x"][0, 0]))
        return {"y": inputs["x"][:, :1]}

    version.run = run
    requests = given(a_request(3), a_request(1), a_request(2, "named"), a_request(4))

    responses = await answered(requests, version=version)

    assert order == [1, 2, 3, 4]
    assert [
        np.frombuffer(each.infer_response.raw_output_contents[0], "<f4")[0] for each in responses
    ] == [2, 3, 1, 4]


async def test_an_error_is_a_response_and_the_stream_goes_on() -> None:
    bad = a_request(0, "bad")
    bad.inputs[0].datatype = "INT32"

    responses = await answered(given(bad, a_request(0, "q", model="q"), a_request(1, "good")))

    assert [each.error_message for each in responses] == [
        "inference input 'x' data-type is 'INT32', but model 'm' expects 'FP32'",
        "Request for unknown model: 'q' is not found",
        "",
    ]
    assert [each.infer_response.id for each in responses] == ["bad", "q", "good"]
    assert [each.infer_response.model_name for each in responses] == ["m", "q", "m"]


async def test_a_bug_is_a_response_without_its_cause(caplog: pytest.LogCaptureFixture) -> None:
    version = FakeVersion()

    def run(_: object) -> Any:
        raise ZeroDivisionError("secret")

    version.run = run

    [response] = await answered(given(a_request(0, "a")), version=version)

    assert response.error_message == "internal error, its cause is in the server's log"
    assert "secret" in caplog.text


async def test_every_response_is_its_requests_last() -> None:
    request = a_request(0, "a")
    request.parameters["triton_enable_empty_final_response"].bool_param = True

    responses = await answered(given(request, a_request(0, "q", model="q")))

    assert len(responses) == 2
    for each in responses:
        assert each.infer_response.parameters["triton_final_response"].bool_param


async def test_each_request_arrives_when_it_is_read_and_has_the_streams_deadline() -> None:
    version = a_version()

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        yield a_request(0)
        await asyncio.sleep(5)
        yield a_request(0)

    call = Call("/", arrived=0.0, deadline=Deadline(60.0), metadata={"k": "v"}, peer="p")
    call.span = object()
    async for _ in serving(version).model_stream_infer(requests(), call):
        pass

    calls = [asked.call for asked in version.asked]
    assert [each.arrived for each in calls] == [0, 5]
    assert {(each.deadline, each.peer, each.span) for each in calls} == {
        (Deadline(60.0), "p", call.span)
    }
    assert all(each.metadata == {"k": "v"} for each in calls)


async def test_requests_are_read_only_as_fast_as_responses_are_taken() -> None:
    read = 0

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        nonlocal read
        for _ in range(10):
            read += 1
            yield a_request(0)

    async def answer(_: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
        return pb.ModelStreamInferResponse()

    async with aclosing(answers(requests(), answer, most=3)) as stream:
        for taken in range(1, 11):
            await anext(stream)
            await asyncio.sleep(1)
            # Three are in flight or unsent, and one more is read and waits for a place.
            assert read == min(10, 2 + taken + 1)


async def test_whoever_leaves_takes_everything_along() -> None:
    version = a_version()
    cancelled = 0

    async def run(_: object) -> Any:
        nonlocal cancelled
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled += 1
            raise

    version.run = run
    endless = asyncio.Event()

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        for _ in range(3):
            yield a_request(0)
        await endless.wait()

    reading = asyncio.create_task(answered(requests(), version=version))
    await asyncio.sleep(1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    assert cancelled == 3
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_leaving_after_one_response_takes_the_rest_along() -> None:
    requests = given(a_request(0), a_request(3600))
    stream = serving(a_version()).model_stream_infer(requests, Call("/", arrived=0.0))
    async with aclosing(stream):
        await anext(stream)

    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert asyncio.get_running_loop().time() == 0


async def test_a_stream_that_breaks_answers_what_it_has_read_first() -> None:
    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        yield a_request(2, "a")
        raise InvalidRequest("not a message")

    stream = serving(a_version()).model_stream_infer(requests(), Call("/", arrived=0.0))

    assert (await anext(stream)).infer_response.id == "a"
    with pytest.raises(InvalidRequest, match="not a message"):
        await anext(stream)


async def test_a_stream_without_requests_ends() -> None:
    assert await answered(given()) == []


async def test_a_refusal_of_one_is_not_the_fate_of_another() -> None:
    version = a_version()

    async def run(inputs: Any) -> Any:
        if inputs["x"][0, 0] == 1:
            raise Shed("too much to do")
        await asyncio.sleep(5)
        return version.zeros(inputs)

    version.run = run

    responses = await answered(given(a_request(0, "a"), a_request(1, "b")), version=version)

    assert [(each.infer_response.id, each.error_message) for each in responses] == [
        ("b", "too much to do"),
        ("a", ""),
    ]
