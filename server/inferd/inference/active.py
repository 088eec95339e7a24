"""A batch that is being run: who in it waits until when, and whether the run hangs."""

import math

from inferd.errors import Expired, InferdError, ModelFailed, TimedOut
from inferd.inference.batch import Batch
from inferd.inference.scheduling import Run
from inferd.inference.watch import Instance

#: Whoever looks so much too late has been held up, and perhaps the whole machine was.
HELD_UP_S = 0.05
#: Who is late because the run takes so many times as long as predicted, and so long at least, is
#: told so: it was not the queue.
SLOW_FACTOR, LEAST_SLOW_S = 3.0, 0.01


class Active:
    """One batch on its instance. Lives on the event loop; times are monotonic seconds."""

    __slots__ = (
        "_guard_s", "_hung_at", "_limit_s", "_slow_at", "batch", "instance", "permits", "run",
        "wake_at",
    )  # fmt: skip

    def __init__(
        self, run: Run, batch: Batch, instance: Instance, *, permits: int, limit_s: float,
        guard_s: float, now: float,
    ) -> None:  # fmt: skip
        """`permits` were taken for its threads, `limit_s` is how long it may take."""
        self.run = run
        self.batch = batch
        self.instance = instance
        self.permits = permits
        self._limit_s = limit_s
        self._guard_s = guard_s
        self._hung_at = now + limit_s
        self._slow_at = now + max(SLOW_FACTOR * run.predicted_s, LEAST_SLOW_S)
        #: When to look at it again.
        self.wake_at = self._next(min([each.deadline for each in batch.requests]))

    def expire(self, now: float) -> None:
        """Answer the members whose deadline is about to pass; without any, end the run."""
        soon = now + self._guard_s
        for request in self.batch.requests:
            if request.deadline <= soon and not request.gone:
                request.future.set_exception(too_slow() if now >= self._slow_at else late())
        alive = [each.deadline for each in self.batch.requests if not each.gone]
        self.wake_at = self._next(min(alive, default=math.inf))
        if not alive:
            self.batch.end()

    def hangs(self, now: float) -> bool:
        """Whether it has taken too long. If we have been held up, it gets its time again."""
        if now < self._hung_at:
            return False
        if now < self._hung_at + HELD_UP_S:
            return True
        self._hung_at = now + self._limit_s
        return False

    def fail(self, why: str) -> None:
        """Tell whoever still waits that the model failed, and end the run."""
        for request in self.batch.requests:
            if not request.gone:
                request.future.set_exception(ModelFailed(why))
        self.batch.end()

    def _next(self, deadline: float) -> float:
        return min(deadline - self._guard_s, self._hung_at)


def too_slow() -> InferdError:
    """Return the error of who is too late because the model is."""
    return TimedOut("the model takes longer than was predicted")


def late() -> InferdError:
    """Return the error of who was let in and is too late."""
    return Expired("the answer would have come after the deadline")
