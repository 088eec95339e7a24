"""Tables that are functions of Python: whatever they return for keys, somebody checks it here."""

import importlib
import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from inferd.errors import DependencyFailed, InferdError
from inferd.features.compute.executor import Executor
from inferd.features.kinds import Held

log = logging.getLogger(__name__)


def named(name: str) -> Callable[..., Any]:
    """Return the function of a `module:function`. Raises `ValueError`, saying why it cannot."""
    module, _, function = name.partition(":")
    found: object
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # whatever a module may do when it is imported
        raise ValueError(f"{name}: {error or type(error).__name__}") from error
    if not callable(found):
        raise ValueError(f"{name} is no function")  # noqa: TRY004 - it is a wrong value
    return found


class FunctionTable:
    """Asks a function. If it is no coroutine function, it runs on a thread."""

    def __init__(self, table: str, function: Callable[..., Any], executor: Executor) -> None:
        self._table = table
        self._function = function
        self._executor = executor
        self._awaited = inspect.iscoroutinefunction(function)
        #: Whether it did the last time; what it says then is told once.
        self._fails = False

    async def get(self, keys: Sequence[Held]) -> Sequence[Mapping[str, object] | None]:
        """Return rows by column; None where there is none. Raises `InferdError`."""
        try:
            rows = _checked(await self._answer([*keys]), len(keys))
        except InferdError:
            raise
        except Exception as error:
            if not self._fails:
                log.warning("the function of table %s fails", self._table, exc_info=error)
            self._fails = True
            name = type(error).__name__
            raise DependencyFailed(
                f"the function of table {self._table} failed ({name})"
            ) from error
        self._fails = False
        return rows

    async def _answer(self, keys: Sequence[Held]) -> object:
        if self._awaited:
            return await self._function(keys)
        return await self._executor.run(partial(self._function, keys))


def _checked(rows: object, expected: int) -> Sequence[Mapping[str, object] | None]:
    if not isinstance(rows, Sequence) or len(rows) != expected:
        raise TypeError(f"expected a list of {expected} rows, one for each key")
    if not all(row is None or isinstance(row, Mapping) for row in rows):
        raise TypeError("expected mappings by column, and None for what is not there")
    return rows
