"""Stages that run at the same time, and end with the block that began them.

    async with Parallel() as at_once:
        profile = at_once.begin(self._profile(answer, user))
        rules = at_once.begin(self._rules(answer, transaction))
        if (await rules).blocks:
            return BLOCK  # and the profile is waited for no more

Leaving the block cancels the stragglers: an answer that needs them no longer does not wait, and
nothing is left behind.
"""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

Value = TypeVar("Value")


class Parallel:
    """A block that owns the tasks begun in it."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "Parallel":
        return self

    def begin(self, stage: Coroutine[Any, Any, Value]) -> "asyncio.Task[Value]":
        """Have a stage run beside the block; await the result to get what it returns."""
        task = asyncio.get_running_loop().create_task(stage)
        self._tasks.add(task)
        return task

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        cancelled = False
        while waiting := [task for task in self._tasks if not task.done()]:
            try:
                await asyncio.wait(waiting)
            except asyncio.CancelledError:
                cancelled = True  # but they are on their way out, and nobody else would wait
        for task in self._tasks:
            # Seen, or asyncio complains of errors that nobody wanted any more.
            if not task.cancelled():
                task.exception()
        self._tasks.clear()
        if cancelled:
            raise asyncio.CancelledError
