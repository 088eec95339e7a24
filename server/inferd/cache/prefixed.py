"""One store for several kinds of blobs: each has keys of its own."""

from collections.abc import Sequence

from inferd.cache.blobs import Blobs, Entry, Written


class Prefixed:
    """The part of a store whose keys begin with a prefix, which its users need not know."""

    def __init__(self, blobs: Blobs, prefix: str) -> None:
        self.name = blobs.name
        self._blobs = blobs
        self._prefix = prefix

    async def get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return the blobs of keys; None for what is not there."""
        return await self._blobs.get([self._prefix + key for key in keys])

    async def put(self, entries: Sequence[Entry]) -> Sequence[Written]:
        """Keep blobs unless newer ones are there."""
        prefix = self._prefix
        return await self._blobs.put([each._replace(key=prefix + each.key) for each in entries])

    async def close(self) -> None:
        """Do nothing: the store is closed by whoever opened it."""
