"""The models that are asked: towers that put users and items into one space, and rankers.

Whatever goes wrong with a model costs an answer what the model would have said, and no more: also
if it is told something that it does not take, for that is no fault of the caller's.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from inferd.call import Call
from inferd.config.recommendation.catalogue import ItemVectors
from inferd.config.recommendation.rankers import Ranker
from inferd.config.recommendation.users import UserVectors
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InvalidRequest
from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.content import Inputs, item_inputs, user_inputs
from inferd.services.recommendation.items import Item, Vectors
from inferd.services.recommendation.vocabulary import Seen

Outputs = npt.NDArray[Any]


class Version(Protocol):
    """A version of a model."""

    @property
    def version(self) -> str:
        """Its number."""


class Models(Protocol):
    """The models that this server has."""

    def find(self, name: str, version: str = "", call: Call | None = None) -> Version | None:
        """Return the ready version that is meant for a call, or None."""

    async def run(
        self,
        name: str,
        inputs: Mapping[str, npt.NDArray[Any]],
        *,
        call: Call,
        deadline: Deadline,
        version: str = "",
        outputs: Sequence[str] = (),
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Return what a model makes of these inputs. Raises `InferdError`."""


class UserTower:
    """Says where a user is, from what they did."""

    def __init__(self, settings: UserVectors, models: Models, dimensions: int) -> None:
        self._settings = settings
        self._models = models
        self._dimensions = dimensions

    async def ask(
        self, call: Call, deadline: Deadline, history: Sequence[Seen], table: Table
    ) -> Vectors:
        """Return a vector, float32 [d]. `history` is newest first. Raises `InferdError`."""
        it = self._settings
        inputs = user_inputs(history, table)
        said = await _asked(self._models, it, inputs, call, deadline)
        vector: Vectors = _vectors(it.model, said, 1, self._dimensions)[0]
        return vector

    def version(self, call: Call) -> str:
        """Return which version answers a call, as "name/version"."""
        return _version(self._models, self._settings, call)


class ItemTower:
    """Says where items are, from what is said of them."""

    def __init__(self, settings: ItemVectors, models: Models, dimensions: int) -> None:
        self._settings = settings
        self._models = models
        self._dimensions = dimensions

    async def ask(self, call: Call, deadline: Deadline, items: Sequence[Item]) -> Vectors:
        """Return their vectors, float32 [n, d]. Raises `InferdError`."""
        it = self._settings
        told = item_inputs(items)
        inputs: Inputs = {name: told[name] for name in it.inputs}
        said = await _asked(self._models, it, inputs, call, deadline)
        return _vectors(it.model, said, len(items), self._dimensions)


class Scorer:
    """One ranker: all candidates of a request are one batch of rows."""

    def __init__(self, settings: Ranker, models: Models) -> None:
        self.name = settings.name
        self.settings = settings
        #: Rankers with the same are told the same.
        self.told = settings.inputs, repr(settings.missing)
        self._models = models

    async def ask(self, call: Call, deadline: Deadline, rows: Vectors) -> Outputs:
        """Return what it says of candidates, [k] or [k, classes]. Raises `InferdError`.

        `rows` is float32 [k, inputs].
        """
        it = self.settings
        return await _asked(self._models, it, {it.tensor: rows}, call, deadline)

    def version(self, call: Call) -> str:
        """Return which version answers a call, as "name/version"."""
        return _version(self._models, self.settings, call)


def _version(models: Models, it: UserVectors | ItemVectors | Ranker, call: Call) -> str:
    """Return what would be asked; without a number while it is not ready."""
    found = models.find(it.model, it.version, call)
    return it.model if found is None else f"{it.model}/{found.version}"


async def _asked(
    models: Models,
    it: UserVectors | ItemVectors | Ranker,
    inputs: Mapping[str, npt.NDArray[Any]],
    call: Call,
    deadline: Deadline,
) -> Outputs:
    try:
        outputs = await models.run(
            it.model,
            inputs,
            call=call,
            deadline=deadline,
            version=it.version,
            outputs=(it.output,),
        )
    except InvalidRequest as error:
        raise DependencyFailed(f"{it.model} does not take what it is told: {error}") from error
    return outputs[it.output]


def _vectors(model: str, said: Outputs, count: int, dimensions: int) -> Vectors:
    """Return vectors, float32 [count, d]. Raises `DependencyFailed` where they are none."""
    vectors = np.asarray(said, np.float32)
    if vectors.shape != (count, dimensions):
        expected = (count, dimensions)
        raise DependencyFailed(f"{model} says {vectors.shape}, and {expected} is needed")
    if not np.isfinite(vectors).all():
        raise DependencyFailed(f"{model} says what is no number")
    return vectors
