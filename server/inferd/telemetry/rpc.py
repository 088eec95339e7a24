"""What every RPC leaves behind: a count and a duration, and a line when it failed or was slow.

The pipeline records here and whoever exports reads the attributes; `inferd.access` is the
log. A refusal costs the server far less than the line about it, so the log has an
allowance: a flood of refusals is counted in full and written down in samples.
"""

import logging
from collections.abc import Mapping, Sequence

from inferd.telemetry.statistics import Histogram

LINES_PER_S = 100.0
"""The access log's allowance: lines per second, and how many of them may come at once."""


class MethodStatistics:
    """The calls of one method, by how they ended."""

    __slots__ = ("_bounds_s", "by_code", "in_flight", "lag_shed", "method")

    def __init__(self, method: str, bounds_s: Sequence[float]) -> None:
        #: The full path, e.g. `/inference.GRPCInferenceService/ModelInfer`.
        self.method = method
        #: Seconds from arrival to answer, by the status code's name; `count` is the calls.
        self.by_code: dict[str, Histogram] = {}
        #: Calls that have arrived and are not answered.
        self.in_flight = 0
        #: Calls refused because the event loop was late, and their callers sheddable.
        self.lag_shed = 0
        self._bounds_s = bounds_s

    def of(self, code: str) -> Histogram:
        """Return the durations of the calls that ended with `code`."""
        durations = self.by_code.get(code)
        if durations is None:
            durations = self.by_code[code] = Histogram(self._bounds_s)
        return durations


class RpcStatistics:
    """All methods that this server has."""

    __slots__ = ("_bounds_s", "methods")

    def __init__(self, latency_bounds_s: Sequence[float]) -> None:
        self.methods: dict[str, MethodStatistics] = {}
        self._bounds_s = latency_bounds_s

    def method(self, path: str) -> MethodStatistics:
        """Return the statistics of one method, and begin them if they are new."""
        statistics = self.methods.get(path)
        if statistics is None:
            statistics = self.methods[path] = MethodStatistics(path, self._bounds_s)
        return statistics


class Allowance:
    """So many a second, and as many at once. Pure: `now` comes in, in seconds."""

    __slots__ = ("_at", "_left", "_per_s")

    def __init__(self, per_s: float) -> None:
        self._per_s = per_s
        self._left = per_s
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Return whether one more is within the allowance, and use it up if so."""
        self._left = min(self._per_s, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class AccessLog:
    """Writes a line about a call, unless there were too many of them lately."""

    def __init__(self, *, lines_per_s: float = LINES_PER_S) -> None:
        self._log = logging.getLogger("inferd.access")
        self._allowance = Allowance(lines_per_s)
        self._omitted = 0

    def wants(self, now: float) -> bool:
        """Return whether to `write`: asked first, so that the line is not made in vain."""
        if not self._log.isEnabledFor(logging.INFO):
            return False
        if not self._allowance.take(now):
            self._omitted += 1
            return False
        return True

    def write(self, message: str, fields: Mapping[str, object]) -> None:
        """Log `message` with `fields` as the record's attributes.

        The attribute `omitted` says how many lines were not written since the one before.
        """
        self._log.info("%s", message, extra={**fields, "omitted": self._omitted})
        self._omitted = 0
