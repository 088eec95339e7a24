"""One request to a model, from admission to its answer."""

import asyncio
import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeAlias

from numpy.typing import NDArray

from inferd.inference.scheduling import Ticket

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
"""Arrays by name; the first dimension counts rows if the model batches."""

Inputs: TypeAlias = Tensors | Callable[[], Tensors]
"""Tensors, or what makes them: asked only once the request has been admitted."""

_NOT_READ: Tensors = {}


class Request(Ticket):
    """A ticket with its tensors and the future that its caller waits for."""

    __slots__ = (
        "batch_rows", "future", "inputs", "outputs", "picked", "run_began", "run_ended", "span",
    )  # fmt: skip

    future: "asyncio.Future[Tensors]"
    """Set before anybody is let near the loop again, for all but those who run at once."""

    def __init__(
        self,
        *,
        outputs: tuple[str, ...],
        rows: int,
        deadline: float,
        arrived: float,
        within_s: float | None = None,
        key: Hashable = None,
        level: int = 0,
        weight: float = 1.0,
        caller: Hashable = None,
        retried: bool = False,
        yields_at: float = math.inf,
        span: object | None = None,
    ) -> None:
        # All of the ticket here, too: there is one of these for every call.
        self.rows = rows
        self.deadline = deadline
        self.arrived = arrived
        self.within_s = deadline - arrived if within_s is None else within_s
        self.key = key
        self.level = level
        self.weight = weight
        self.caller = caller
        self.retried = retried
        self.yields_at = yields_at
        self.sequence = 0
        self.put_back = False
        self.inputs = _NOT_READ
        #: Names of the outputs wanted, in order.
        self.outputs = outputs
        self.span = span
        #: When it left the queue, and when its model's run began and ended.
        self.picked = self.run_began = self.run_ended = 0.0
        #: The rows of the batch that it left with.
        self.batch_rows = 0

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.future.done()
