"""What the server and its models say of themselves."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from inferd.oip import grpc_service_pb2 as pb
from inferd.runtime.signature import Tensor

if TYPE_CHECKING:
    from inferd.inference.version import ModelVersion

PLATFORM = "onnxruntime_onnx"


def extensions(*, shared_memory: bool, log_settings: bool) -> list[str]:
    """Return the protocol's names for what works here: no more, clients rely on them."""
    always = [
        "classification",
        "model_repository",
        "schedule_policy",
        "model_configuration",
        "binary_tensor_data",
        "statistics",
    ]
    if shared_memory:
        always.append("system_shared_memory")
    if log_settings:
        always.append("logging")
    return always


def model_metadata(version: "ModelVersion", versions: Sequence[str]) -> pb.ModelMetadataResponse:
    """Describe a version; `versions` are those of its model that are ready.

    Properties: the version described and its state, the rows of a batch, names given to the
    version, and for an output with labels a JSON list of them under `labels.<output>`.
    """
    signature = version.signature
    properties = {
        "version": version.version,
        "state": version.statistics.state,
        "max_batch_size": str(signature.max_batch_size),
    }
    if version.labels:
        properties["version_labels"] = ",".join(version.labels)
    for output in signature.outputs:
        if output.labels:
            properties[f"labels.{output.name}"] = json.dumps(output.labels, ensure_ascii=False)
    return pb.ModelMetadataResponse(
        name=version.name,
        versions=versions,
        platform=PLATFORM,
        inputs=_described(signature.inputs),
        outputs=_described(signature.outputs),
        properties=properties,
    )


def _described(tensors: Iterable[Tensor]) -> list[pb.ModelMetadataResponse.TensorMetadata]:
    return [
        pb.ModelMetadataResponse.TensorMetadata(
            name=tensor.name, datatype=tensor.datatype.name, shape=tensor.shape
        )
        for tensor in tensors
    ]
