"""A batch: the tensors of strangers put together, run once, and taken apart again.

Everything here happens on an instance's own thread and touches no shared state. When a
run fails, the batch is halved until the inputs that make it fail stand alone: the others
get their answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from inferd.deadline import Clock
from inferd.errors import ModelFailed
from inferd.inference.packing import ROWS, Packing
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
    #: Rows that were run and that nobody had asked for.
    padding: int = 0
    #: Whether it ran in one piece, so that its time says something.
    clean: bool = True

    def run(self, runner: Runner, clock: Clock, packing: Packing = ROWS) -> None:
        """Fill in the results and the times. Never raises `ModelFailed`; it is a result."""
        self.began = clock()
        inputs, self.padding = packing.pack(self.requests)
        names = wanted(self.requests)
        self.assembled = clock()
        try:
            outputs = runner.run(inputs, names, self.stop)
            self.computed = clock()
            self.results = [*packing.unpack(self.requests, dict(zip(names, outputs, strict=True)))]
        except ModelFailed as error:
            self.computed = clock()
            self.clean = False
            self.results = self._isolate(error, runner, clock, packing)
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
        self, error: ModelFailed, runner: Runner, clock: Clock, packing: Packing
    ) -> list[Tensors | ModelFailed]:
        """Run the halves, down to the one input that fails. Who has left stays out of them."""
        results: list[Tensors | ModelFailed] = [error] * len(self.requests)
        if len(self.requests) == 1:
            return results
        middle = len(self.requests) // 2
        for half in (range(middle), range(middle, len(self.requests))):
            staying = [at for at in half if not self.requests[at].gone]
            if not staying:
                continue
            batch = Batch([self.requests[at] for at in staying], self.stop)
            batch.run(runner, clock, packing)
            for at, result in zip(staying, batch.results, strict=True):
                results[at] = result
        return results


def wanted(requests: Sequence[Request]) -> tuple[str, ...]:
    """Return the outputs that any of the requests wants."""
    first = requests[0].outputs
    if len(requests) == 1 or all(request.outputs is first for request in requests):
        return first
    return tuple(dict.fromkeys(name for request in requests for name in request.outputs))
