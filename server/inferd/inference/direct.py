"""Asking a model from inside the server: the way of a call from outside, without the wire.

A stage of an endpoint is a call within a call. It has less time, and it begins when it is asked
and not when its caller's request arrived; everything else - who asks, how much it matters, the
span - is its caller's. What the model's version tells of how it fared there stays here: an
endpoint may ask several.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.errors import InvalidRequest
from inferd.inference.checks import check_arrays, check_output_names
from inferd.inference.finite import require_finite_inputs
from inferd.inference.request import Tensors
from inferd.inference.version import ModelVersion
from inferd.telemetry.statistics import OTHER


async def ask(
    version: ModelVersion,
    inputs: Mapping[str, NDArray[Any]],
    outputs: Sequence[str],
    *,
    call: Call,
    deadline: Deadline,
    clock: Clock,
) -> Tensors:
    """Return the named outputs (all, if none is named) of a version.

    Raises what `ModelVersion.infer` raises; `InvalidRequest` names all that does not fit.
    """
    part = _part_of(call, min(deadline, call.deadline), clock())
    try:
        rows = check_arrays(version.signature, version.name, inputs)
        check_output_names(version.signature, version.name, outputs)
        if version.config.options.refuse_nan:
            require_finite_inputs(version.signature, version.name, inputs)
        return await version.infer(inputs, rows=rows, outputs=outputs, call=part)
    except InvalidRequest:
        version.statistics.failed(OTHER, clock() - part.arrived)
        raise


def _part_of(call: Call, deadline: Deadline, now: float) -> Call:
    part = Call(call.method, arrived=now, deadline=deadline, metadata=call.metadata, peer=call.peer)
    part.span = call.span
    return part
