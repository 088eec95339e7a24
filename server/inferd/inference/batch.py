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
from inferd.errors import ModelFailed, Poison
from inferd.inference.finite import FiniteOutputs
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
    #: Whether nobody in it got a right answer, and nobody knows better.
    failed: bool = False
    #: Whether it was told to end: nobody waits for it any more.
    stopped: bool = False

    def end(self) -> None:
        """Have the run fail as soon as it can, from another thread."""
        self.stopped = True
        self.stop.now()

    def run(
        self,
        runner: Runner,
        clock: Clock,
        packing: Packing = ROWS,
        finite: FiniteOutputs | None = None,
    ) -> None:
        """Fill in the results and the times. Never raises `ModelFailed`; it is a result.

        With `finite`, an answer that is not is a failure, too.
        """
        self.began = clock()
        inputs, self.padding = packing.pack(self.requests)
        names = wanted(self.requests)
        self.assembled = clock()
        try:
            arrays = runner.run(inputs, names, self.stop)
            self.computed = clock()
            outputs = dict(zip(names, arrays, strict=True))
            results = packing.unpack(self.requests, outputs)
            self.results = [*results]
            if finite and not finite.all_in(outputs):
                self._judge([finite.checked(each) for each in results])
        except ModelFailed as error:
            self.computed = clock()
            self.clean = False
            # Where it came from holds the session, and us, who hold the error: memory and threads
            # that nobody would have back before the garbage collector's rarest round.
            error.__traceback__ = error.__cause__ = error.__context__ = None
            self._judge(self._isolate(error, runner, clock, packing, finite))
        self.ended = clock()

    def _judge(self, results: list[Tensors | ModelFailed]) -> None:
        """Take the results. Where only some failed, it was their input."""
        self.results = results
        self.failed = all(isinstance(result, ModelFailed) for result in results)
        if not self.failed:
            self.acquit()

    def acquit(self) -> None:
        """Say of those who failed that their own input was to blame, and not the model."""
        self.failed = False
        self.results = [
            Poison(str(each)) if isinstance(each, ModelFailed) else each for each in self.results
        ]

    def fail(self, error: ModelFailed, now: float) -> None:
        """Give everyone this error, whatever had been done so far."""
        self.clean, self.failed = False, True
        self.results = [error] * len(self.requests)
        self.began = self.began or now
        self.assembled = self.assembled or now
        self.computed = self.computed or now
        self.ended = now

    def _isolate(
        self,
        error: ModelFailed,
        runner: Runner,
        clock: Clock,
        packing: Packing,
        finite: FiniteOutputs | None,
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
            batch.run(runner, clock, packing, finite)
            for at, result in zip(staying, batch.results, strict=True):
                results[at] = result
        return results


def wanted(requests: Sequence[Request]) -> tuple[str, ...]:
    """Return the outputs that any of the requests wants."""
    first = requests[0].outputs
    if len(requests) == 1 or all(request.outputs is first for request in requests):
        return first
    return tuple(dict.fromkeys(name for request in requests for name in request.outputs))
