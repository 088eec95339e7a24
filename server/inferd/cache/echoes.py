"""Which news of a write is the echo of our own: who is told of all writes is told of its own, too.

Without this, whoever fills the shared level with what it has just worked out would forget it at
once. Redis itself can leave a connection's own writes out (`NOLOOP`), but a server writes on
several, and on others than the one that listens.

If somebody else writes the same key in the same turn of Redis's event loop, there is one message
for both, and it is taken for the echo (with `NOLOOP` there would be none). If theirs came first and
is newer, the write itself is told so (`Written.OLDER`); if it came second, this process keeps
what it wrote until its time to live ends. Pure.
"""

from collections.abc import Iterable

HEARD_WITHIN_S = 1.0
"""What comes later than so long after a write has other reasons."""
MOST_EXPECTED = 10_000
"""Beyond that all are forgotten: then an echo is taken for news, which harms nobody."""


class Echoes:
    """Writes that will be heard of."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def expect(self, keys: Iterable[str], now: float) -> None:
        """Expect to hear of writes that begin now. However many there are of a key: once."""
        if len(self._until) >= MOST_EXPECTED:
            self._until.clear()
        self._until.update(dict.fromkeys(keys, now + HEARD_WITHIN_S))

    def forget(self, key: str) -> bool:
        """Expect nothing of a write any more; return whether nothing had been heard of it."""
        return self._until.pop(key, None) is not None

    def heard(self, key: str, now: float) -> bool:
        """Return whether news of a key is the echo of our own write. The next is not."""
        return self._until.pop(key, now) > now

    def clear(self) -> None:
        """Expect nothing any more: whoever would tell of it was gone for a while."""
        self._until.clear()
