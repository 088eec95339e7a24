"""What may be asked for a second time: the allowance that retries and hedges share.

Both add load, most of all when there is too much of it. So every call earns a small part of an
extra attempt, and an extra attempt spends a whole one: whatever happens, the dependency sees no
more than that share on top of what it is asked anyway (Envoy's retry budget, failsafe-go's).
"""


class Spare:
    """So many extra attempts per call, and so many at once. Pure."""

    __slots__ = ("_burst", "_share", "tokens")

    def __init__(self, share: float, burst: int) -> None:
        self._share = share
        self._burst = float(burst)
        #: Extra attempts that may be made now.
        self.tokens = float(burst)

    def earn(self) -> None:
        """Count a call."""
        tokens = self.tokens + self._share
        self.tokens = tokens if tokens < self._burst else self._burst

    def spend(self) -> bool:
        """Return whether one more attempt may be made, and count it if so."""
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True
