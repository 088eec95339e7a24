"""Requests that no client should send, sent anyway: refused by name, and nobody else notices.

Every case goes over one connection: it must still be up afterwards, never have been down,
and a good call on it must get its answer.
"""

from collections.abc import Callable, Iterator
from struct import pack
from typing import Any, NamedTuple

import grpc
import numpy as np
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import ChannelConnectivity, StatusCode

from inferd.oip import grpc_service_pb2 as pb
from support.server import Server

AMPLE_S = 30.0
SERVICE = "/inference.GRPCInferenceService/"
MIB = 1024 * 1024

Spoil = Callable[[pb.ModelInferRequest], None]


class Connection:
    """One channel that sends bytes, and every state it has been in."""

    def __init__(self, address: str) -> None:
        self.states: list[ChannelConnectivity] = []
        self._channel = grpc.insecure_channel(
            address, options=[("grpc.max_send_message_length", -1)]
        )
        grpc.channel_ready_future(self._channel).result(AMPLE_S)
        self._channel.subscribe(self.states.append)

    def send(self, body: bytes, *, method: str = "ModelInfer") -> bytes:
        call = self._channel.unary_unary(f"{SERVICE}{method}")
        answer: bytes = call(body, timeout=AMPLE_S)
        return answer

    def close(self) -> None:
        self._channel.unsubscribe(self.states.append)
        self._channel.close()


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[Connection]:
    connection = Connection(server.address)
    yield connection
    connection.close()


@pytest.fixture(autouse=True)
def _the_connection_stays_up_and_works(connection: Connection) -> Iterator[None]:
    yield
    answer = pb.ModelInferResponse.FromString(connection.send(good().SerializeToString()))
    assert np.frombuffer(answer.raw_output_contents[0], np.int32).tolist() == [*range(1, 17)]
    assert set(connection.states) == {ChannelConnectivity.READY}


class Refused(NamedTuple):
    """What a caller is told."""

    code: StatusCode
    message: str
    reason: str
    fields: list[str]


def refused(connection: Connection, body: bytes, *, method: str = "ModelInfer") -> Refused:
    with pytest.raises(grpc.RpcError) as caught:
        connection.send(body, method=method)
    error: Any = caught.value
    status = status_pb2.Status()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    info, wrong = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(wrong)
    fields = [each.field for each in wrong.field_violations]
    return Refused(error.code(), error.details(), info.reason, fields)


def good() -> pb.ModelInferRequest:
    """Return a request for `simple` that is right."""
    request = pb.ModelInferRequest(model_name="simple")
    for name, values in (("INPUT0", np.arange(16)), ("INPUT1", np.ones(16))):
        request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        request.raw_input_contents.append(values.astype(np.int32).tobytes())
    return request


def text(*elements: bytes, shape: tuple[int, ...] | None = None) -> pb.ModelInferRequest:
    """Return a request for `identity_bytes`."""
    request = pb.ModelInferRequest(model_name="identity_bytes")
    request.inputs.add(name="INPUT0", datatype="BYTES", shape=shape or (1, len(elements)))
    raw = b"".join(pack("<I", len(each)) + each for each in elements)
    request.raw_input_contents.append(raw)
    return request


def numbers(model: str, shape: tuple[int, ...], count: int) -> pb.ModelInferRequest:
    """Return a request with one FP32 input of `count` zeros."""
    request = pb.ModelInferRequest(model_name=model)
    request.inputs.add(name="INPUT0", datatype="FP32", shape=shape)
    request.raw_input_contents.append(bytes(4 * count))
    return request


def spoilt(spoil: Spoil, request: pb.ModelInferRequest | None = None) -> pb.ModelInferRequest:
    request = request or good()
    spoil(request)
    return request


# -- how to spoil a good request ------------------------------------------------------------


def raw(at: int, data: bytes) -> Spoil:
    def spoil(request: pb.ModelInferRequest) -> None:
        request.raw_input_contents[at] = data

    return spoil


