"""Whether a failed attempt is made again, and when.

A retry adds load to a server that has just said it cannot carry what it has, so the rule
is narrow. An attempt is repeated only if

1. the server invited it (`grpc-retry-pushback-ms` of zero or more, or `RetryInfo`, on
   UNAVAILABLE or RESOURCE_EXHAUSTED), or the call never left this machine because no
   connection could be made;
2. the wait ends early enough for an attempt to fit into what is left of the timeout;
3. fewer than `max_attempts` have been made; and
4. retries have not failed too often of late (gRPC's A6 throttling).

The server's invitation is followed to the millisecond: it knows its queue. Without one the
wait grows exponentially and is spread at random, so that clients do not return in step.
"""

from dataclasses import dataclass

from grpc import StatusCode

from inferd_client._errors import InferdError

INVITABLE = frozenset({StatusCode.UNAVAILABLE, StatusCode.RESOURCE_EXHAUSTED})
"""The codes that say nothing was done."""
_MILLI = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed attempt is repeated. `RetryPolicy(max_attempts=1)` never does."""

    #: All attempts, the first included.
    max_attempts: int = 3
    #: The back-off before the first retry of a call that could not be sent.
    initial_backoff_s: float = 0.1
    #: What the back-off is multiplied by from one retry to the next, and where it stops.
    multiplier: float = 2.0
    max_backoff_s: float = 1.0
    #: The back-off is spread by this fraction to either side.
    jitter: float = 0.2
    #: The least time left that is worth an attempt.
    least_attempt_s: float = 0.001
    #: A6 throttling: a failure or a hedge takes a token, a success gives this many back, and
    #: at half the tokens or fewer nothing is retried or hedged.
    max_tokens: int = 10
    token_ratio: float = 0.1

    def __post_init__(self) -> None:
        require(self.max_attempts >= 1, "max_attempts must be at least 1")
        require(self.initial_backoff_s > 0, "initial_backoff_s must be above 0")
        require(self.multiplier >= 1, "multiplier must be at least 1")
        require(self.max_backoff_s > 0, "max_backoff_s must be above 0")
        require(0 <= self.jitter <= 1, "jitter must be within 0 and 1")
        require(self.least_attempt_s >= 0, "least_attempt_s must not be negative")
        require(1 <= self.max_tokens <= 1000, "max_tokens must be within 1 and 1000")
        require(self.token_ratio > 0, "token_ratio must be above 0")

    def wait_s(
        self, error: InferdError, *, made: int, remaining_s: float, random: float
    ) -> float | None:
        """Return the seconds to wait before attempt `made + 1`; None if there is to be none.

        `remaining_s` is what is left of the timeout; `random` lies in [0, 1).
        """
        if made >= self.max_attempts or error.code not in INVITABLE:
            return None
        wait_s = error.retry_after_s
        if wait_s is None and error.never_sent:
            wait_s = self.backoff_s(made, random)
        if wait_s is None or wait_s + self.least_attempt_s > remaining_s:
            return None
        return wait_s

    def backoff_s(self, made: int, random: float) -> float:
        """Return the back-off after `made` attempts, in seconds; `random` lies in [0, 1)."""
        grown = self.initial_backoff_s * self.multiplier ** (made - 1)
        return min(grown, self.max_backoff_s) * (1 - self.jitter + 2 * self.jitter * random)


class RetryBudget:
    """The tokens that all calls of one client share, for retries and hedges. Not thread-safe.

    Counted in thousandths, as gRPC does, so that ten tenths make a whole.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._full = policy.max_tokens * _MILLI
        self._gain = round(policy.token_ratio * _MILLI)
        self._tokens = self._full

    def __repr__(self) -> str:
        return f"<RetryBudget {self._tokens / _MILLI:g}/{self._full // _MILLI}>"

    @property
    def allows(self) -> bool:
        """Whether a retry or a hedge may be made now."""
        return self._tokens > self._full // 2

    def succeeded(self) -> None:
        """Count a call that was answered."""
        self._tokens = min(self._full, self._tokens + self._gain)

    def failed(self) -> None:
        """Count an attempt that failed in a way that retries make worse."""
        self._tokens = max(0, self._tokens - _MILLI)

    def hedged(self) -> bool:
        """Return whether a hedge may be sent now, and take its token if so.

        It pays at once, for a server that is merely slow fails nothing: if all calls were
        hedged for that, its load would double. So it is, in the long run, one in ten.
        """
        allowed = self.allows
        if allowed:
            self._tokens -= _MILLI
        return allowed


def require(holds: bool, otherwise: str) -> None:
    """Raise `ValueError` unless it holds. The message names the key at fault."""
    if not holds:
        raise ValueError(otherwise)
