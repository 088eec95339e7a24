"""Every call as a value: the message to send and how to read the answer.

Both clients make these values in the same way and differ only in how they send them, so
all that can be decided without a channel is decided, and tested, here.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar

from google.protobuf.message import Message

from inferd.oip import grpc_service_pb2 as pb
from inferd_client._answers import (
    Answer,
    BatchStatistics,
    InferResult,
    ModelMetadata,
    ModelState,
    ModelStatistics,
    Parameters,
    ParameterValue,
    ServerMetadata,
    StreamAnswer,
    Tally,
    TensorMetadata,
)
from inferd_client._errors import (
    Details,
    FieldViolation,
    InvalidRequest,
    MalformedAnswer,
)
from inferd_client._tensors import Array, Tensor, decode, encode, gather
from inferd_client._trailing import Trailing

Result = TypeVar("Result")
Response = TypeVar("Response", bound=Message)
Pairs = tuple[tuple[str, str | bytes], ...]
Metadata = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]
"""Keys in lower case; values are text, except under keys that end in `-bin`."""
Criticality = Literal["CRITICAL_PLUS", "CRITICAL", "SHEDDABLE_PLUS", "SHEDDABLE"]
"""What an answer is worth where there is not enough for all; each ten times the next."""
LoadParameters = Mapping[str, bool | int | str | bytes]

PRIORITY = "priority"
SEQUENCE = "sequence_id"
EXPLAIN: Pairs = (("x-explain-latency", "1"),)
CRITICALITY = "x-criticality"

_PATH = re.compile(r"/[\w.]+/\w+")

_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_UINT64_MAX = 2**64 - 1

# Which field of `InferTensorContents` holds the elements of a datatype.
_CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class Method(NamedTuple):
    """An RPC. There are no generated stubs: this is all that it takes to call one."""

    #: What HTTP/2 calls it: `/package.Service/Method`.
    path: str
    response: type[Message]


def _of_the_protocol(name: str, response: type[Message]) -> Method:
    return Method(f"/inference.GRPCInferenceService/{name}", response)


SERVER_LIVE = _of_the_protocol("ServerLive", pb.ServerLiveResponse)
SERVER_READY = _of_the_protocol("ServerReady", pb.ServerReadyResponse)
MODEL_READY = _of_the_protocol("ModelReady", pb.ModelReadyResponse)
SERVER_METADATA = _of_the_protocol("ServerMetadata", pb.ServerMetadataResponse)
MODEL_METADATA = _of_the_protocol("ModelMetadata", pb.ModelMetadataResponse)
MODEL_INFER = _of_the_protocol("ModelInfer", pb.ModelInferResponse)
STATISTICS = _of_the_protocol("ModelStatistics", pb.ModelStatisticsResponse)
INDEX = _of_the_protocol("RepositoryIndex", pb.RepositoryIndexResponse)
LOAD = _of_the_protocol("RepositoryModelLoad", pb.RepositoryModelLoadResponse)
UNLOAD = _of_the_protocol("RepositoryModelUnload", pb.RepositoryModelUnloadResponse)
STREAM = _of_the_protocol("ModelStreamInfer", pb.ModelStreamInferResponse)


@dataclass(frozen=True, slots=True)
class Ask(Generic[Result]):
    """One call: what to send, and how to read what comes back."""

    method: Method
    message: Message
    #: Takes the method's response message and the trailing metadata.
    read: Callable[[Any, Trailing], Result]
    metadata: Pairs = ()
    #: Whether it does no harm if it is done twice.
    repeatable: bool = True
    #: What the time that it takes depends on, besides the method: the model.
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferRequest:
    """A request to a model, for `infer_stream`. `Client.infer` says what the fields mean."""

    model: str
    inputs: Mapping[str, Tensor]
    version: str = ""
    outputs: Sequence[str] | None = None
    request_id: str = ""
    parameters: Parameters = field(default_factory=dict)
    priority: int | None = None


def server_live() -> Ask[bool]:
    """Ask whether the process is up."""
    return Ask(SERVER_LIVE, pb.ServerLiveRequest(), lambda answer, _: bool(answer.live))


def server_ready() -> Ask[bool]:
    """Ask whether all models that should serve are ready."""
    return Ask(SERVER_READY, pb.ServerReadyRequest(), lambda answer, _: bool(answer.ready))


def model_ready(model: str, version: str) -> Ask[bool]:
    """Ask whether a model, or one version of it, is ready."""
    message = pb.ModelReadyRequest(name=model, version=version)
    return Ask(MODEL_READY, message, lambda answer, _: bool(answer.ready))


def server_metadata() -> Ask[ServerMetadata]:
    """Ask who answers."""
    return Ask(
        SERVER_METADATA,
        pb.ServerMetadataRequest(),
        lambda answer, _: ServerMetadata(answer.name, answer.version, tuple(answer.extensions)),
    )


def model_metadata(model: str, version: str) -> Ask[ModelMetadata]:
    """Ask for a model's inputs and outputs."""
    message = pb.ModelMetadataRequest(name=model, version=version)
    return Ask(MODEL_METADATA, message, _read_model_metadata)


