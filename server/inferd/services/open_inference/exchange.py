"""One model version's end of the conversation: a request in, arrays; arrays out, a response.

What stays the same from call to call is worked out once: a `Question` has everything that a
request says but its data, so that requests which differ in nothing else can share it.
Responses are put together as bytes, because the encodings of two messages of one type, one
after the other, are that of both merged.

How outputs travel: raw when the inputs did, in typed contents when any input came so. The
request's parameter `binary_data_output` decides otherwise for all outputs, an output's own
parameter `binary_data` for it alone. But a response has raw contents for all its outputs or
for none: one that must be raw (asked to be, or FP16 or BF16) makes all of them raw. An output
in shared memory has an empty raw entry, so that entries and outputs stay side by side.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from inferd.errors import InvalidRequest
from inferd.inference.checks import Checks, Expected, Fit, Shape
from inferd.oip import grpc_service_pb2 as pb
from inferd.runtime.signature import Tensor
from inferd.services.open_inference import parameters as read
from inferd.services.open_inference.classification import CLASSIFIED, top_classes
from inferd.services.open_inference.parameters import RequestParameters
from inferd.services.open_inference.shared_memory import Regions, Window
from inferd.services.open_inference.tensors import (
    CONTENTS,
    Place,
    check_finite,
    from_contents,
    from_raw,
    to_contents,
    to_raw,
)

if TYPE_CHECKING:
    from inferd.inference.version import ModelVersion

_REMEMBERED = 256
"""Response headers kept for one version. When they are more, it starts again from none."""

_FIELDS = pb.ModelInferResponse.DESCRIPTOR.fields_by_name
_ID, _RAW = (bytes((_FIELDS[name].number << 3 | 2,)) for name in ("id", "raw_output_contents"))
"""What comes before the length of these fields on the wire: number and kind."""

Arrays = Mapping[str, NDArray[Any]]


class Want(NamedTuple):
    """One output as it is asked for."""

    tensor: Tensor
    #: How many classes instead of the tensor; 0: the tensor.
    classes: int
    #: Where in shared memory it goes, if not into the response.
    window: Window | None
    #: Whether raw or typed, where the request says.
    binary: bool | None


class Question:
    """What a request asks of its model, in the model's terms. Its data are not in here."""

    __slots__ = ("fitted", "outputs", "parameters", "plain", "raw", "rows", "wants")

    def __init__(
        self,
        rows: int,
        fitted: Sequence[tuple[Expected, Fit]],
        outputs: tuple[str, ...],
        *,
        wants: Sequence[Want],
        raw: bool,
        plain: bool,
        parameters: RequestParameters,
    ) -> None:
        self.rows = rows
        #: What each input of the request is, in order, and its size.
        self.fitted = fitted
        #: The names of the outputs wanted, in order.
        self.outputs = outputs
        #: How each is wanted. Empty: all of them whole, raw and in the response.
        self.wants = wants
        self.raw = raw
        #: Whether it has one input, whose raw bytes are an array as they are.
        self.plain = plain
        self.parameters = parameters


class Head(NamedTuple):
    """What a response has besides its data, encoded: before the id, and after it."""

    model: bytes
    outputs: bytes


