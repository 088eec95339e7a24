"""A batch: the tensors of strangers put together, run once, and taken apart again.

Everything here happens on an instance's own thread and touches no shared state. When a
run fails, the batch is halved until the inputs that make it fail stand alone: the others
get their answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inferd.deadline import Clock
from inferd.errors import ModelFailed
from inferd.inference.request import Request, Tensors


class Stopper(Protocol):
    """Ends a run from another thread."""

    def now(self) -> None:
        """Make the run fail as soon as it can."""


class Runner(Protocol):
    """What a batch is run by: a session of `inferd.runtime`, or a test's stand-in."""

    def stop(self) -> Any:
        """Return a new `Stopper` for one run."""

    def run(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], stop: Any
    ) -> list[NDArray[Any]]:
        """Return the named outputs, or raise `ModelFailed`. Blocks."""


@dataclass(slots=True, eq=False)
class Batch:
    """Requests that run together, then what came of them. Times are monotonic seconds."""

    requests: Sequence[Request]
    stop: Stopper
    #: One per request, in order: its outputs, or why it has none.
    results: list[Tensors | ModelFailed] = field(default_factory=list)
    began: float = 0.0
    assembled: float = 0.0
    computed: float = 0.0
    ended: float = 0.0
    #: Whether it ran in one piece, so that its time says something.
    clean: bool = True

    def run(self, runner: Runner, clock: Clock) -> None:
        """Fill in the results and the times. Never raises `ModelFailed`; it is a result."""
        self.began = clock()
        inputs = assemble(self.requests)
        names = wanted(self.requests)
        self.assembled = clock()
        try:
            outputs = runner.run(inputs, names, self.stop)
            self.computed = clock()
            self.results = split(self.requests, dict(zip(names, outputs, strict=True)))
        except ModelFailed as error:
            self.computed = clock()
            self.clean = False
            self.results = self._isolate(error, runner, clock)
        self.ended = clock()

    def fail(self, error: ModelFailed, now: float) -> None:
        """Give everyone this error, whatever had been done so far."""
        self.clean = False
        self.results = [error] * len(self.requests)
        self.began = self.began or now
        self.assembled = self.assembled or now
        self.computed = self.computed or now
        self.ended = now

    def _isolate(
        self, error: ModelFailed, runner: Runner, clock: Clock
    ) -> list[Tensors | ModelFailed]:
        """Run the halves, down to the one input that fails."""
        if len(self.requests) == 1 or all(request.gone for request in self.requests):
            return [error] * len(self.requests)
        middle = len(self.requests) // 2
        halves = [
            Batch(part, self.stop) for part in (self.requests[:middle], self.requests[middle:])
        ]
        for half in halves:
            half.run(runner, clock)
        return [result for half in halves for result in half.results]


def assemble(requests: Sequence[Request]) -> Tensors:
    """Concatenate the requests' inputs along the rows."""
    if len(requests) == 1:
        return requests[0].inputs
    names = requests[0].inputs
    return {name: np.concatenate([each.inputs[name] for each in requests]) for name in names}


def wanted(requests: Sequence[Request]) -> tuple[str, ...]:
    """Return the outputs that any of the requests wants."""
    first = requests[0].outputs
    if len(requests) == 1 or all(request.outputs is first for request in requests):
        return first
    return tuple(dict.fromkeys(name for request in requests for name in request.outputs))


def split(requests: Sequence[Request], outputs: Tensors) -> list[Tensors | ModelFailed]:
    """Give every request its own rows of the outputs it wants, as views."""
    if len(requests) == 1:
        return [outputs]
    rows = sum(request.rows for request in requests)
    for name, array in outputs.items():
        if not array.ndim or array.shape[0] != rows:
            raise ModelFailed(
                f"output '{name}' has shape {list(array.shape)} for a batch of {rows} rows"
            )
    results: list[Tensors | ModelFailed] = []
    start = 0
    for request in requests:
        end = start + request.rows
        results.append({name: outputs[name][start:end] for name in request.outputs})
        start = end
    return results