def shape(*dimensions: int) -> Spoil:
    def spoil(request: pb.ModelInferRequest) -> None:
        request.inputs[0].shape[:] = dimensions

    return spoil


def an_input(at: int, **fields: Any) -> Spoil:
    def spoil(request: pb.ModelInferRequest) -> None:
        for name, value in fields.items():
            setattr(request.inputs[at], name, value)

    return spoil


def wanted(*names: str) -> Spoil:
    def spoil(request: pb.ModelInferRequest) -> None:
        for name in names:
            request.outputs.add(name=name)

    return spoil


def parameter(name: str, **value: Any) -> Spoil:
    def spoil(request: pb.ModelInferRequest) -> None:
        for kind, given in value.items():
            setattr(request.parameters[name], kind, given)

    return spoil


def typed(request: pb.ModelInferRequest) -> None:
    request.inputs[0].contents.int_contents.extend([1] * 16)


def only_typed(field: str, count: int) -> Spoil:
    def spoil(request: pb.ModelInferRequest) -> None:
        del request.raw_input_contents[:]
        for tensor in request.inputs:
            getattr(tensor.contents, field).extend([1] * count)

    return spoil


def twice(request: pb.ModelInferRequest) -> None:
    request.inputs[1].name = "INPUT0"


def once(request: pb.ModelInferRequest) -> None:
    del request.inputs[1:], request.raw_input_contents[1:]


def no_data(request: pb.ModelInferRequest) -> None:
    del request.raw_input_contents[:]


def one_raw_too_many(request: pb.ModelInferRequest) -> None:
    request.raw_input_contents.append(bytes(64))


def nothing(request: pb.ModelInferRequest) -> None:
    del request.inputs[:], request.raw_input_contents[:]


def batch_sizes_that_differ(request: pb.ModelInferRequest) -> None:
    request.inputs[1].shape[0] = 2
    request.raw_input_contents[1] = bytes(128)


def classes(count: int) -> Spoil:
    def spoil(request: pb.ModelInferRequest) -> None:
        request.outputs.add(name="OUTPUT0").parameters["classification"].int64_param = count

    return spoil


def shared_memory(request: pb.ModelInferRequest) -> None:
    given = request.inputs[0].parameters
    given["shared_memory_region"].string_param = "nosuch"
    given["shared_memory_byte_size"].int64_param = 64


TOO_LONG_A_NAME = "x" * 100_000
HUNDRED_THOUSAND = 100_000

