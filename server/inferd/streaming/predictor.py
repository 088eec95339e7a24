"""Asking the model of a route, in this process: one row of numbers in, one prediction out.

No socket is involved. Each event asks by itself, and the model's own batcher has the company.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferd.call import Call
from inferd.config.stream import Route as Settings
from inferd.deadline import Clock, Deadline
from inferd.errors import Expired, InvalidRequest, ModelFailed
from inferd.inference.checks import check_arrays, check_output_names
from inferd.inference.direct import ask
from inferd.inference.models import Models
from inferd.inference.version import ModelVersion
from inferd.runtime.signature import Signature
from inferd.streaming.results import Prediction


class Answer(NamedTuple):
    """What a model says."""

    prediction: Prediction
    confidence: float | None
    #: The model's version that said it.
    version: str


class Predictor:
    """Asks models. Lives on the event loop."""

    def __init__(self, models: Models, clock: Clock) -> None:
        self._models = models
        self._clock = clock

    async def check(self, route: Settings) -> None:
        """Raise unless a route's model takes what the route gives it, and says what it asks for.

        Raises `InvalidRequest` for what does not fit, and what `Models.get` raises.
        """
        version = await self._models.get(route.model, route.version)
        check_fits(route, version.signature)

    async def predict(
        self,
        call: Call,
        deadline: Deadline,
        route: Settings,
        numbers: Mapping[str, Sequence[float]],
    ) -> Answer:
        """Return the prediction for one row, by the deadline.

        Raises what `Models.get` and `ModelVersion.infer` raise, `Expired` for a model that is not
        loaded again in time, and `ModelFailed` for an answer that is not finite.
        """
        version = self._models.find(route.model, route.version, call)
        version = version or await self._brought_back(route, deadline)
        told = route.prediction or version.signature.outputs[0].name
        tensors = await ask(
            version,
            _arrays(version.signature, version.name, numbers),
            (told, route.confidence) if route.confidence not in {"", told} else (told,),
            call=call,
            deadline=deadline,
            clock=self._clock,
        )
        prediction = _prediction(tensors[told])
        confidence = _confidence(tensors[route.confidence or told], asked=bool(route.confidence))
        return Answer(prediction, confidence, version.version)

    async def _brought_back(self, route: Settings, deadline: Deadline) -> ModelVersion:
        """Return a model that was evicted; loading it goes on for those who come later."""
        try:
            async with asyncio.timeout(deadline.remaining(self._clock())):
                return await self._models.get(route.model, route.version)
        except TimeoutError as error:
            raise Expired(f"model '{route.model}' was not loaded again in time") from error


def check_fits(route: Settings, signature: Signature) -> None:
    """Raise `InvalidRequest` unless a model of this signature is one for a route."""
    numbers = {tensor: [0.0] * len(fields) for tensor, fields in route.inputs.items()}
    check_arrays(signature, route.model, _arrays(signature, route.model, numbers))
    told = [name for name in (route.prediction, route.confidence) if name]
    check_output_names(signature, route.model, told)


def _arrays(
    signature: Signature, model: str, numbers: Mapping[str, Sequence[float]]
) -> dict[str, NDArray[Any]]:
    arrays = {}
    for tensor in signature.inputs:
        row = numbers.get(tensor.name)
        if row is None:
            continue
        if not tensor.datatype.fixed_size:
            raise InvalidRequest(f"input '{tensor.name}' takes text, not numbers")
        try:
            arrays[tensor.name] = np.array(
                [row] if signature.batches else row, tensor.datatype.numpy
            )
        except (OverflowError, ValueError) as error:
            raise InvalidRequest(f"input '{tensor.name}': {error}") from error
    if unknown := numbers.keys() - arrays.keys():
        raise InvalidRequest(f"model '{model}' has no input '{min(unknown)}'")
    return arrays


def _prediction(output: NDArray[Any]) -> Prediction:
    """Return the only element of a tensor, or the place of the largest of several."""
    if output.size == 0:
        raise ModelFailed("the model's answer is empty")
    if output.size > 1:
        return int(output.argmax())
    value: Prediction | bytes = output.item()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str):
        return value.encode(errors="replace").decode()  # JSON takes no halves of a character
    return _finite(value)


def _confidence(output: NDArray[Any], *, asked: bool) -> float | None:
    """Return the largest element of a tensor; None where nobody `asked` and there is but one."""
    if not asked and output.size <= 1:
        return None
    if output.size == 0 or output.dtype == object:
        raise ModelFailed("the model's answer has no numbers to be confident by")
    return _finite(float(output.max()))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ModelFailed("the model's answer is not finite")
    return value
