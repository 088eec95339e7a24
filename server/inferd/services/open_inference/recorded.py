"""Requests that were recorded off the wire, to warm models up with.

A recording is one serialised `inference.ModelInferRequest`. Only its tensors count: not
the model it was sent to, for models are copied and renamed, nor what it wanted back.
"""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from inferd.errors import InvalidRequest
from inferd.inference.checks import Checks
from inferd.inference.request import Tensors
from inferd.oip import grpc_service_pb2 as pb
from inferd.runtime.signature import Signature
from inferd.services.open_inference.tensors import Place, from_contents, from_raw


def decoder(*, max_elements: int) -> Callable[[bytes, Signature, str], Tensors]:
    """Return what turns a recording into inputs that fit a signature, named for messages.

    It raises `InvalidRequest` for what is no request, or does not fit, as serving would.
    """

    def decode(data: bytes, signature: Signature, model: str) -> Tensors:
        request = pb.ModelInferRequest()
        try:
            request.ParseFromString(data)
        except DecodeError:
            raise InvalidRequest("is not a serialised inference.ModelInferRequest") from None
        return _inputs(request, Checks(model, signature, max_elements=max_elements), model)

    return decode


def _inputs(request: pb.ModelInferRequest, checks: Checks, model: str) -> Tensors:
    _, fitted = checks.check(
        [(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in request.inputs]
    )
    raws = request.raw_input_contents
    if raws and len(raws) != len(fitted):
        raise InvalidRequest(f"has {len(raws)} raw_input_contents for {len(fitted)} inputs")
    arrays: dict[str, NDArray[Any]] = {}
    for index, (expected, fit) in enumerate(fitted):
        if raws:
            place = Place(model, expected.name, "raw_input_contents[{}]", index)
            arrays[expected.name] = from_raw(raws[index], expected, fit, place)
        else:
            place = Place(model, expected.name, "inputs[{}].contents", index)
            contents = request.inputs[index].contents
            arrays[expected.name] = from_contents(contents, expected, fit, place)
    return arrays
