"""The thread of one model instance: takes batches, runs them, posts each back once."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection
from queue import SimpleQueue

from inferd.deadline import Clock
from inferd.errors import ModelFailed
from inferd.inference.batch import Batch, Runner, Stopper
from inferd.inference.control import Control
from inferd.inference.faulty import Faulty, Point, any_broken
from inferd.inference.finite import FiniteOutputs
from inferd.inference.packing import ROWS, Packing
from inferd.inference.threads import give_way, stay_on
from inferd.telemetry.threads import name_this_thread

log = logging.getLogger(__name__)

Done = Callable[[], None]
"""Called on the event loop when a batch has been run."""


class Worker:
    """Runs batches in order, on a thread of its own or, for short ones, on the caller's."""

    def __init__(
        self,
        name: str,
        runner: Runner,
        clock: Clock,
        *,
        packing: Packing = ROWS,
        finite: FiniteOutputs | None = None,
        control: Control | None = None,
        points: Collection[Point] = (),
        niceness: int = 0,
        cores: Collection[int] = (),
    ) -> None:
        """`cores` are those that the thread is kept to; empty: any.

        With `finite`, answers must be. `control` tells a model that fails from poison. `points`
        are where it can be broken on purpose.
        """
        self._control = control
        self._finite = finite
        self._points = points
        self._niceness = niceness
        self._cores = cores
        self._packing = packing
        self._runner = runner
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[tuple[Batch, Done] | None] = SimpleQueue()
        # A daemon: a model that hangs must not keep a dying process alive.
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def session(self) -> object:
        """What it runs, perhaps together with other workers."""
        return self._runner

    def stopper(self) -> Stopper:
        """Return what ends the next run."""
        stopper: Stopper = self._runner.stop()
        return stopper

    def submit(self, batch: Batch, done: Done) -> None:
        """Run `batch` on the thread, then call `done` on the event loop."""
        self._jobs.put((batch, done))

    def run_here(self, batch: Batch) -> None:
        """Run `batch` now, on the calling thread, whatever is wrong at the points."""
        self._run(batch, self._runner)

    def _run(self, batch: Batch, runner: Runner) -> None:
        try:
            batch.run(runner, self._clock, self._packing, self._finite)
        except Exception:  # a bug of ours is this batch's failure, not the server's end
            log.exception("a batch of %d failed", len(batch.requests))
            error = ModelFailed("the model could not be run; the server's log says why")
            batch.fail(error, self._clock())
        if batch.failed and self._control and self._control.passes(runner, batch.stop):
            batch.acquit()

    def leave(self) -> None:
        """Let the thread end after its last batch, whenever that will be."""
        self._jobs.put(None)

    def close(self, *, timeout_s: float) -> None:
        """Let the thread end after its last batch, and wait for that a while."""
        self.leave()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("%s is still running a batch; left behind", self._thread.name)
        else:
            # Now, and not when the garbage collector comes by: a session's memory is large.
            del self._runner

    def _serve(self) -> None:
        name_this_thread(self._thread.name)
        give_way(self._niceness)
        stay_on(self._cores)
        for batch, done in iter(self._jobs.get, None):
            broken = any_broken(self._points)
            self._run(batch, Faulty(self._runner, self._points, batch) if broken else self._runner)
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
                self._loop.call_soon_threadsafe(done)
            del batch, done  # or their tensors would stay until the next batch comes
