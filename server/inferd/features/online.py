"""Features of all kinds, read together: those that are stored, come from events, or are computed.

Each kind has its own way and its own trouble. What keeps one from being read does not keep the
others: what it would have told is then known to be late, and has its defaults.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, InferdError
from inferd.features.statistics import FeatureStatistics
from inferd.features.values import Found, Lookup, Status


class Views(Protocol):
    """Views of one kind."""

    def fetch(
        self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]
    ) -> Coroutine[Any, Any, list[Found]]:
        """Return what is known, in the order of `lookups`, or raise `InferdError`."""


class OnlineFeatures:
    """Reads views of every kind. Lives on the event loop."""

    def __init__(
        self,
        kinds: Mapping[str, Views],
        statistics: FeatureStatistics,
        *,
        now_us: Callable[[], int],
    ) -> None:
        """`kinds`: who reads the views of a kind (`View.kind`). `now_us` is the time of day."""
        self._kinds = kinds
        self._statistics = statistics
        self.now_us = now_us

    async def get(self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what is known, in the order of `lookups`; where need be, only defaults.

        Raises `DependencyFailed` where something could not be read and a required feature has no
        default. Of those that lack one although all was read, `Found.lacking` tells.
        """
        try:
            return await self.fetch(call, deadline, lookups)
        except InferdError as error:
            found = self.defaults(lookups)
            if lacking := [name for each in found for name in each.lacking]:
                names = ", ".join(dict.fromkeys(lacking))
                raise DependencyFailed(
                    f"required, without a default, and not read: {names:.500} ({error})",
                    retry_after_s=error.retry_after_s,
                ) from error
            return found

    async def fetch(self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what is known, or raise what kept all of it from being read."""
        found = await self._fetch(call, deadline, lookups)
        self._statistics.read(found, self.now_us())
        return found

    async def read(self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what is known, for something to be computed from it. Never raises."""
        try:
            return await self._fetch(call, deadline, lookups)
        except InferdError:
            return _late(lookups)

    def defaults(self, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what is known when nothing can be read."""
        found = _late(lookups)
        self._statistics.read(found, self.now_us())
        return found

    async def _fetch(
        self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]
    ) -> list[Found]:
        kinds = {each.view.kind for each in lookups}
        if len(kinds) == 1:
            return await self._kinds[kinds.pop()].fetch(call, deadline, lookups)
        parts = {kind: [each for each in lookups if each.view.kind == kind] for kind in kinds}
        answers = await asyncio.gather(
            *(self._kinds[kind].fetch(call, deadline, part) for kind, part in parts.items()),
            return_exceptions=True,
        )
        if errors := [each for each in answers if isinstance(each, BaseException)]:
            self._raise_what_counts(errors, len(answers))
        found = {
            kind: iter(_late(parts[kind]) if isinstance(answer, BaseException) else answer)
            for kind, answer in zip(parts, answers, strict=True)
        }
        return [next(found[each.view.kind]) for each in lookups]

    def _raise_what_counts(self, errors: Sequence[BaseException], asked: int) -> None:
        """Raise what is no mere trouble of one kind, or the trouble that all of them have."""
        for error in errors:
            if not isinstance(error, InferdError):
                raise error
        if len(errors) == asked:
            raise errors[0]


def _late(lookups: Sequence[Lookup]) -> list[Found]:
    return [Found(each, Status.TIMED_OUT) for each in lookups]
