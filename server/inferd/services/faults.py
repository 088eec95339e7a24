"""Calls that bring faults of their own: what makes no sense is refused before they are answered."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from inferd.call import Call
from inferd.resilience.faults.by_call import METADATA
from inferd.services.routes import Route

Check = Callable[[Call], None]
"""Raises `InvalidRequest` for a call whose faults make no sense."""


def heeding(routes: Iterable[Route], check: Check) -> list[Route]:
    """Return the same routes, for servers whose callers may break things."""
    return [replace(each, handler=_checked(each.handler, check)) for each in routes]


def _checked(handler: Callable[..., Any], check: Check) -> Callable[..., Any]:
    def checked(request: Any, call: Call) -> Any:
        if METADATA in call.metadata:
            check(call)
        return handler(request, call)

    return checked
