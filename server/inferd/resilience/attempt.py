"""One attempt that an alarm can cut short, and a second one beside it if the first takes long.

The first attempt is awaited by the caller's own task: a task for it would cost more than all that a
guard does. Cutting it short is what `asyncio.timeout` does: the task is cancelled, and whoever did
it recognises that and takes the cancellation back. A hedge, which is rare, is a task, and when it
has the answer first, that too cuts the first attempt short.
"""

import asyncio
from asyncio import current_task
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from inferd.errors import TimedOut
from inferd.resilience.alarms import Alarmed, Alarms

Value = TypeVar("Value")


class Attempt(Generic[Value]):
    """What is awaited by the current task until it ends or its alarm rings."""

    __slots__ = ("_alarm", "_cancelling", "_cut", "_task", "_what", "answer")

    def __init__(self, alarms: Alarms, at: float, what: str) -> None:
        """Cut it short at `at`, in monotonic seconds; `what` is what took too long then."""
        task = current_task(alarms.loop)  # which costs less if it need not look for the loop
        assert task is not None
        self._task = task
        self._what = what
        self._cancelling = task.cancelling()
        #: Whether a cancellation of ours has not been taken back.
        self._cut = False
        #: Where it waits to be rung.
        self._alarm: set[Alarmed] = alarms.set(at, self)
        #: What there is instead of the attempt's own, once it `was_answered`.
        self.answer: Value

    def ring(self) -> None:
        """Cut it short: the time is up."""
        self._cut_short()

    async def was_answered(self, error: BaseException) -> bool:
        """Return whether there is an `answer` although the attempt ended with `error`.

        Raises `TimedOut` where it ended because its time was up.
        """
        if self._was_cut():
            raise self._too_long()
        return False

    def end(self) -> None:
        """Let nothing ring any more, however it ended."""
        self._alarm.discard(self)
        if self._cut:  # and whatever was awaited took no notice, as it may
            self._task.uncancel()
        del self._task  # which keeps its error, whose traceback leads here: a cycle

    def _cut_short(self) -> None:
        if not self._cut:  # once: it is taken back once
            self._cut = True
            self._task.cancel()

    def _too_long(self) -> TimedOut:
        return TimedOut(f"{self._what} took longer than its share of the deadline")

    def _was_cut(self) -> bool:
        """Return whether it was cut short, and not cancelled by somebody else besides."""
        if not self._cut:
            return False
        self._cut = False
        return self._task.uncancel() <= self._cancelling


class Hedged(Attempt[Value]):
    """An attempt that has a second one begun when the alarm rings for the first time."""

    __slots__ = ("_alarms", "_begin", "_ended", "_second", "_until")

    def __init__(
        self, alarms: Alarms, at: float, what: str, *, until: float, begin: "Second[Value]"
    ) -> None:
        """At `at`, ask `begin` for the second attempt; at `until`, cut both short."""
        super().__init__(alarms, at, what)
        self._alarms = alarms
        self._until = until
        self._begin: Second[Value] | None = begin
        self._second: asyncio.Task[Value] | None = None
        #: Whether the first attempt has.
        self._ended = False

    def ring(self) -> None:
        """Begin the second attempt; when the time is up, cut both short."""
        begin, self._begin = self._begin, None
        if begin is None:
            self._cut_short()
            return
        self._alarm = self._alarms.set(self._until, self)
        coroutine = begin()
        if coroutine is not None:
            self._second = self._task.get_loop().create_task(coroutine, name="hedge")
            self._second.add_done_callback(self._second_ended)

    async def was_answered(self, error: BaseException) -> bool:
        """Return whether the second attempt has the `answer`; it is waited for if it must be."""
        self._ended = True
        second = self._second
        if second is None or (self._cut and not _has_answer(second)):
            return await super().was_answered(error)
        if self._cut:
            if not self._was_cut():
                return False
        elif not isinstance(error, Exception):
            return False
        elif not second.done():
            await self._ending_of(second)
        if not _has_answer(second):
            return False  # and the error of the first says more
        self.answer = second.result()
        return True

    async def _ending_of(self, second: "asyncio.Task[Value]") -> None:
        try:
            await asyncio.wait((second,))
        except asyncio.CancelledError:
            if self._was_cut():
                raise self._too_long() from None
            raise

    def end(self) -> None:
        """Let nothing ring any more, and end the second attempt."""
        super().end()
        self._ended = True
        if self._second is not None:
            self._second.cancel()

    def _second_ended(self, second: "asyncio.Task[Value]") -> None:
        # Asked how it ended in any case, or asyncio complains that nobody did.
        if _has_answer(second) and not self._ended:
            self._cut_short()


Second = Callable[[], Coroutine[Any, Any, Value] | None]
"""Makes the second attempt, or returns None: there may be none."""


def _has_answer(task: "asyncio.Task[Value]") -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
