"""Every tensor survives the way there and back, and no request breaks more than itself."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from inferd.config import SharedMemory
from inferd.errors import InferdError, InvalidRequest
from inferd.inference.checks import Checks, Expected, Fit
from inferd.oip import grpc_service_pb2 as pb
from inferd.runtime.datatypes import BY_NAME
from inferd.runtime.signature import Signature
from inferd.services.open_inference.exchange import Exchange
from inferd.services.open_inference.shared_memory import Regions
from inferd.services.open_inference.tensors import (
    CONTENTS,
    Place,
    from_contents,
    from_raw,
    to_contents,
    to_raw,
)
from support.fake_models import FakeVersion, tensor

PLACE = Place("m", "x", "raw_input_contents[{}]", 0)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def arrays(datatype: str, shapes: st.SearchStrategy[Any] = SHAPES) -> st.SearchStrategy[Any]:
    dtype: Any = BY_NAME[datatype].numpy
    elements = st.binary(max_size=8) if datatype == "BYTES" else None
    return hnp.arrays(dtype, shapes, elements=elements)


def declared(array: NDArray[Any], datatype: str) -> tuple[Expected, Fit]:
    signature = Signature((tensor("x", datatype, *[-1] * array.ndim),), (), 0)
    return Checks("m", signature).check([("x", datatype, array.shape)])[1][0]


@pytest.mark.parametrize("datatype", BY_NAME)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_raw_there_and_back(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))

    back = from_raw(to_raw(array), *declared(array, datatype), PLACE)

    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert to_raw(back) == to_raw(array)


@pytest.mark.parametrize("datatype", CONTENTS)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_typed_there_and_back(datatype: str, data: st.DataObject) -> None:
    array = data.draw(arrays(datatype))

    contents = pb.InferTensorContents()
    to_contents(array, datatype, contents)
    contents = pb.InferTensorContents.FromString(contents.SerializeToString())
    back = from_contents(contents, *declared(array, datatype), PLACE)

    assert back.dtype == array.dtype
    assert_array_equal(back, array)


@pytest.mark.parametrize("datatype", BY_NAME)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_any_bytes_are_the_declared_tensor_or_are_refused(
    datatype: str, data: st.DataObject
) -> None:
    shape = data.draw(SHAPES)
    expected, fit = declared(np.empty(shape, np.uint8), datatype)
    sizes = st.sampled_from([max(fit.nbytes, 4 * fit.elements), 0, 1, 17])
    body = data.draw(sizes.flatmap(lambda size: st.binary(min_size=size, max_size=size + 8)))

    try:
        array = from_raw(body, expected, fit, PLACE)
    except InvalidRequest:
        return

    assert (array.dtype, array.shape) == (expected.dtype, shape)
    assert datatype == "BOOL" or to_raw(array) == body


class Subject:
    """A version with inputs and outputs of all kinds, and a region of shared memory."""

    def __init__(self, directory: Path) -> None:
        (directory / "shm").write_bytes(os.urandom(256))
        regions = Regions(SharedMemory(system=True), directory=directory)
        regions.register("r", "/shm", 0, 256)
        self.version = FakeVersion(
            inputs=[
                tensor("a", "FP32", -1, 2),
                tensor("b", "BYTES", -1, -1),
                tensor("c", "INT8", -1, optional=True),
                tensor("d", "BF16", -1, 1, optional=True),
            ],
            outputs=[
                tensor("y", "FP32", -1, 3, labels=("p", "q")),
                tensor("z", "BYTES", -1, 1),
                tensor("h", "FP16", -1, 1),
            ],
            parameters={"refuse_nan": "true"},
        )
        version: Any = self.version
        self.exchange = Exchange(version, max_elements=1000, regions=regions)

    def infer(self, request: pb.ModelInferRequest) -> pb.ModelInferResponse:
        question = self.exchange.question(request)
        self.exchange.inputs(request, question)
        outputs = {
            "y": np.zeros((question.rows, 3), "<f4"),
            "z": np.full((question.rows, 1), b"z", np.object_),
            "h": np.zeros((question.rows, 1), "<f2"),
        }
        return pb.ModelInferResponse.FromString(self.exchange.answer(request.id, question, outputs))


@pytest.fixture(scope="module")
def subject() -> Iterator[Subject]:
    with tempfile.TemporaryDirectory() as directory:
        yield Subject(Path(directory))


def a_valid_request() -> pb.ModelInferRequest:
    request = pb.ModelInferRequest(model_name="m", id="7")
    request.inputs.add(name="a", datatype="FP32", shape=[2, 2])
    request.inputs.add(name="b", datatype="BYTES", shape=[2, 1])
    request.inputs.add(name="c", datatype="INT8", shape=[2])
    request.raw_input_contents.extend([bytes(16), b"\x01\0\0\0x\0\0\0\0", b"\x01\x02"])
    request.outputs.add(name="z")
    request.outputs.add(name="y").parameters["classification"].int64_param = 2
    return request


NAMES = st.sampled_from(["a", "b", "c", "d", "q", ""])
INTEGERS = st.one_of(
    st.integers(-3, 5), st.sampled_from([2**31, 2**62, 2**63 - 1, -(2**63), 1000, 1001])
)
RESERVED = st.sampled_from(
    [
        "timeout",
        "priority",
        "sequence_id",
        "sequence_start",
        "binary_data_output",
        "binary_data",
        "classification",
        "shared_memory_region",
        "shared_memory_byte_size",
        "shared_memory_offset",
        "triton_enable_empty_final_response",
        "other",
    ]
)
PARAMETERS = st.one_of(
    st.booleans().map(lambda value: pb.InferParameter(bool_param=value)),
    INTEGERS.map(lambda value: pb.InferParameter(int64_param=value)),
    INTEGERS.map(lambda value: pb.InferParameter(uint64_param=abs(value))),
    st.sampled_from(["r", "s", ""]).map(lambda value: pb.InferParameter(string_param=value)),
    st.floats().map(lambda value: pb.InferParameter(double_param=value)),
    st.just(pb.InferParameter()),
)
CONTENT_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bool_contents": st.booleans(),
    "int_contents": st.integers(-(2**31), 2**31 - 1),
    "int64_contents": st.integers(-(2**63), 2**63 - 1),
    "uint_contents": st.integers(0, 2**32 - 1),
    "uint64_contents": st.integers(0, 2**64 - 1),
    "fp32_contents": st.floats(width=32),
    "fp64_contents": st.floats(),
    "bytes_contents": st.binary(max_size=4),
}

Mutation = Callable[[pb.ModelInferRequest, st.DataObject], None]


def place_of(tensors: Any, data: st.DataObject) -> Any:
    """Return one of the tensors, adding the first if there is none."""
    return data.draw(st.sampled_from(list(tensors))) if tensors else tensors.add()


def rename(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    place_of(request.inputs, data).name = data.draw(NAMES)


def retype(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    datatype = data.draw(st.sampled_from([*BY_NAME, "", "fp32"]))
    place_of(request.inputs, data).datatype = datatype


def reshape(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    shape = data.draw(st.lists(INTEGERS, max_size=4))
    place_of(request.inputs, data).shape[:] = shape


def refill(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    request.raw_input_contents[:] = data.draw(st.lists(st.binary(max_size=20), max_size=4))


def fill_typed(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    field = data.draw(st.sampled_from(sorted(CONTENT_VALUES)))
    values = data.draw(st.lists(CONTENT_VALUES[field], max_size=5))
    getattr(place_of(request.inputs, data).contents, field).extend(values)


def without_raw(request: pb.ModelInferRequest, _: st.DataObject) -> None:
    del request.raw_input_contents[:]


def drop_input(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    if request.inputs:
        request.inputs.pop(data.draw(st.integers(0, len(request.inputs) - 1)))


def parametrise(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    tensors = [*request.inputs, *request.outputs]
    owner: Any = data.draw(st.sampled_from([request, *tensors]))
    owner.parameters[data.draw(RESERVED)].CopyFrom(data.draw(PARAMETERS))


def share(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    owner: Any = place_of(data.draw(st.sampled_from([request.inputs, request.outputs])), data)
    owner.parameters["shared_memory_region"].string_param = "r"
    owner.parameters["shared_memory_byte_size"].int64_param = data.draw(st.integers(0, 300))
    owner.parameters["shared_memory_offset"].int64_param = data.draw(st.integers(0, 300))


def ask(request: pb.ModelInferRequest, data: st.DataObject) -> None:
    request.outputs.add(name=data.draw(st.sampled_from(["y", "z", "h", "q"])))


MUTATIONS: list[Mutation] = [
    rename,
    retype,
    reshape,
    refill,
    fill_typed,
    without_raw,
    drop_input,
    parametrise,
    share,
    ask,
]


def check(subject: Subject, request: pb.ModelInferRequest) -> None:
    """Infer; whatever comes of it must be told in few words, or be encodable."""
    try:
        response = subject.infer(request)
    except InferdError as refused:
        text = str(refused)
    else:
        text = _told(response)
    assert 0 < len(text) < 4000


def _told(response: pb.ModelInferResponse) -> str:
    assert response.model_name == "m"
    if response.raw_output_contents:
        assert len(response.raw_output_contents) == len(response.outputs)
    assert pb.ModelInferResponse.FromString(response.SerializeToString()) == response
    return response.model_version


def test_the_request_that_is_mutated_is_fine(subject: Subject) -> None:
    response = subject.infer(a_valid_request())

    assert [each.name for each in response.outputs] == ["z", "y"]


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_a_mutated_request_is_answered_or_refused(subject: Subject, data: st.DataObject) -> None:
    request = a_valid_request()
    for mutate in data.draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=5)):
        mutate(request, data)

    check(subject, request)


@given(data=st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_message_is_answered_or_refused(subject: Subject, data: st.DataObject) -> None:
    body = bytearray(a_valid_request().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        until = data.draw(st.integers(at, min(at + 3, len(body))))
        body[at:until] = data.draw(st.binary(max_size=3))
        if not body:
            return
    try:
        request = pb.ModelInferRequest.FromString(bytes(body))
    except DecodeError:
        return

    check(subject, request)


@given(body=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_arbitrary_bytes_are_answered_or_refused(subject: Subject, body: bytes) -> None:
    try:
        request = pb.ModelInferRequest.FromString(body)
    except DecodeError:
        return

    check(subject, request)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(request_id=st.text(max_size=300), rows=st.integers(1, 40), words=st.data())
def test_a_response_put_together_as_bytes_is_the_one_protobuf_would_have_encoded(
    subject: Subject, request_id: str, rows: int, words: st.DataObject
) -> None:
    request = pb.ModelInferRequest(model_name="m")
    request.inputs.add(name="a", datatype="FP32", shape=[rows, 2])
    request.inputs.add(name="b", datatype="BYTES", shape=[rows, 1])
    request.raw_input_contents.extend([bytes(rows * 8), bytes(rows * 4)])
    question = subject.exchange.question(request)
    z = words.draw(st.lists(st.binary(max_size=200), min_size=rows, max_size=rows))
    arrays = {
        "y": np.arange(rows * 3, dtype="<f4").reshape(rows, 3),
        "z": np.array([*z, b""], np.object_)[:rows].reshape(rows, 1),
        "h": np.ones((rows, 1), "<f2"),
    }

    encoded = subject.exchange.answer(request_id, question, arrays)

    response = pb.ModelInferResponse.FromString(encoded)
    assert response.SerializeToString() == encoded
    assert response.id == request_id
    assert [(each.name, list(each.shape)) for each in response.outputs] == [
        ("y", [rows, 3]),
        ("z", [rows, 1]),
        ("h", [rows, 1]),
    ]
    assert list(response.raw_output_contents) == [to_raw(arrays[name]) for name in ("y", "z", "h")]