def repository_index(*, ready: bool) -> Ask[tuple[ModelState, ...]]:
    """Ask for the repository's models and their states."""
    return Ask(INDEX, pb.RepositoryIndexRequest(ready=ready), _read_index)


def load_model(model: str, parameters: LoadParameters) -> Ask[None]:
    """Ask for a model to be loaded or loaded again."""
    message = pb.RepositoryModelLoadRequest(model_name=model)
    for name, value in parameters.items():
        _set_load_parameter(message.parameters[name], name, value)
    return Ask(LOAD, message, _read_nothing, repeatable=False)


def unload_model(model: str, *, unload_dependents: bool) -> Ask[None]:
    """Ask for a model to be unloaded."""
    message = pb.RepositoryModelUnloadRequest(model_name=model)
    if unload_dependents:
        message.parameters["unload_dependents"].bool_param = True
    return Ask(UNLOAD, message, _read_nothing, repeatable=False)


def statistics(model: str, version: str) -> Ask[tuple[ModelStatistics, ...]]:
    """Ask what a model, or with no name every model, has done."""
    message = pb.ModelStatisticsRequest(name=model, version=version)
    return Ask(STATISTICS, message, _read_statistics)


def infer(
    request: InferRequest,
    *,
    metadata: Metadata,
    explain: bool = False,
    criticality: Criticality | None = None,
) -> Ask[InferResult]:
    """Ask a model."""
    sent = _sent(metadata, criticality) + (EXPLAIN if explain else ())
    return Ask(
        MODEL_INFER,
        infer_message(request),
        read_infer,
        sent,
        # A sequence is the only thing that a model remembers from one request to the next.
        repeatable=SEQUENCE not in request.parameters,
        subject=request.model,
    )


def any_unary(
    path: str,
    message: Message,
    response: type[Response],
    *,
    metadata: Metadata,
    criticality: Criticality | None,
    repeatable: bool,
) -> Ask[Answer[Response]]:
    """Ask any service anything.

    Raises:
        ValueError: The path is none.
    """
    if not _PATH.fullmatch(path):
        raise ValueError(f"method must be like '/package.Service/Method', not {path!r}")
    return Ask(Method(path, response), message, Answer, _sent(metadata, criticality), repeatable)


def pairs(metadata: Metadata) -> Pairs:
    """Return metadata in the form that gRPC takes."""
    return tuple(metadata.items() if isinstance(metadata, Mapping) else metadata)


def infer_message(request: InferRequest) -> pb.ModelInferRequest:
    """Return a request's message. Tensors travel raw, which every datatype can.

    Raises:
        InvalidRequest: A tensor or a parameter has no counterpart in the protocol.
    """
    message = pb.ModelInferRequest(
        model_name=request.model, model_version=request.version, id=request.request_id
    )
    for name, tensor in request.inputs.items():
        encoded = encode(name, tensor)
        message.inputs.add(name=name, datatype=encoded.datatype, shape=encoded.shape)
        message.raw_input_contents.append(encoded.raw)
    for name in request.outputs or ():
        message.outputs.add(name=name)
    for name, value in request.parameters.items():
        _set_parameter(message.parameters[name], name, value)
    if request.priority is not None:
        message.parameters[PRIORITY].uint64_param = _unsigned(PRIORITY, request.priority)
    return message


def read_infer(answer: pb.ModelInferResponse, trailing: Trailing) -> InferResult:
    """Return a model's answer as arrays.

    Raises:
        MalformedAnswer: A tensor's bytes contradict its datatype or shape.
    """
    return InferResult(
        model_name=answer.model_name,
        model_version=answer.model_version,
        id=answer.id,
        outputs=_read_outputs(answer),
        datatypes={output.name: output.datatype for output in answer.outputs},
        parameters=_read_parameters(answer.parameters),
        trailing=trailing,
    )


def read_stream_answer(answer: pb.ModelStreamInferResponse) -> StreamAnswer:
    """Return one answer of a stream; one that is an error does not raise.

    Raises:
        MalformedAnswer: A tensor's bytes contradict its datatype or shape.
    """
    inner = answer.infer_response
    if answer.error_message:
        return StreamAnswer(inner.id, answer.error_message, None)
    return StreamAnswer(inner.id, "", read_infer(inner, {}))


