"""Which packing a model needs, from its completed configuration and its signature."""

from collections.abc import Iterable

import numpy as np

from inferd.inference.packing.lengths import Lengths
from inferd.inference.packing.packing import Packing
from inferd.inference.packing.ragged import BatchInput, Kind, Ragged
from inferd.inference.packing.rows import ROWS, Rows
from inferd.inference.repository.lengths import pad_of
from inferd.inference.repository.model_config import ModelConfig
from inferd.runtime.datatypes import BY_CONFIG
from inferd.runtime.signature import Signature, Tensor


def packing_of(config: ModelConfig, signature: Signature) -> tuple[Packing, Lengths | None]:
    """Return the packing, and how it treats lengths if it does."""
    flat = frozenset(tensor.name for tensor in signature.inputs if tensor.ragged)
    if flat or config.batch_input or config.batch_output:
        return _ragged(config, signature, flat), None
    lengths = _lengths(config, signature)
    if lengths is None and not signature.batch_sizes:
        return ROWS, None
    return Rows(signature.batch_sizes, lengths), lengths


def _lengths(config: ModelConfig, signature: Signature) -> Lengths | None:
    buckets = config.options.sequence_buckets
    if not buckets:
        return None
    varying = [tensor for tensor in signature.inputs if -1 in tensor.shape[1:]]
    return Lengths(
        buckets,
        inputs={tensor.name: tensor.shape.index(-1, 1) for tensor in varying},
        outputs={tensor.name: _varying(tensor) for tensor in signature.outputs},
        fill=dict(_fills(config, varying)),
    )


def _varying(tensor: Tensor) -> tuple[int, ...]:
    return tuple(at for at, size in enumerate(tensor.shape) if at and size < 0)


def _fills(config: ModelConfig, varying: Iterable[Tensor]) -> Iterable[tuple[str, int | float]]:
    for tensor in varying:
        value = pad_of(tensor, config.options.sequence_pad)
        if tensor.datatype.name == "BF16":  # its bits are the upper half of an FP32's
            value = int(np.float32(value).view(np.uint32)) >> 16
        yield tensor.name, value


def _ragged(config: ModelConfig, signature: Signature, flat: frozenset[str]) -> Ragged:
    shapes = {tensor.name: tensor.shape for tensor in signature.outputs}
    return Ragged(
        flat,
        batch_inputs=[
            BatchInput(
                Kind(each.kind),
                each.target_name,
                each.source_input[0],
                BY_CONFIG[each.data_type or "TYPE_FP32"].numpy,
            )
            for each in config.batch_input
        ],
        scattered={
            name: (each.source_input[0], shapes[name])
            for each in config.batch_output
            for name in each.target_name
            if name in shapes
        },
    )
