"""The models that are asked: one row of numbers in, one score out.

Whatever goes wrong with a model costs the decision its score and no more: also if it is told
something that it does not take, for that is no fault of the caller's.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from inferd.call import Call
from inferd.config.fraud_service import FraudModel
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InvalidRequest
from inferd.features.kinds import Kind
from inferd.services.fraud.features import unknown
from inferd.services.fraud.rules import Values

NUMBERS = ("int64", "float64", "bool")

Row = NDArray[np.float32]


class Version(Protocol):
    """A version of a model."""

    @property
    def version(self) -> str:
        """Its number."""


class Models(Protocol):
    """The models that this server has."""

    def find(self, name: str, version: str = "", call: Call | None = None) -> Version | None:
        """Return the ready version that is meant, by this call, or None."""

    async def run(
        self,
        name: str,
        inputs: Mapping[str, NDArray[Any]],
        *,
        call: Call,
        deadline: Deadline,
        version: str = "",
        outputs: Sequence[str] = (),
    ) -> Mapping[str, NDArray[Any]]:
        """Return what a model makes of these inputs. Raises `InferdError`."""


class Said(NamedTuple):
    """What a model said."""

    raw: float
    version: str


class Scorer:
    """One model, as decisions ask it."""

    def __init__(self, settings: FraudModel, models: Models, kinds: Mapping[str, Kind]) -> None:
        """`kinds` are the types of all variables."""
        self.name = settings.name
        self.settings = settings
        #: Models with the same are told the same.
        self.told = settings.inputs, repr(settings.missing)
        self._models = models
        self._widths = [kinds[name].length for name in settings.inputs]

    def row(self, values: Values) -> Row:
        """Return what it is told, of shape [1, width]."""
        missing, row = self.settings.missing, list[float]()
        for name, width in zip(self.settings.inputs, self._widths, strict=True):
            value = values[name]
            if isinstance(value, tuple):
                row += map(float, value)
            elif value is None:
                row += (missing,) * (width or 1)
            else:
                row.append(float(value))
        return np.array([row], np.float32)

    async def ask(self, call: Call, deadline: Deadline, row: Row) -> Said:
        """Return what it says of a transaction. Raises `InferdError`."""
        scores, version = await self.scores(call, deadline, row)
        return Said(float(scores[0]), version)

    async def scores(
        self, call: Call, deadline: Deadline, rows: Row, version: str = ""
    ) -> tuple[Sequence[float], str]:
        """Return what it says of several rows, and which version says so. Raises `InferdError`."""
        it = self.settings
        asked = version or it.version
        found = self._models.find(it.model, asked, call)
        try:
            outputs = await self._models.run(
                it.model,
                {it.tensor: rows},
                call=call,
                deadline=deadline,
                version=asked,
                outputs=(it.output,),
            )
        except InvalidRequest as error:
            text = f"{it.model} does not take what it is told: {error}"
            raise DependencyFailed(text) from error
        said = np.asarray(outputs[it.output], np.float64).reshape(len(rows), -1)[:, -1]
        return [float(each) for each in said], "" if found is None else found.version


def finite(said: Said) -> None:
    """Raise `DependencyFailed` for a score that is no number."""
    if not math.isfinite(said.raw):
        raise DependencyFailed("the score is no number")


def problems(settings: Sequence[FraudModel], kinds: Mapping[str, Kind]) -> Iterable[str]:
    """Yield what models cannot be told, each with its key."""
    for each in settings:
        key = f"models.{each.name}.inputs"
        yield from unknown(key, each.inputs, kinds)
        for name in each.inputs:
            kind = kinds.get(name)
            if kind is not None and kind.name not in NUMBERS and not kind.length:
                yield f"{key}: {name} is {kind}, and models are told numbers"