def _sent(metadata: Metadata, criticality: Criticality | None) -> Pairs:
    worth = () if criticality is None else ((CRITICALITY, criticality),)
    return pairs(metadata) + worth


def _read_outputs(answer: pb.ModelInferResponse) -> dict[str, Array]:
    raw = answer.raw_output_contents
    if not raw:
        return {output.name: _read_contents(output) for output in answer.outputs}
    if len(raw) != len(answer.outputs):
        raise MalformedAnswer(f"{len(answer.outputs)} outputs came with {len(raw)} raw contents")
    return {
        output.name: decode(output.name, output.datatype, output.shape, data)
        for output, data in zip(answer.outputs, raw, strict=True)
    }


def _read_contents(output: pb.ModelInferResponse.InferOutputTensor) -> Array:
    held_in = _CONTENTS.get(output.datatype)
    elements = getattr(output.contents, held_in) if held_in else ()
    return gather(output.name, output.datatype, output.shape, elements)


def _read_parameters(parameters: Mapping[str, pb.InferParameter]) -> dict[str, ParameterValue]:
    chosen = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: getattr(parameters[name], kind) for name, kind in chosen.items() if kind}


def _set_parameter(into: pb.InferParameter, name: str, value: ParameterValue) -> None:
    match value:
        case bool():
            into.bool_param = value
        case int() if _INT64_MIN <= value <= _INT64_MAX:
            into.int64_param = value
        case int():
            into.uint64_param = _unsigned(name, value)
        case float():
            into.double_param = value
        case str():
            into.string_param = value
        case _:
            raise _unfit(name, f"{type(value).__name__} is none of bool, int, float, str")


def _set_load_parameter(
    into: pb.ModelRepositoryParameter, name: str, value: bool | int | str | bytes
) -> None:
    match value:
        case bool():
            into.bool_param = value
        case int() if _INT64_MIN <= value <= _INT64_MAX:
            into.int64_param = value
        case str():
            into.string_param = value
        case bytes():
            into.bytes_param = value
        case _:
            raise _unfit(name, "it is none of bool, int (64 bits), str, bytes")


def _unsigned(name: str, value: int) -> int:
    if not 0 <= value <= _UINT64_MAX:
        raise _unfit(name, f"{value} does not fit into 64 bits")
    return value


def _unfit(name: str, description: str) -> InvalidRequest:
    violation = FieldViolation(f"parameters[{name!r}]", description)
    return InvalidRequest(f"parameter {name!r}: {description}", details=Details((violation,)))


def _read_nothing(_answer: Message, _trailing: Trailing) -> None:
    return None


def _read_model_metadata(answer: pb.ModelMetadataResponse, _: Trailing) -> ModelMetadata:
    return ModelMetadata(
        name=answer.name,
        versions=tuple(answer.versions),
        platform=answer.platform,
        inputs=_read_tensors(answer.inputs),
        outputs=_read_tensors(answer.outputs),
        properties=dict(answer.properties),
    )


def _read_tensors(
    tensors: Iterable[pb.ModelMetadataResponse.TensorMetadata],
) -> tuple[TensorMetadata, ...]:
    return tuple(TensorMetadata(each.name, each.datatype, tuple(each.shape)) for each in tensors)


def _read_index(answer: pb.RepositoryIndexResponse, _: Trailing) -> tuple[ModelState, ...]:
    return tuple(
        ModelState(model.name, model.version, model.state, model.reason) for model in answer.models
    )


def _read_statistics(
    answer: pb.ModelStatisticsResponse, _: Trailing
) -> tuple[ModelStatistics, ...]:
    return tuple(_read_model_statistics(model) for model in answer.model_stats)


def _read_model_statistics(model: pb.ModelStatistics) -> ModelStatistics:
    times = model.inference_stats
    return ModelStatistics(
        name=model.name,
        version=model.version,
        last_inference_ms=model.last_inference,
        inference_count=model.inference_count,
        execution_count=model.execution_count,
        success=_tally(times.success),
        fail=_tally(times.fail),
        queue=_tally(times.queue),
        compute_input=_tally(times.compute_input),
        compute_infer=_tally(times.compute_infer),
        compute_output=_tally(times.compute_output),
        cache_hit=_tally(times.cache_hit),
        cache_miss=_tally(times.cache_miss),
        batches=tuple(_read_batch(batch) for batch in model.batch_stats),
    )


def _read_batch(batch: pb.InferBatchStatistics) -> BatchStatistics:
    return BatchStatistics(
        batch_size=batch.batch_size,
        compute_input=_tally(batch.compute_input),
        compute_infer=_tally(batch.compute_infer),
        compute_output=_tally(batch.compute_output),
    )


def _tally(duration: pb.StatisticDuration) -> Tally:
    return Tally(duration.count, duration.ns)
