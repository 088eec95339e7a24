"""How much memory models may take, and who makes room when it is short."""

import asyncio
from collections.abc import Sequence

from inferd.errors import LoadFailed
from inferd.inference.version import ModelVersion


class Room:
    """A budget in bytes; 0 is no limit. Decides, evicts nothing."""

    def __init__(self, max_bytes: int, pinned: frozenset[str]) -> None:
        self._max_bytes = max_bytes
        self._pinned = pinned
        #: Held while a model is loaded under a budget, so that two do not take the same room.
        self.lock: asyncio.Lock | _Open = asyncio.Lock() if max_bytes else _Open()

    def fits(self, size: int, loaded: Sequence[ModelVersion]) -> bool:
        """Whether `size` more bytes fit beside what is loaded."""
        return not self._max_bytes or _used(loaded) + size <= self._max_bytes

    def victims(self, name: str, size: int, loaded: Sequence[ModelVersion]) -> list[ModelVersion]:
        """Return who must go for `size` bytes of model `name`, least recently used first.

        Raises `LoadFailed` when even that would not do.
        """
        if self.fits(size, loaded):
            return []
        excess = _used(loaded) + size - self._max_bytes
        candidates = (
            each for each in loaded if each.name not in self._pinned and each.name != name
        )
        chosen = []
        for version in sorted(candidates, key=lambda each: each.last_used):
            chosen.append(version)
            excess -= version.statistics.memory_bytes
            if excess <= 0:
                return chosen
        raise LoadFailed(
            f"'{name}' needs {size} bytes, {excess} more than repository.max_memory_bytes"
            f" ({self._max_bytes}) leaves beside pinned models"
        )


class _Open:
    """A lock that everyone passes."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


def _used(loaded: Sequence[ModelVersion]) -> int:
    return sum(each.statistics.memory_bytes for each in loaded)