class Exchange:
    """Reads requests for one model version and writes its responses."""

    def __init__(self, version: "ModelVersion", *, max_elements: int, regions: Regions) -> None:
        signature = version.signature
        self._model = version.name
        self._version = version.version
        self._named = pb.ModelInferResponse(
            model_name=version.name, model_version=version.version
        ).SerializeToString()
        self._regions = regions
        self._batches = signature.batches
        self._refuse_nan = version.config.options.refuse_nan
        self._checks = Checks(version.name, signature, max_elements=max_elements)
        self._outputs = tuple(tensor.name for tensor in signature.outputs)
        self._heads: dict[tuple[object, ...], Head] = {}

    def question(self, request: pb.ModelInferRequest) -> Question:
        """Return what the request asks of the model. Nothing of it was trusted before.

        Raises:
            InvalidRequest: it does not fit the model, or contradicts itself.
            NotFound: it names a region of shared memory that is not registered.
            Unimplemented: it asks for something that this server does not do.
        """
        parameters = read.DEFAULT
        if request.parameters:
            parameters = read.request_parameters(request.parameters)
        tensors = request.inputs
        rows, fitted = self._checks.check(
            [(tensor.name, tensor.datatype, tuple(tensor.shape)) for tensor in tensors]
        )
        outputs = self._outputs
        if request.outputs:
            outputs = tuple(output.name for output in request.outputs)
            self._checks.check_outputs(outputs)
        typed = any(tensor.HasField("contents") for tensor in tensors)
        raw = parameters.binary if parameters.binary is not None else not typed
        wants = self._wants(request, outputs, raw)
        if wants:
            raw = any(_comes_raw(want, raw) for want in wants)
        return Question(
            rows,
            fitted,
            outputs,
            wants=wants,
            raw=raw,
            plain=not (typed or any(tensor.parameters for tensor in tensors))
            and self._is_plain(fitted),
            parameters=parameters,
        )

    def _is_plain(self, fitted: Sequence[tuple[Expected, Fit]]) -> bool:
        if len(fitted) != 1 or self._refuse_nan:
            return False
        return fitted[0][0].datatype not in {"BOOL", "BYTES"}

    def plain_inputs(self, question: Question, data: bytes) -> Arrays | None:
        """Return the inputs to a plain question, given their bytes; None if these do not fit."""
        expected, fit = question.fitted[0]
        if len(data) != fit.nbytes:
            return None
        return {expected.name: np.ndarray(fit.shape, expected.dtype, data)}

    def inputs(self, request: pb.ModelInferRequest, question: Question) -> Arrays:
        """Return the inputs of the request that the question was asked by.

        Raises:
            InvalidRequest: the data are not what the request says that they are.
            NotFound: they are in a region of shared memory that is not registered.
        """
        raws = request.raw_input_contents
        arrays: dict[str, NDArray[Any]] = {}
        entries = len(raws)
        raw_at = 0
        for index, tensor in enumerate(request.inputs):
            expected, fit = question.fitted[index]
            name = expected.name
            place = Place(self._model, name, "inputs[{}]", index)
            window = None
            if tensor.parameters:
                window = self._window(tensor.parameters, name, place.field)
            if window is not None:
                array = _from_window(window, tensor, expected, fit, place)
            elif entries:
                place = Place(self._model, name, "raw_input_contents[{}]", raw_at)
                if raw_at == entries or tensor.HasField("contents"):
                    _refuse_data(tensor, place)
                array = from_raw(raws[raw_at], expected, fit, place)
                raw_at += 1
            else:
                array = _from_typed(tensor, expected, fit, place)
            if self._refuse_nan:
                check_finite(array, expected.datatype, place)
            arrays[name] = array
        if raw_at != entries:
            raise InvalidRequest(
                f"expected {raw_at} raw_input_contents for model '{self._model}', one for each "
                f"input that is not in shared memory, got {entries}",
                field="raw_input_contents",
            )
        return arrays

    def _window(self, given: read.Given, name: str, field: str) -> Window | None:
        where = read.region(given, name, field)
        if where is None:
            return None
        return self._regions.window(*where, f"{field}.parameters[shared_memory_region]")

    def _wants(
        self, request: pb.ModelInferRequest, outputs: Sequence[str], raw: bool
    ) -> Sequence[Want]:
        tensors = self._checks.outputs
        if not request.outputs:
            return () if raw else [Want(tensors[name], 0, None, None) for name in outputs]
        if raw and not any(output.parameters for output in request.outputs):
            return ()
        wants = []
        for index, output in enumerate(request.outputs):
            tensor, field, given = tensors[output.name], f"outputs[{index}]", output.parameters
            classes = read.classes(given, field)
            if classes and tensor.datatype.name not in CLASSIFIED:
                raise InvalidRequest(
                    f"class result not available for output '{tensor.name}' of model "
                    f"'{self._model}' due to unsupported type '{tensor.datatype.name}'",
                    field=f"{field}.parameters[classification]",
                )
            window = self._window(given, tensor.name, field)
            wants.append(Want(tensor, classes, window, read.binary_data(given, field)))
        return wants

    def answer(self, request_id: str, question: Question, arrays: Arrays) -> bytes:
        """Return the encoded response to a question, given the outputs that it wants.

        Raises:
            InvalidRequest: an output does not fit its place in shared memory.
        """
        if question.wants:
            return self._elaborate(request_id, question, arrays)
        values = [arrays[name] for name in question.outputs]
        shapes = [value.shape for value in values]
        key = (question.outputs, *shapes)
        head = self._heads.get(key) or self._head(key, question.outputs, shapes)
        parts = [head.model]
        if request_id:
            encoded = request_id.encode()
            parts += (_ID, _varint(len(encoded)), encoded)
        parts.append(head.outputs)
        for value in values:
            data = to_raw(value)
            parts += (_RAW, _varint(len(data)), data)
        return b"".join(parts)

    def _head(self, key: tuple[object, ...], names: Sequence[str], shapes: Sequence[Shape]) -> Head:
        response = pb.ModelInferResponse()
        for name, shape in zip(names, shapes, strict=True):
            datatype = self._checks.outputs[name].datatype.name
            response.outputs.add(name=name, datatype=datatype, shape=shape)
        if len(self._heads) >= _REMEMBERED:
            self._heads.clear()
        head = self._heads[key] = Head(self._named, response.SerializeToString())
        return head

    def _elaborate(self, request_id: str, question: Question, arrays: Arrays) -> bytes:
        response = pb.ModelInferResponse(
            model_name=self._model, model_version=self._version, id=request_id
        )
        for want in question.wants:
            name, datatype = want.tensor.name, want.tensor.datatype.name
            array = arrays[name]
            if want.classes:
                datatype = "BYTES"
                array = top_classes(array, want.classes, want.tensor.labels, batches=self._batches)
            output = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
            if want.window is not None:
                _into_window(want.window, output, to_raw(array))
            elif not question.raw:
                to_contents(array, datatype, output.contents)
            if question.raw:
                response.raw_output_contents.append(b"" if want.window else to_raw(array))
        return response.SerializeToString()