INVALID: dict[str, tuple[pb.ModelInferRequest, str]] = {
    "raw data that ends early": (spoilt(raw(0, bytes(63))), "raw_input_contents[0]"),
    "raw data that goes on": (spoilt(raw(1, bytes(65))), "raw_input_contents[1]"),
    "empty raw data": (spoilt(raw(0, b"")), "raw_input_contents[0]"),
    "no data at all": (spoilt(no_data), "inputs[0]"),
    "one raw entry too many": (spoilt(one_raw_too_many), "raw_input_contents"),
    "raw and typed data": (spoilt(typed), "raw_input_contents[0]"),
    "typed data of another type": (spoilt(only_typed("fp32_contents", 16)), "inputs[0].contents"),
    "too few typed elements": (spoilt(only_typed("int_contents", 15)), "inputs[0].contents"),
    "too many typed elements": (spoilt(only_typed("int_contents", 17)), "inputs[0].contents"),
    "another datatype": (spoilt(an_input(1, datatype="FP32")), "inputs[1].datatype"),
    "no datatype": (spoilt(an_input(0, datatype="")), "inputs[0].datatype"),
    "a datatype that there is not": (spoilt(an_input(0, datatype="INT128")), "inputs[0].datatype"),
    "a dimension too few": (spoilt(shape(16)), "inputs[0].shape"),
    "a dimension too many": (spoilt(shape(1, 1, 16)), "inputs[0].shape"),
    "no dimensions": (spoilt(shape()), "inputs[0].shape"),
    "another size": (spoilt(shape(1, 17)), "inputs[0].shape"),
    "no rows": (spoilt(shape(0, 16)), "inputs[0].shape"),
    "a negative dimension": (spoilt(shape(-1, 16)), "inputs[0].shape"),
    "two negative dimensions": (spoilt(shape(-1, -16)), "inputs[0].shape"),
    "the smallest of all dimensions": (spoilt(shape(-(2**63), 16)), "inputs[0].shape"),
    "dimensions whose product overflows": (
        numbers("sequence_any", (1, 2**62, 2**62), 1),
        "inputs[0].shape",
    ),
    "huge dimensions beside an empty one": (
        numbers("sequence_any", (1, 2**62, 0), 0),
        "inputs[0].shape",
    ),
    "a million empty rows": (numbers("identity_fp32", (10**6, 0), 0), "inputs[0].shape"),
    "more rows than could ever wait": (numbers("slow", (10**6, 1), 10**6), "inputs"),
    "a hundred thousand dimensions": (
        numbers("sequence_any", (1,) * HUNDRED_THOUSAND, 1),
        "inputs[0].shape",
    ),
    "an unknown input": (spoilt(an_input(0, name="NOSUCH")), "inputs[0].name"),
    "an input without a name": (spoilt(an_input(0, name="")), "inputs[0].name"),
    "a very long name": (spoilt(an_input(0, name=TOO_LONG_A_NAME)), "inputs[0].name"),
    "the same input twice": (spoilt(twice), "inputs[1].name"),
    "an input too few": (spoilt(once), "inputs"),
    "no inputs": (spoilt(nothing), "inputs"),
    "batch sizes that differ": (spoilt(batch_sizes_that_differ), "inputs[1].shape"),
    "an unknown output": (spoilt(wanted("NOSUCH")), "outputs[0].name"),
    "the same output twice": (spoilt(wanted("OUTPUT0", "OUTPUT0")), "outputs[1].name"),
    "no classes": (spoilt(classes(0)), "outputs[0].parameters[classification]"),
    "a timeout that is text": (
        spoilt(parameter("timeout", string_param="soon")),
        "parameters[timeout]",
    ),
    "a timeout that has passed": (
        spoilt(parameter("timeout", int64_param=-1)),
        "parameters[timeout]",
    ),
    "text that is not UTF-8": (text(b"fine", b"\xc3\x28"), "inputs[0]"),
    "half a surrogate": (text(b"\xed\xa0\x80"), "inputs[0]"),
    "fewer strings than the shape has": (text(b"a", shape=(1, 2)), "raw_input_contents[0]"),
    "more strings than the shape has": (text(b"a", b"b", shape=(1, 1)), "raw_input_contents[0]"),
    "one of a hundred thousand strings missing": (
        text(*[b"x"] * (HUNDRED_THOUSAND - 1), shape=(1, HUNDRED_THOUSAND)),
        "raw_input_contents[0]",
    ),
    "a string longer than the data": (
        spoilt(raw(0, b"\xff\xff\xff\x7fabc"), text(b"x")),
        "raw_input_contents[0]",
    ),
    "a string longer than could be": (
        spoilt(raw(0, b"\xff\xff\xff\xffabc"), text(b"x")),
        "raw_input_contents[0]",
    ),
    "a length of three bytes": (
        spoilt(raw(0, b"\x01\x00\x00"), text(b"x")),
        "raw_input_contents[0]",
    ),
}


