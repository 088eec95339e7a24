"""The last ids that were seen, so that an event that comes again is known.

Of an id 64 bits are kept: an event is taken for one of the last `CAPACITY`, though it is not, once
in 10**16.
"""

from collections.abc import Iterable

from inferd.features.windows.distinct import hash_of

CAPACITY = 512
"""So many ids are known; an event that comes again after more than these is counted again."""


class Recent:
    """The last ids."""

    def __init__(self, hashes: Iterable[int] = ()) -> None:
        # In the order in which they came.
        self._hashes = dict.fromkeys(hashes)

    def is_new(self, event_id: str) -> bool:
        """Return whether an id has not been seen, and remember it."""
        hashed = hash_of(event_id)
        hashes = self._hashes
        if hashed in hashes:
            return False
        hashes[hashed] = None
        if len(hashes) > CAPACITY:
            del hashes[next(iter(hashes))]
        return True

    def all(self) -> list[int]:
        """Return what is remembered, the oldest first."""
        return list(self._hashes)