@lru_cache(maxsize=1024)
def _varint(number: int) -> bytes:
    """Return a length as it is encoded: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _comes_raw(want: Want, otherwise: bool) -> bool:
    """Whether an output makes the response a raw one."""
    if want.window is not None:
        return False
    typeable = want.classes or want.tensor.datatype.name in CONTENTS
    return not typeable or (otherwise if want.binary is None else want.binary)


def _refuse_data(tensor: pb.ModelInferRequest.InferInputTensor, place: Place) -> NoReturn:
    if tensor.HasField("contents"):
        place.refuse(
            f"contents field must not be specified when using raw_input_contents for {place}"
        )
    place.refuse(f"unable to find data for input tensor {place} in request.")


def _from_typed(
    tensor: pb.ModelInferRequest.InferInputTensor,
    expected: Expected,
    fit: Fit,
    place: Place,
) -> NDArray[Any]:
    if not tensor.HasField("contents") and fit.elements:
        _refuse_data(tensor, place)
    place = place._replace(path="inputs[{}].contents")
    return from_contents(tensor.contents, expected, fit, place)


def _from_window(
    window: Window,
    tensor: pb.ModelInferRequest.InferInputTensor,
    expected: Expected,
    fit: Fit,
    place: Place,
) -> NDArray[Any]:
    if tensor.HasField("contents"):
        place.refuse(
            f"unexpected 'content' provided when using shared memory for input tensor {place}"
        )
    if fit.nbytes not in {-1, window.byte_size}:
        place.refuse(
            f"input byte size mismatch for input {place}. "
            f"Expected {fit.nbytes}, got {window.byte_size}"
        )
    return from_raw(window.read(), expected, fit, place)


def _into_window(
    window: Window, output: pb.ModelInferResponse.InferOutputTensor, data: bytes
) -> None:
    if len(data) > window.byte_size:
        raise InvalidRequest(
            f"shared memory size specified with the request for output '{output.name}' "
            f"({window.byte_size} bytes) should be at least {len(data)} bytes to hold the results",
            field=window.field,
        )
    window.write(data)
    output.parameters["shared_memory_region"].string_param = window.region.name
    output.parameters["shared_memory_offset"].int64_param = window.offset
    output.parameters["shared_memory_byte_size"].int64_param = len(data)
