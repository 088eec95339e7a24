"""One request to a model, from admission to its answer."""

import asyncio
from collections.abc import Hashable, Mapping
from typing import Any

from numpy.typing import NDArray

from inferd.inference.scheduling import Ticket

Tensors = Mapping[str, NDArray[Any]]
"""Arrays by name; the first dimension counts rows if the model batches."""


class Request(Ticket):
    """A ticket with its tensors and the future that its caller waits for."""

    __slots__ = ("future", "inputs", "outputs", "picked", "run_began", "run_ended", "span")

    def __init__(
        self,
        *,
        inputs: Tensors,
        outputs: tuple[str, ...],
        future: "asyncio.Future[Tensors]",
        rows: int,
        deadline: float,
        arrived: float,
        key: Hashable = None,
        level: int = 0,
        span: object | None = None,
    ) -> None:
        super().__init__(rows=rows, deadline=deadline, arrived=arrived, key=key, level=level)
        self.inputs = inputs
        #: Names of the outputs wanted, in order.
        self.outputs = outputs
        self.future = future
        self.span = span
        #: When it left the queue, and when its model's run began and ended.
        self.picked = self.run_began = self.run_ended = 0.0

    @property
    def gone(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.future.done()
