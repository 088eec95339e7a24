"""Which instances of a model version are suspect, which hang, and when to try again with them.

An instance is suspect after so many runs in a row in which nobody got a right answer. That may be
its fault, or that of whoever asks: so a suspect is tried with an input that is known to be good,
and only who fails at that must go. A run hangs when it takes many times as long as predicted.

Whoever had to go is built anew, after a pause that grows each time; an instance that has served
somebody since has made a new beginning.
"""

import math

from inferd.config.resilience import Outliers as Config


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

    def ran(self, index: int, *, good: bool) -> bool:
        """Note a run, and return whether the instance is suspect now.

        Good is a run in which anybody got a right answer.
        """
        if good:
            self._failures.pop(index, None)
            self._attempts.pop(index, None)
            return False
        failures = self._failures[index] = self._failures.get(index, 0) + 1
        return self._enabled and failures >= self._most

    def acquitted(self, index: int) -> None:
        """Note that a suspect did well with a good input: what it was asked was to blame."""
        self._failures.pop(index, None)

    def pause_s(self, index: int) -> float:
        """Return how long to wait before the next attempt to build an instance anew."""
        self._failures.pop(index, None)
        attempts = self._attempts.get(index, 0)
        self._attempts[index] = attempts + 1
        if attempts >= math.log2(self._longest_pause_s / self._pause_s):
            return self._longest_pause_s
        return self._pause_s * 2.0**attempts
