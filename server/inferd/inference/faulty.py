"""A session that was broken on purpose: slow, failing, hanging, or answering nonsense.

It stands in for the real one for as long as something is wrong at the instance's fault points;
otherwise nobody comes here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from inferd.errors import InferdError, ModelFailed
from inferd.inference.batch import Batch, Runner
from inferd.inference.request import Tensors


class Point(Protocol):
    """Where something can be wrong: `inferd.resilience.faults.FaultPoint`."""

    @property
    def fault(self) -> object | None:
        """What is wrong; None, or nothing in it: nothing."""

    def before_on_thread(self, stopped: Callable[[], bool]) -> None:
        """Suffer it, on a thread, but not for long after `stopped()`."""

    def after(self, value: Tensors) -> Tensors:
        """Return what becomes of a result."""


def any_broken(points: Collection[Point]) -> bool:
    """Whether something is wrong at any of these points."""
    return any(point.fault for point in points)


class Faulty:
    """Runs a batch with a session, and with what is wrong at these points."""

    def __init__(self, runner: Runner, points: Collection[Point], batch: Batch) -> None:
        self._runner = runner
        self._points = points
        self._batch = batch

    def stop(self) -> Any:
        """Return a new `Stopper` for one run."""
        return self._runner.stop()

    def run(
        self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str], stop: Any
    ) -> list[NDArray[Any]]:
        """Return the named outputs, or raise `ModelFailed`. Blocks."""
        try:
            for point in self._points:
                point.before_on_thread(lambda: self._batch.stopped)
            arrays = self._runner.run(inputs, outputs, stop)
            spoilt: Tensors = dict(zip(outputs, arrays, strict=True))
            for point in self._points:
                spoilt = point.after(spoilt)
        except ModelFailed:
            raise
        except InferdError as error:
            raise ModelFailed(str(error)) from error
        return [spoilt[name] for name in outputs]
