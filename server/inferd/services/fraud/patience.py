"""How long another server may take to record what it decided. Pure.

Clocks of servers differ, and so the time begins when this server first hears of the decision. Only
what is older than clocks can differ by is too late at once: its server died long ago.
"""

from inferd.cache.local import Local

CLOCKS_DIFFER_S = 5.0
"""At most, where anybody sets them."""
KEPT_S = 3600.0
"""For how long it is known when a decision was first heard of."""
US = 1_000_000


class Patience:
    """Knows who took too long. `now` is in monotonic seconds, `wall_us` in those since 1970."""

    def __init__(self, patience_s: float, *, max_entries: int) -> None:
        self._patience_s = patience_s
        self._since: Local[float] = Local(max_entries=max_entries, policy="lru")

    def is_over(self, id: str, at_us: int, *, now: float, wall_us: int) -> bool:
        """Return whether a decision should be on record by now, that somebody made at `at_us`."""
        if wall_us - at_us > (self._patience_s + CLOCKS_DIFFER_S) * US:
            return True
        since = self._since.get(id, now)
        if since is None:
            self._since.put(id, now, now=now, ttl_s=KEPT_S)
            return False
        return now - since > self._patience_s
