"""Requests and answers as values: no channel, no clock."""

from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from inferd.oip import grpc_service_pb2 as pb
from inferd_client import (
    InferRequest,
    InvalidRequest,
    MalformedAnswer,
    ModelState,
    RequestFailed,
    Tally,
    TensorMetadata,
    _calls,
)

PIXELS = np.zeros((1, 2), dtype=np.float32)


def test_a_request_says_what_it_was_told_and_no_more() -> None:
    message = _calls.infer_message(InferRequest(model="digits", inputs={"pixels": PIXELS}))

    assert message == pb.ModelInferRequest(
        model_name="digits",
        inputs=[{"name": "pixels", "datatype": "FP32", "shape": [1, 2]}],
        raw_input_contents=[b"\0" * 8],
    )


def test_a_request_says_all_that_it_was_told() -> None:
    message = _calls.infer_message(
        InferRequest(
            model="digits",
            inputs={"a": PIXELS, "b": np.array(["x"])},
            version="2",
            outputs=["label"],
            request_id="r-1",
            parameters={"b": True, "i": -1, "u": 2**64 - 1, "d": 0.5, "s": "text"},
            priority=7,
        )
    )

    assert MessageToDict(message, preserving_proto_field_name=True) == {
        "model_name": "digits",
        "model_version": "2",
        "id": "r-1",
        "parameters": {
            "b": {"bool_param": True},
            "i": {"int64_param": "-1"},
            "u": {"uint64_param": "18446744073709551615"},
            "d": {"double_param": 0.5},
            "s": {"string_param": "text"},
            "priority": {"uint64_param": "7"},
        },
        "inputs": [
            {"name": "a", "datatype": "FP32", "shape": ["1", "2"]},
            {"name": "b", "datatype": "BYTES", "shape": ["1"]},
        ],
        "outputs": [{"name": "label"}],
        "raw_input_contents": ["AAAAAAAAAAA=", "AQAAAHg="],
    }


@pytest.mark.parametrize("value", [None, [1], b"x", 2**64, -(2**63) - 1, np.int64(1)])
def test_a_parameter_without_a_counterpart_is_refused_by_name(value: Any) -> None:
    request = InferRequest(model="m", inputs={}, parameters={"top_k": value})

    with pytest.raises(InvalidRequest, match="'top_k'"):
        _calls.infer_message(request)


@pytest.mark.parametrize("priority", [-1, 2**64])
def test_a_priority_is_not_negative(priority: int) -> None:
    with pytest.raises(InvalidRequest, match="'priority'"):
        _calls.infer_message(InferRequest(model="m", inputs={}, priority=priority))


def test_a_request_can_ask_for_an_explanation() -> None:
    request = InferRequest(model="m", inputs={})

    ask = _calls.infer(request, metadata={"x-tenant": "a"}, explain=True)

    assert ask.metadata == (("x-tenant", "a"), ("x-explain-latency", "1"))


def test_what_an_answer_is_worth_is_sent_along() -> None:
    request = InferRequest(model="digits", inputs={})

    ask = _calls.infer(request, metadata=(), criticality="SHEDDABLE")

    assert ask.metadata == (("x-criticality", "SHEDDABLE"),)
    assert _calls.infer(request, metadata=()).metadata == ()


def test_an_answer_with_raw_tensors_becomes_arrays() -> None:
    answer = pb.ModelInferResponse(
        model_name="digits",
        model_version="2",
        id="r-1",
        outputs=[
            {"name": "label", "datatype": "INT64", "shape": [2, 1]},
            {"name": "word", "datatype": "BYTES", "shape": [1]},
        ],
        raw_output_contents=[b"\5" + b"\0" * 7 + b"\6" + b"\0" * 7, b"\2\0\0\0hi"],
    )
    answer.parameters["triton_final_response"].bool_param = True
    answer.parameters["unset"].SetInParent()

    result = _calls.read_infer(answer, {})

    assert (result.model_name, result.model_version, result.id) == ("digits", "2", "r-1")
    assert result.outputs["label"].tolist() == [[5], [6]]
    assert result["word"].tolist() == [b"hi"]
    assert result.datatypes == {"label": "INT64", "word": "BYTES"}
    assert result.parameters == {"triton_final_response": True}


@pytest.mark.parametrize(
    ("datatype", "field", "elements"),
    [
        ("BOOL", "bool_contents", [True, False]),
        ("INT8", "int_contents", [1, -2]),
        ("INT16", "int_contents", [1, -2]),
        ("INT32", "int_contents", [1, -2]),
        ("INT64", "int64_contents", [1, -2]),
        ("UINT8", "uint_contents", [1, 2]),
        ("UINT16", "uint_contents", [1, 2]),
        ("UINT32", "uint_contents", [1, 2]),
        ("UINT64", "uint64_contents", [1, 2]),
        ("FP32", "fp32_contents", [1.0, 2.0]),
        ("FP64", "fp64_contents", [1.0, 2.0]),
        ("BYTES", "bytes_contents", [b"a", b"b"]),
    ],
)
def test_an_answer_with_typed_contents_becomes_arrays(
    datatype: str, field: str, elements: list[Any]
) -> None:
    answer = pb.ModelInferResponse()
    output = answer.outputs.add(name="y", datatype=datatype, shape=[2, 1])
    getattr(output.contents, field).extend(elements)

    result = _calls.read_infer(answer, {})

    assert result["y"].shape == (2, 1)
    assert result["y"].ravel().tolist() == elements


