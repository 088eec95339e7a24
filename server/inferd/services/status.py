"""What each error means on the wire: the only table of its kind, and the details beside it.

A status travels as a number, a message and metadata. Two of the metadata are those that gRPC
clients know: `grpc-status-details-bin`, a `google.rpc.Status` for programs, and
`grpc-retry-pushback-ms`, which gRPC's own retries obey. The reason, which is in the details,
comes as text, too: `x-reason`, for those who look at headers.

Under overload refusals are most of what the server says, and most say the same, so they are
kept: one that was made before costs a look-up. Details are put together as bytes, because
the encodings of two messages of one type, one after the other, are that of both merged.
"""

import math
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import NamedTuple

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from inferd import errors
from inferd.call import Value

DOMAIN = "inferd"
"""`google.rpc.ErrorInfo.domain`: whose reasons they are."""

DETAILS = "grpc-status-details-bin"
PUSHBACK = "grpc-retry-pushback-ms"
REASON = "x-reason"

MAX_MESSAGE_BYTES = 1024
"""Longer messages are cut. Clients refuse trailers of more than 8 KiB, and then the caller
learns nothing at all."""
MAX_VIOLATIONS_BYTES = 2048
"""All violations together; those beyond are left out."""
MAX_MADE = 1024
"""Refusals kept."""
LONGEST_WAIT_S = 1_000_000.0
"""What a caller is told to wait for at most, eleven days: gRPC's pushback has 32 bits."""


class Code(IntEnum):
    """gRPC's status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


#: A subclass needs a row only when it differs from its parent.
STATUS: Mapping[type[BaseException], Code] = {
    errors.InvalidRequest: Code.INVALID_ARGUMENT,
    errors.NotFound: Code.NOT_FOUND,
    # The request is sound; what is stored has to change first.
    errors.FeatureMissing: Code.FAILED_PRECONDITION,
    errors.Unimplemented: Code.UNIMPLEMENTED,
    errors.TooLarge: Code.RESOURCE_EXHAUSTED,
    errors.Exhausted: Code.RESOURCE_EXHAUSTED,
    errors.Unavailable: Code.UNAVAILABLE,
    errors.DeadlineExceeded: Code.DEADLINE_EXCEEDED,
    errors.ModelFailed: Code.INTERNAL,
    errors.LoadFailed: Code.INTERNAL,
    errors.Internal: Code.INTERNAL,
}


class Refusal(NamedTuple):
    """How a call ended that has no answer: what a transport sends instead of one."""

    code: Code
    message: str
    #: Metadata that go with it.
    trailing: tuple[tuple[str, Value], ...]


NAMES = tuple(code.name for code in Code)
"""The names by number: `Code(n).name` takes longer than it looks."""


def code_of(kind: type[errors.InferdError]) -> Code:
    """Return the status of the nearest ancestor in the table."""
    return next((STATUS[each] for each in kind.__mro__ if each in STATUS), Code.INTERNAL)


_MADE: dict[tuple[type[errors.InferdError], str, int | None], Refusal] = {}
"""The refusals made before, by what makes the difference."""


def refusal(error: errors.InferdError) -> Refusal:
    """Return what the caller is told about `error`."""
    message, wait_s = str(error), error.retry_after_s
    if not message.isascii():  # the name of a file may hold what is no text
        message = message.encode(errors="replace").decode()
    if len(message) * 4 > MAX_MESSAGE_BYTES:  # no character takes more than four bytes
        message = _cut(message, MAX_MESSAGE_BYTES)
    wait_ms = None if wait_s is None else _whole_ms(wait_s)
    key = type(error), message, wait_ms
    refused = _MADE.get(key)
    if refused is None:
        if len(_MADE) >= MAX_MADE:
            _MADE.clear()
        refused = _MADE[key] = _refusal(*key)
    if isinstance(error, errors.InvalidRequest) and error.violations:
        return _with_violations(refused, error.violations)
    return refused


def _whole_ms(wait_s: float) -> int:
    return math.ceil(min(wait_s, LONGEST_WAIT_S) * 1000) if wait_s >= 0 else -1


def _refusal(kind: type[errors.InferdError], message: str, wait_ms: int | None) -> Refusal:
    code = code_of(kind)
    details: bytes = status_pb2.Status(code=code, message=message).SerializeToString()
    details += _packed(error_details_pb2.ErrorInfo(reason=kind.reason, domain=DOMAIN))
    reason = (REASON, kind.reason)
    if wait_ms is None:
        return Refusal(code, message, ((DETAILS, details), reason))
    if wait_ms >= 0:
        delay = duration_pb2.Duration(seconds=wait_ms // 1000, nanos=wait_ms % 1000 * 1_000_000)
        details += _packed(error_details_pb2.RetryInfo(retry_delay=delay))
    return Refusal(code, message, ((DETAILS, details), reason, (PUSHBACK, str(wait_ms))))


def _with_violations(refused: Refusal, violations: Iterable[errors.Violation]) -> Refusal:
    wrong, room = error_details_pb2.BadRequest(), MAX_VIOLATIONS_BYTES
    for violation in violations:
        field, description = _cut(violation.field, 128), _cut(violation.description, 512)
        room -= len(field.encode()) + len(description.encode())
        if room < 0:
            break
        wrong.field_violations.add(field=field, description=description)
    (key, details), *advice = refused.trailing
    assert isinstance(details, bytes)
    return refused._replace(trailing=((key, details + _packed(wrong)), *advice))


def _packed(detail: Message) -> bytes:
    """Return a `google.rpc.Status` that is `detail` and nothing else, to append to another."""
    packed = any_pb2.Any()
    packed.Pack(detail)
    encoded: bytes = status_pb2.Status(details=[packed]).SerializeToString()
    return encoded


def _cut(text: str, limit: int) -> str:
    encoded = text.encode(errors="replace")
    return encoded[:limit].decode(errors="ignore") if len(encoded) > limit else text
