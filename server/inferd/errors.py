"""Every error this server raises on purpose.

An error says what went wrong in the server's own words; the message is written for the
caller and safe to send. What it means on the wire is decided in one place,
`inferd.services.status`; nothing here knows of gRPC.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class InferdError(Exception):
    """Root of the tree."""

    #: A short constant for programs, sent as `google.rpc.ErrorInfo.reason`.
    reason: ClassVar[str] = "INTERNAL"
    #: Seconds until a retry may succeed. None: unknown. Negative: a retry is pointless.
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Violation:
    """One field of a request that is wrong, and what was expected of it."""

    field: str
    description: str


class InvalidRequest(InferdError):
    """The request can never succeed as written."""

    reason = "INVALID_REQUEST"

    def __init__(
        self, message: str, *, field: str = "", violations: Sequence[Violation] = ()
    ) -> None:
        super().__init__(message)
        self.violations = tuple(violations) or ((Violation(field, message),) if field else ())


class NotFound(InferdError):
    """No such model, or no such version of it."""

    reason = "NOT_FOUND"


class FeatureMissing(InferdError):
    """An answer needs a feature that has neither a value nor a default. Nobody wrote it yet."""

    reason = "FEATURE_MISSING"
    retry_after_s = -1.0


class Unimplemented(InferdError):
    """The protocol has it, this server (or this configuration of it) does not."""

    reason = "UNIMPLEMENTED"


class TooLarge(InferdError):
    """A message beyond what the configuration allows."""

    reason = "TOO_LARGE"
    retry_after_s = -1.0


class Exhausted(InferdError):
    """As many calls are under way as the configuration allows."""

    reason = "TOO_MANY_CALLS"


class RateLimited(Exhausted):
    """More calls than this caller, or all of them, may make in a while."""

    reason = "RATE_LIMITED"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(InferdError):
    """A part this call needs is not there now: starting, stopping or down."""

    reason = "UNAVAILABLE"

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReady(Unavailable):
    """The version is loading, draining or failed."""

    reason = "NOT_READY"


class Draining(Unavailable):
    """The server is on its way out and admits nothing new."""

    reason = "DRAINING"


class Shed(Unavailable):
    """Refused at the door, or evicted: there is more work than can be done in time."""

    reason = "SHED"


class CircuitOpen(Unavailable):
    """A dependency has failed too often of late; it is left alone for a while."""

    reason = "BREAKER_OPEN"


class Saturated(Unavailable):
    """As many calls to a dependency, or of a service, are under way as it can take."""

    reason = "LIMITED"


class DependencyFailed(Unavailable):
    """Something this server depends on is down, or answers nonsense."""

    reason = "DEPENDENCY_FAILED"


class FaultInjected(Unavailable):
    """It was broken on purpose."""

    reason = "FAULT_INJECTED"


class DeadlineExceeded(InferdError):
    """No answer could be ready in time."""

    reason = "DEADLINE_EXCEEDED"
    retry_after_s = -1.0


class Infeasible(DeadlineExceeded):
    """Refused at the door: the time left cannot hold even a run on an idle server."""

    reason = "INFEASIBLE"


class Expired(DeadlineExceeded):
    """Dropped after admission, before its deadline: the answer would have been late."""

    reason = "LATE_DROP"


class NoBudget(DeadlineExceeded):
    """A stage was not begun: what is left is needed for what must follow."""

    reason = "NO_BUDGET"


class TimedOut(DeadlineExceeded):
    """A stage took longer than its share of the deadline."""

    reason = "TIMED_OUT"


class ModelFailed(InferdError):
    """The model raised. Details that are not the caller's business go to the log."""

    reason = "MODEL_FAILED"
    retry_after_s = -1.0


class Poison(ModelFailed):
    """The model fails at this input, and not at others that were run with it, or after it."""


class LoadFailed(InferdError):
    """A model cannot be loaded; the message names the file or the field, and why."""

    reason = "LOAD_FAILED"


class Internal(InferdError):
    """A bug of ours. The cause is in the log, not in the message."""

    reason = "INTERNAL"