def test_an_answer_whose_tensors_do_not_add_up_is_refused() -> None:
    two_for_one = pb.ModelInferResponse(
        outputs=[{"name": "y", "datatype": "INT8", "shape": [1]}],
        raw_output_contents=[b"\0", b"\0"],
    )
    none_for_one = pb.ModelInferResponse(outputs=[{"name": "y", "datatype": "FP16", "shape": [1]}])

    with pytest.raises(MalformedAnswer, match="1 outputs came with 2"):
        _calls.read_infer(two_for_one, {})
    with pytest.raises(MalformedAnswer, match="'y'"):
        _calls.read_infer(none_for_one, {})


def test_the_explanation_is_the_numbers_in_the_trailing_metadata() -> None:
    trailing = {
        "x-latency-queue-ms": "1.5",
        "x-latency-execute-ms": "4",
        "x-latency-closed-by": "deadline",
        "x-batch": "8",
    }

    result = _calls.read_infer(pb.ModelInferResponse(), trailing)

    assert result.latency == {"queue-ms": 1.5, "execute-ms": 4.0}
    assert result.trailing == trailing


def test_an_error_on_a_stream_is_an_answer() -> None:
    answer = pb.ModelStreamInferResponse(error_message="the model failed")
    answer.infer_response.id = "r-2"

    read = _calls.read_stream_answer(answer)

    assert (read.id, read.error) == ("r-2", "the model failed")
    with pytest.raises(RequestFailed, match="the model failed"):
        read.result()


def test_reads_what_a_model_is() -> None:
    answer = pb.ModelMetadataResponse(
        name="digits",
        versions=["1", "2"],
        platform="onnxruntime_onnx",
        inputs=[{"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}],
        properties={"state": "READY"},
    )

    model = _calls.model_metadata("digits", "").read(answer, {})

    assert model.inputs == (TensorMetadata("pixels", "FP32", (-1, 64)),)
    assert (model.versions, model.outputs, model.properties) == (
        ("1", "2"),
        (),
        {"state": "READY"},
    )


def test_reads_what_is_in_the_repository() -> None:
    answer = pb.RepositoryIndexResponse(
        models=[{"name": "digits", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}]
    )

    ask = _calls.repository_index(ready=True)

    assert ask.message == pb.RepositoryIndexRequest(ready=True)
    assert ask.read(answer, {}) == (ModelState("digits", "1", "UNAVAILABLE", "unloaded"),)


def test_reads_what_a_model_did() -> None:
    answer = pb.ModelStatisticsResponse()
    model = answer.model_stats.add(name="digits", version="1", inference_count=8)
    model.inference_stats.queue.count = 4
    model.inference_stats.queue.ns = 6_000_000
    model.batch_stats.add(batch_size=8).compute_infer.count = 1

    (read,) = _calls.statistics("digits", "").read(answer, {})

    assert (read.inference_count, read.queue) == (8, Tally(4, 6_000_000))
    assert read.queue.mean_s == pytest.approx(0.0015)
    assert read.fail.mean_s == 0.0
    assert (read.batches[0].batch_size, read.batches[0].compute_infer.count) == (8, 1)


def test_loading_can_bring_a_configuration_and_files() -> None:
    ask = _calls.load_model("m", {"config": "{}", "file:1/model.onnx": b"\0", "n": 1, "flag": True})

    parameters = ask.message.parameters  # type: ignore[attr-defined]
    assert {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()} == {
        "config": "string_param",
        "file:1/model.onnx": "bytes_param",
        "n": "int64_param",
        "flag": "bool_param",
    }


def test_loading_refuses_what_a_parameter_cannot_be() -> None:
    with pytest.raises(InvalidRequest, match="'x'"):
        _calls.load_model("m", {"x": 0.5})  # type: ignore[dict-item]


@pytest.mark.parametrize("also", [True, False])
def test_unloading_can_include_what_depends_on_it(also: bool) -> None:
    message = _calls.unload_model("m", unload_dependents=also).message

    assert ("unload_dependents" in message.parameters) is also  # type: ignore[attr-defined]


def test_every_method_is_one_of_the_service() -> None:
    service = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]

    methods = [each for each in vars(_calls).values() if isinstance(each, _calls.Method)]
    assert len(methods) == 11
    for path, response in methods:
        described = service.methods_by_name[path.removeprefix(f"/{service.full_name}/")]
        assert response.DESCRIPTOR is described.output_type


@pytest.mark.parametrize("path", ["", "Get", "inferd.v1.Fraud/Get", "/inferd.v1.Fraud", "/a/b/c"])
def test_a_method_that_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="'/package\\.Service/Method'"):
        _calls.any_unary(
            path,
            pb.ServerLiveRequest(),
            pb.ServerLiveResponse,
            metadata=(),
            criticality=None,
            repeatable=False,
        )
