"""Which instances of a model version must go, which hang, and when to build them anew.

An instance must go after so many failed runs in a row. A run fails when nobody in it gets a right
answer, though what they sent is not to blame. It hangs when it takes many times as long as
predicted, and for long; if its callers give up earlier than that, it has failed.

Whoever had to go is built anew after a pause, which grows each time; an instance that has served
somebody since has made a new beginning. What is quickly built is often tried: an outage must not
last much longer than its cause.
"""

import math

from inferd.config.resilience import Outliers as Config

LEAST_OVERDUE_S = 0.05
"""A run that was given up before this may just have been interrupted by others."""
PAUSE_PER_BUILD = 10
"""A pause need not be longer than so many times what it takes to build: attempts are cheap then."""


class Outliers:
    """Decides for the instances of one version, by their index."""

    def __init__(self, config: Config) -> None:
        self._enabled = config.enabled
        self._most = config.consecutive_failures
        self._factor = config.hung_factor
        self._least_s = config.hung_min_ms / 1000
        self._pause_s = config.rebuild_s
        self._longest_pause_s = config.rebuild_max_s
        #: Failed runs in a row, and ejections and failed attempts in a row, of those that have any.
        self._failures: dict[int, int] = {}
        self._attempts: dict[int, int] = {}

    @property
    def all_well(self) -> bool:
        """Whether a good run is no news."""
        return not (self._failures or self._attempts)

    def limit_s(self, predicted_s: float) -> float:
        """Return how long a run may take that was predicted to take so long."""
        return max(self._factor * predicted_s, self._least_s) if self._enabled else math.inf

    def overdue_s(self, predicted_s: float) -> float:
        """Return after how long a run has failed that was predicted to take so long."""
        return max(self._factor * predicted_s, LEAST_OVERDUE_S)

    def ran(self, index: int, *, good: bool) -> bool:
        """Note a run, and return whether the instance must go."""
        if good:
            self._failures.pop(index, None)
            self._attempts.pop(index, None)
            return False
        failures = self._failures[index] = self._failures.get(index, 0) + 1
        return self._enabled and failures >= self._most

    def pause_s(self, index: int, build_s: float) -> float:
        """Return how long to wait before an attempt to build an instance, which takes so long."""
        self._failures.pop(index, None)
        attempts = self._attempts.get(index, 0)
        self._attempts[index] = attempts + 1
        longest_s = min(self._longest_pause_s, max(self._pause_s, PAUSE_PER_BUILD * build_s))
        if attempts >= math.log2(longest_s / self._pause_s):
            return longest_s
        return self._pause_s * 2.0**attempts
