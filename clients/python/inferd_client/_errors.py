"""What can go wrong with a call, as the caller sees it.

An error is named for the event and carries everything the server said about it: the
status code, the text, the `google.rpc` details and the pushback. `error_of` is the only
place that turns a gRPC status into an exception; nothing here talks to a channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

from inferd_client._trailing import Degradation, Trailing, degradations

DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
NEVER = -1
"""The pushback of a server that does not want to see the call again."""

# gRPC says nothing but UNAVAILABLE of a call that it could not send, so its own words are
# all there is to tell such a call from one that may have run. They are matched narrowly:
# should they change, a call is not retried where it could have been, never the opposite.
_NEVER_SENT = ("failed to connect to all addresses", "errors resolving ", "DNS resolution failed")
# So are those that tell a call whose channel this side closed from one that the server ended.
_CLOSED_HERE = "Channel closed!"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of the request that the server cannot accept."""

    #: The field's path, e.g. `inputs[0].shape`.
    field: str
    description: str


@dataclass(frozen=True, slots=True)
class Details:
    """What a status carries beside its text (`google.rpc`). Empty where it carries nothing."""

    #: From `BadRequest`.
    violations: tuple[FieldViolation, ...] = ()
    #: From `ErrorInfo`: a word for programs, e.g. `INFEASIBLE`, who coined it, and its facts.
    reason: str = ""
    domain: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    #: From `RetryInfo`, in seconds.
    retry_delay_s: float | None = None


class InferdError(Exception):
    """A call failed. Root of the tree; caught by itself only for codes that have no class."""

    default_code: ClassVar[StatusCode] = StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: StatusCode | None = None,
        details: Details | None = None,
        trailing: Trailing | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code: StatusCode = code or self.default_code
        self.details = details or Details()
        #: Everything that came with the status, for what this class does not read.
        self.trailing: Trailing = trailing or {}

    @property
    def violations(self) -> tuple[FieldViolation, ...]:
        """The fields at fault; empty unless the request was."""
        return self.details.violations

    @property
    def reason(self) -> str:
        """The server's one word for the cause (`ErrorInfo.reason`), or an empty string."""
        return self.details.reason

    @property
    def degraded(self) -> tuple[Degradation, ...]:
        """What the server had already done without before it failed."""
        return degradations(self.trailing)

    @property
    def pushback_ms(self) -> int | None:
        """The server's `grpc-retry-pushback-ms`: negative for "never", None for no word on it."""
        if PUSHBACK_KEY not in self.trailing:
            return None
        try:
            return max(NEVER, int(self.trailing[PUSHBACK_KEY]))
        except ValueError:
            return NEVER

    @property
    def retry_after_s(self) -> float | None:
        """The seconds after which the server invites a retry; None where it invites none.

        The pushback decides where there is one, `RetryInfo` otherwise.
        """
        pushback_ms = self.pushback_ms
        wait_s = self.details.retry_delay_s if pushback_ms is None else pushback_ms / 1000
        return None if wait_s is None or wait_s < 0 else wait_s

    @property
    def never_sent(self) -> bool:
        """Whether the call certainly did not reach a server: no connection could be made."""
        return False


class InvalidRequest(InferdError):
    """The request can never succeed as written. Raised before sending where that is known."""

    default_code = StatusCode.INVALID_ARGUMENT


class NotFound(InferdError):
    """No such model, no such version of it, or no such entity."""

    default_code = StatusCode.NOT_FOUND


class Conflict(InferdError):
    """The request is sound, but the server's state forbids it now."""

    default_code = StatusCode.FAILED_PRECONDITION


class Unauthenticated(InferdError):
    """No credentials, or wrong ones."""

    default_code = StatusCode.UNAUTHENTICATED


class PermissionDenied(InferdError):
    """The credentials are good, and do not allow this."""

    default_code = StatusCode.PERMISSION_DENIED


class Unavailable(InferdError):
    """No server could be reached, or it is loading, draining or shedding load.

    It also stands for a CANCELLED that came from the server. The caller has cancelled nothing:
    a server ends so what it does not finish before it stops.
    """

    default_code = StatusCode.UNAVAILABLE

    @property
    def never_sent(self) -> bool:
        """Whether the call certainly did not reach a server: no connection could be made."""
        return not self.trailing and self.message.startswith(_NEVER_SENT)


class ResourceExhausted(InferdError):
    """A quota or a rate limit is used up, or the message is larger than a side accepts."""

    default_code = StatusCode.RESOURCE_EXHAUSTED


class DeadlineExceeded(InferdError):
    """No answer came, or could come, within the timeout."""

    default_code = StatusCode.DEADLINE_EXCEEDED


class Cancelled(InferdError):
    """The client was closed while the call was under way."""

    default_code = StatusCode.CANCELLED


class Unimplemented(InferdError):
    """The server does not know the method, or has the feature turned off."""

    default_code = StatusCode.UNIMPLEMENTED


class ServerError(InferdError):
    """The server or the model failed on this request. A retry would fail the same way."""

    default_code = StatusCode.INTERNAL


class MalformedAnswer(ServerError):
    """The server answered OK with something that its own description contradicts."""


class RequestFailed(InferdError):
    """One request on a stream failed. A stream carries an error's text without its status."""


# Codes that no class has as its own; what is in neither place is a plain `InferdError`.
_KIN: dict[StatusCode, type[InferdError]] = {
    StatusCode.OUT_OF_RANGE: InvalidRequest,
    StatusCode.ALREADY_EXISTS: Conflict,
    StatusCode.ABORTED: Conflict,
    StatusCode.CANCELLED: Unavailable,
    StatusCode.UNKNOWN: ServerError,
    StatusCode.DATA_LOSS: ServerError,
}
_OWN: tuple[type[InferdError], ...] = (
    InvalidRequest,
    NotFound,
    Conflict,
    Unauthenticated,
    PermissionDenied,
    Unavailable,
    ResourceExhausted,
    DeadlineExceeded,
    Unimplemented,
    ServerError,
)
_CLASS: Mapping[StatusCode, type[InferdError]] = {cls.default_code: cls for cls in _OWN} | _KIN


def error_of(code: StatusCode, message: str, trailing: Trailing) -> InferdError:
    """Return the error that a finished call's status stands for."""
    closed_here = code is StatusCode.CANCELLED and _CLOSED_HERE in message
    cls = Cancelled if closed_here else _CLASS.get(code, InferdError)
    return cls(message, code=code, details=details_of(trailing), trailing=trailing)


def details_of(trailing: Trailing) -> Details:
    """Read the `google.rpc` details. Bytes that cannot be read count as none."""
    raw = trailing.get(DETAILS_KEY)
    if not isinstance(raw, bytes):
        return Details()
    try:
        return _read(status_pb2.Status.FromString(raw))
    except DecodeError:
        return Details()


def _read(status: status_pb2.Status) -> Details:
    bad_request = _unpacked(status, error_details_pb2.BadRequest())
    info = _unpacked(status, error_details_pb2.ErrorInfo())
    retry = _unpacked(status, error_details_pb2.RetryInfo())
    return Details(
        violations=tuple(
            FieldViolation(violation.field, violation.description)
            for violation in bad_request.field_violations
        ),
        reason=info.reason,
        domain=info.domain,
        facts=dict(info.metadata),
        retry_delay_s=(
            retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
            if retry.HasField("retry_delay")
            else None
        ),
    )


def _unpacked(status: status_pb2.Status, into: Any) -> Any:
    """Fill `into` from the first detail of its type; leave it empty if there is none."""
    for detail in status.details:
        if detail.Unpack(into):
            break
    return into
