"""The few calls that a half-open breaker lets pass, to see what becomes of them. Pure."""

from inferd.resilience.outcome import Outcome
from inferd.resilience.window import Counts


class Probes:
    """One round of probes. `now` is in monotonic seconds."""

    __slots__ = ("_overdue_at", "_timeout_s", "counts", "left", "slowest_s", "under_way")

    def __init__(self, number: int, timeout_s: float) -> None:
        """Let so many pass, which have so long from when the first of them sets out."""
        self._timeout_s = timeout_s
        self._overdue_at = 0.0
        #: Those that may still pass, those that have passed, and those that are back.
        self.left = number
        self.under_way = 0
        self.counts = Counts()
        #: The longest that one of these took.
        self.slowest_s = 0.0

    def go(self, now: float) -> bool:
        """Let one pass, unless all have."""
        if not self.left:
            return False
        if not self.under_way:  # while nobody called there was nothing to wait for
            self._overdue_at = now + self._timeout_s
        self.left -= 1
        self.under_way += 1
        return True

    def back(self, outcome: Outcome, seconds: float, slow_s: float) -> None:
        """Count one that is back; if it says nothing, another may go in its place."""
        self.under_way -= 1
        if outcome is Outcome.IGNORED:
            self.left += 1
            return
        calls, failures, slow = self.counts
        failed = outcome is Outcome.FAILURE
        self.counts = Counts(calls + 1, failures + failed, slow + (seconds > slow_s))
        self.slowest_s = max(self.slowest_s, seconds)

    def overdue(self, now: float) -> bool:
        """Return whether those under way should have been back."""
        return self.under_way > 0 and now >= self._overdue_at
