"""Requests that say the same are read once; whoever says anything else is read."""

from typing import Any

import numpy as np
import pytest

from inferd.call import Call
from inferd.config import Config
from inferd.errors import InvalidRequest
from inferd.oip import grpc_service_pb2 as pb
from inferd.services.open_inference import OpenInference
from inferd.services.open_inference.exchange import Exchange
from support.fake_models import FakeModels, FakeVersion, tensor


class Served:
    """A service, and how often its requests have been read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **version: Any) -> None:
        self.version = FakeVersion(**version)
        self.models = FakeModels(self.version)
        models: Any = self.models
        self.service = OpenInference(models, Config(), clock=lambda: 0.0)
        self.read = 0
        question = Exchange.question

        def counted(exchange: Exchange, request: pb.ModelInferRequest) -> Any:
            self.read += 1
            return question(exchange, request)

        monkeypatch.setattr(Exchange, "question", counted)

    async def ask(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        encoded = await self.service.model_infer(request, Call("/", arrived=0.0))
        return pb.ModelInferResponse.FromString(encoded)

    def inputs(self) -> list[Any]:
        return [each.inputs["x"].tolist() for each in self.version.asked]


def a_request(*values: float, **fields: Any) -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="m", **fields)
    request.inputs.add(name="x", datatype="FP32", shape=[len(values) // 2, 2])
    request.raw_input_contents.append(np.array(values, "<f4").tobytes())
    return request


async def test_what_differs_in_its_data_only_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Served(monkeypatch)

    for at in range(4):
        await it.ask(a_request(at, at + 1))

    assert it.read == 1
    assert it.inputs() == [[[at, at + 1]] for at in range(4)]


async def test_ids_do_not_matter_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Served(monkeypatch)

    ids = [(await it.ask(a_request(1, 2, id=each))).id for each in ("", "a", "grüße", "")]

    assert it.read == 1
    assert ids == ["", "a", "grüße", ""]


@pytest.mark.parametrize(
    "other",
    [
        a_request(1, 2, 3, 4),
        a_request(1, 2, model_version="1"),
        a_request(1, 2, parameters={"priority": pb.InferParameter(int64_param=1)}),
        a_request(1, 2, outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="y")]),
    ],
    ids=["rows", "version", "parameters", "outputs"],
)
async def test_what_says_something_else_is_read(
    monkeypatch: pytest.MonkeyPatch, other: pb.ModelInferRequest
) -> None:
    it = Served(monkeypatch)
    await it.ask(a_request(1, 2))

    await it.ask(other)

    assert it.read == 2


async def test_what_was_asked_for_is_remembered_with_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = Served(monkeypatch)
    parameters = {
        "priority": pb.InferParameter(int64_param=2),
        "timeout": pb.InferParameter(int64_param=5000),
    }

    for _ in range(2):
        await it.ask(a_request(1, 2, parameters=parameters))

    assert it.read == 1
    assert [(each.priority, each.timeout_s) for each in it.version.asked] == [(2, 0.005)] * 2


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 9])
async def test_data_of_the_wrong_size_are_refused_as_ever(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    it = Served(monkeypatch)
    await it.ask(a_request(1, 2))
    request = a_request(1, 2)
    request.raw_input_contents[0] = data

    with pytest.raises(InvalidRequest, match="input byte size mismatch"):
        await it.ask(request)


async def test_a_request_without_data_is_not_taken_for_one_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    it = Served(monkeypatch)
    await it.ask(a_request(1, 2))
    request = a_request(1, 2)
    del request.raw_input_contents[:]

    with pytest.raises(InvalidRequest, match="unable to find data"):
        await it.ask(request)


@pytest.mark.parametrize(
    ("special", "data"),
    [
        ({"inputs": [tensor("x", "BOOL", -1, 2)]}, b"\x01\0"),
        ({"inputs": [tensor("x", "BYTES", -1, 2)]}, b"\0\0\0\0\x01\0\0\0a"),
        ({"parameters": {"refuse_nan": "true"}}, b"\0" * 8),
    ],
    ids=["bool", "bytes", "finite"],
)
async def test_data_that_must_be_looked_at_are(
    monkeypatch: pytest.MonkeyPatch, special: Any, data: bytes
) -> None:
    it = Served(monkeypatch, **special)
    datatype = it.version.signature.inputs[0].datatype.name

    for _ in range(2):
        request = pb.ModelInferRequest(model_name="m", raw_input_contents=[data])
        request.inputs.add(name="x", datatype=datatype, shape=[1, 2])
        await it.ask(request)

    assert it.read == 2


async def test_what_was_known_of_a_version_goes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    it = Served(monkeypatch)
    await it.ask(a_request(1, 2))
    newer = FakeVersion(version="2")
    it.models.versions.append(newer)
    for listener in it.models.listeners:
        listener()

    response = await it.ask(a_request(3, 4))

    assert response.model_version == "2"
    assert len(newer.asked) == 1
