"""What each error means on the wire: the only table of its kind, and the details beside it.

A status travels as a number, a message and metadata. The metadata are those that gRPC
clients know: `grpc-status-details-bin`, a `google.rpc.Status` for programs, and
`grpc-retry-pushback-ms`, which gRPC's own retries obey.

Under overload refusals are most of what the server says, so what does not change from one
to the next is encoded once. That works because the encodings of two protobuf messages of
the same type, put one after the other, are the encoding of both merged.
"""

import math
from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from inferd import errors
from inferd.call import Value

DOMAIN = "inferd"
"""`google.rpc.ErrorInfo.domain`: whose reasons they are."""

DETAILS = "grpc-status-details-bin"
PUSHBACK = "grpc-retry-pushback-ms"

MAX_MESSAGE_BYTES = 1024
"""Longer messages are cut. Clients refuse trailers of more than 8 KiB, and then the caller
learns nothing at all."""
MAX_VIOLATIONS_BYTES = 2048
"""All violations together; those beyond are left out."""


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
    errors.Unimplemented: Code.UNIMPLEMENTED,
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


class _Constants(dict[type[errors.InferdError], tuple[Code, bytes]]):
    """What is the same for every error of a class: its code and the details that say so."""

    def __missing__(self, kind: type[errors.InferdError]) -> tuple[Code, bytes]:
        code = next((STATUS[each] for each in kind.__mro__ if each in STATUS), Code.INTERNAL)
        info = error_details_pb2.ErrorInfo(reason=kind.reason, domain=DOMAIN)
        self[kind] = code, _details(code, info)
        return self[kind]


_CONSTANTS = _Constants()


def code_of(kind: type[errors.InferdError]) -> Code:
    """Return the status of the nearest ancestor in the table."""
    return _CONSTANTS[kind][0]


def refusal(error: errors.InferdError) -> Refusal:
    """Return what the caller is told about `error`."""
    code, constant = _CONSTANTS[type(error)]
    message = _cut(str(error), MAX_MESSAGE_BYTES)
    details: bytes = constant + status_pb2.Status(message=message).SerializeToString()
    retry_after_s = error.retry_after_s
    if retry_after_s is None:
        if isinstance(error, errors.InvalidRequest) and error.violations:
            details += _violations(error.violations)
        return Refusal(code, message, ((DETAILS, details),))
    if retry_after_s < 0:
        return Refusal(code, message, ((DETAILS, details), (PUSHBACK, "-1")))
    wait_ms = math.ceil(retry_after_s * 1000)
    details += _retry_info(wait_ms)
    return Refusal(code, message, ((DETAILS, details), (PUSHBACK, str(wait_ms))))


@lru_cache(maxsize=1024)
def _retry_info(wait_ms: int) -> bytes:
    delay = duration_pb2.Duration(seconds=wait_ms // 1000, nanos=wait_ms % 1000 * 1_000_000)
    return _details(0, error_details_pb2.RetryInfo(retry_delay=delay))


def _violations(violations: tuple[errors.Violation, ...]) -> bytes:
    wrong, room = error_details_pb2.BadRequest(), MAX_VIOLATIONS_BYTES
    for violation in violations:
        field, description = _cut(violation.field, 128), _cut(violation.description, 512)
        room -= len(field.encode()) + len(description.encode())
        if room < 0:
            break
        wrong.field_violations.add(field=field, description=description)
    return _details(0, wrong)


def _details(code: int, detail: Message) -> bytes:
    packed = any_pb2.Any()
    packed.Pack(detail)
    encoded: bytes = status_pb2.Status(code=code, details=[packed]).SerializeToString()
    return encoded


def _cut(text: str, limit: int) -> str:
    if len(text) * 4 <= limit:  # no character takes more than four bytes
        return text
    encoded = text.encode(errors="replace")
    return encoded[:limit].decode(errors="ignore") if len(encoded) > limit else text
