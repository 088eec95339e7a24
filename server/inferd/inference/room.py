"""How much memory models may take, and who goes when it is short: decides, evicts nothing."""

from collections.abc import Iterable

from inferd.errors import LoadFailed
from inferd.inference.repository.planner import Key
from inferd.inference.version import ModelVersion


class NoRoom(LoadFailed):
    """What is loaded and may not go leaves too little."""


class Room:
    """A budget in bytes; 0 is no limit."""

    def __init__(self, max_bytes: int, pinned: frozenset[str]) -> None:
        self._max_bytes = max_bytes
        self._pinned = pinned
        #: What is being loaded and does not count as loaded yet.
        self._reserved: dict[Key, int] = {}

    def reserve(self, key: Key, size: int) -> None:
        """Keep `size` bytes for a version until `release`."""
        self._reserved[key] = size

    def release(self, key: Key) -> None:
        """Give back what was reserved, if anything was."""
        self._reserved.pop(key, None)

    def require_possible(self, name: str, size: int) -> None:
        """Raise `LoadFailed` when `size` bytes would not fit into an empty server."""
        if self._max_bytes and size > self._max_bytes:
            raise LoadFailed(
                f"'{name}' needs {size} bytes, and repository.max_memory_bytes is {self._max_bytes}"
            )

    def lacking(self, size: int, loaded: Iterable[ModelVersion]) -> int:
        """Return the bytes that are missing for `size` more; 0 or less when they fit."""
        if not self._max_bytes:
            return 0
        used = sum(each.statistics.memory_bytes for each in loaded)
        return used + sum(self._reserved.values()) + size - self._max_bytes

    def victims(
        self, name: str, size: int, lacking: int, candidates: Iterable[ModelVersion]
    ) -> list[ModelVersion]:
        """Return who must go for `size` bytes of model `name`, least recently used first.

        Raises `NoRoom` when even that would not do.
        """
        chosen: list[ModelVersion] = []
        evictable = (each for each in candidates if each.name not in self._pinned)
        for version in sorted(evictable, key=lambda each: each.last_used):
            if lacking <= 0:
                break
            chosen.append(version)
            lacking -= version.statistics.memory_bytes
        if lacking > 0:
            raise NoRoom(
                f"'{name}' needs {size} bytes, {lacking} more than repository.max_memory_bytes"
                f" ({self._max_bytes}) leaves beside what cannot be evicted for it"
            )
        return chosen