@pytest.mark.parametrize("what", INVALID)
def test_it_is_refused_and_the_field_is_named(connection: Connection, what: str) -> None:
    request, field = INVALID[what]

    told = refused(connection, request.SerializeToString())

    assert (told.code, told.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert field in told.fields, told
    assert told.message, "it must say what was expected"
    assert len(told.message) < 2000


OTHERWISE: dict[str, tuple[Message, StatusCode, str]] = {
    "an unknown model": (
        pb.ModelInferRequest(model_name="nosuch"),
        StatusCode.NOT_FOUND,
        "Request for unknown model: 'nosuch' is not found",
    ),
    "no model": (pb.ModelInferRequest(), StatusCode.NOT_FOUND, "unknown model: ''"),
    "an unknown version": (
        pb.ModelInferRequest(model_name="simple", model_version="7"),
        StatusCode.NOT_FOUND,
        "'simple' version 7 is not found",
    ),
    "a version that is no number": (
        pb.ModelInferRequest(model_name="simple", model_version="²"),
        StatusCode.NOT_FOUND,
        "'simple' version",
    ),
    "a path for a model": (
        pb.ModelInferRequest(model_name="../../etc/passwd"),
        StatusCode.NOT_FOUND,
        "is not found",
    ),
    "a sequence": (
        spoilt(parameter("sequence_id", int64_param=1)),
        StatusCode.UNIMPLEMENTED,
        "sequence",
    ),
    "poison": (
        pb.ModelInferRequest(
            model_name="poison",
            inputs=[
                pb.ModelInferRequest.InferInputTensor(name="INDEX", datatype="INT64", shape=[1, 1])
            ],
            raw_input_contents=[pack("<q", 4)],
        ),
        StatusCode.INTERNAL,
        "idx=4",
    ),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_what_else_can_be_wrong(connection: Connection, what: str) -> None:
    request, code, message = OTHERWISE[what]

    told = refused(connection, request.SerializeToString())

    assert told.code is code
    assert message in told.message


def test_an_unregistered_region_of_shared_memory(connection: Connection) -> None:
    told = refused(connection, spoilt(shared_memory).SerializeToString())

    assert told.code in {StatusCode.NOT_FOUND, StatusCode.UNIMPLEMENTED}
    assert "shared" in told.message.lower()


def test_a_hundred_thousand_strings_are_no_trouble(connection: Connection) -> None:
    request = text(*[b"%d" % at for at in range(HUNDRED_THOUSAND)])

    answer = pb.ModelInferResponse.FromString(connection.send(request.SerializeToString()))

    assert answer.raw_output_contents[0] == request.raw_input_contents[0]


@pytest.mark.parametrize(
    "body",
    [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x07", good().SerializeToString()[:-3], b"\x0a\x01\xff"],
    ids=["no tag", "a length too long", "cut off", "a name that is not UTF-8"],
)
def test_bytes_that_are_no_message(connection: Connection, body: bytes) -> None:
    told = refused(connection, body)

    assert told.code is StatusCode.INVALID_ARGUMENT
    assert "inference.ModelInferRequest" in told.message


def test_a_message_of_65_mib(connection: Connection) -> None:
    count = 65 * MIB // 4
    body = numbers("identity_fp32", (1, count), count).SerializeToString()

    assert refused(connection, body).code is StatusCode.RESOURCE_EXHAUSTED


def test_a_tensor_that_is_too_large_for_the_model(connection: Connection) -> None:
    body = numbers("identity_fp32", (1, 2**24 + 1), 0).SerializeToString()

    told = refused(connection, body)

    assert told.code is StatusCode.INVALID_ARGUMENT
    assert "inference.max_elements" in told.message


@pytest.mark.parametrize("method", ["NoSuch", "", "ModelInfer/"])
def test_a_method_that_there_is_not(connection: Connection, method: str) -> None:
    assert refused(connection, b"", method=method).code is StatusCode.UNIMPLEMENTED


def test_everything_that_is_wrong_is_told_at_once(connection: Connection) -> None:
    request = good()
    request.inputs[0].datatype = "FP32"
    request.inputs[1].shape[:] = [1, 17]

    told = refused(connection, request.SerializeToString())

    assert told.fields == ["inputs[0].datatype", "inputs[1].shape"]


def test_an_output_without_numbers_has_no_classes(connection: Connection) -> None:
    told = refused(connection, spoilt(classes(1), text(b"x")).SerializeToString())

    assert told.code is StatusCode.INVALID_ARGUMENT
    assert told.fields == ["outputs[0].parameters[classification]"]
