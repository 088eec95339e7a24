"""Every error has its status, and the details say to programs what the message says to people."""

import math
from typing import Any

import pytest
from google.rpc import error_details_pb2, status_pb2

from inferd import errors
from inferd.services.status import (
    DETAILS,
    PUSHBACK,
    REASON,
    STATUS,
    Code,
    Refusal,
    code_of,
    refusal,
)


def family(cls: type[errors.InferdError]) -> set[type[errors.InferdError]]:
    """Return a class of ours and its descendants; other tests may have made some, too."""
    ours = (child for child in cls.__subclasses__() if child.__module__ == errors.__name__)
    return {cls}.union(*map(family, ours))


def details_of(refused: Refusal) -> Any:
    return status_pb2.Status.FromString(dict(refused.trailing)[DETAILS])


def unpacked(refused: Refusal, kind: Any) -> Any:
    """Return the one detail of `kind`, or None."""
    found = [each for each in details_of(refused).details if each.Is(kind.DESCRIPTOR)]
    assert len(found) <= 1
    if not found:
        return None
    message = kind()
    found[0].Unpack(message)
    return message


def test_every_error_has_a_row_of_its_own_or_of_an_ancestor_below_the_root() -> None:
    def inherits(cls: type[errors.InferdError]) -> bool:
        return any(base in STATUS for base in cls.__mro__)

    assert {cls for cls in family(errors.InferdError) if not inherits(cls)} == {errors.InferdError}


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.InvalidRequest, Code.INVALID_ARGUMENT),
        (errors.NotFound, Code.NOT_FOUND),
        (errors.FeatureMissing, Code.FAILED_PRECONDITION),
        (errors.Unimplemented, Code.UNIMPLEMENTED),
        (errors.Unavailable, Code.UNAVAILABLE),
        (errors.NotReady, Code.UNAVAILABLE),
        (errors.Draining, Code.UNAVAILABLE),
        (errors.Shed, Code.UNAVAILABLE),
        (errors.DeadlineExceeded, Code.DEADLINE_EXCEEDED),
        (errors.Infeasible, Code.DEADLINE_EXCEEDED),
        (errors.Expired, Code.DEADLINE_EXCEEDED),
        (errors.ModelFailed, Code.INTERNAL),
        (errors.LoadFailed, Code.INTERNAL),
        (errors.Internal, Code.INTERNAL),
        (errors.InferdError, Code.INTERNAL),
    ],
)
def test_the_table(kind: type[errors.InferdError], code: Code) -> None:
    assert code_of(kind) is code


@pytest.mark.parametrize(
    "kind", sorted(family(errors.InferdError), key=str), ids=lambda kind: kind.reason
)
def test_the_details_repeat_the_status_and_give_the_reason(
    kind: type[errors.InferdError],
) -> None:
    refused = refusal(kind("what happened"))

    details, info = details_of(refused), unpacked(refused, error_details_pb2.ErrorInfo)

    assert (refused.code, refused.message) == (code_of(kind), "what happened")
    assert (details.code, details.message) == (code_of(kind), "what happened")
    assert (info.reason, info.domain) == (kind.reason, "inferd")
    assert dict(refused.trailing)[REASON] == kind.reason, "for people, too"


@pytest.mark.parametrize(
    ("retry_after_s", "pushback"),
    [
        (None, None),
        (-1.0, "-1"),
        (0.0, "0"),
        (0.0121, "13"),
        (2.5, "2500"),
        (math.inf, "1000000000"),
    ],
)
def test_pushback_is_whole_milliseconds_rounded_up(
    retry_after_s: float | None, pushback: str | None
) -> None:
    refused = refusal(errors.Shed("too much", retry_after_s=retry_after_s))

    assert dict(refused.trailing).get(PUSHBACK) == pushback


def test_a_wait_is_also_retry_info() -> None:
    refused = refusal(errors.Shed("too much", retry_after_s=2.5))
    delay = unpacked(refused, error_details_pb2.RetryInfo).retry_delay

    assert (delay.seconds, delay.nanos) == (2, 500_000_000)


@pytest.mark.parametrize("retry_after_s", [None, -1.0])
def test_no_retry_info_where_there_is_no_wait(retry_after_s: float | None) -> None:
    refused = refusal(errors.Shed("too much", retry_after_s=retry_after_s))

    assert unpacked(refused, error_details_pb2.RetryInfo) is None


def test_violations_name_their_fields() -> None:
    violations = (
        errors.Violation("inputs[0].shape", "expected [-1, 16], got [1, 15]"),
        errors.Violation("inputs[1].datatype", "expected FP32, got INT8"),
    )

    refused = refusal(errors.InvalidRequest("2 fields are wrong", violations=violations))

    wrong = unpacked(refused, error_details_pb2.BadRequest).field_violations
    assert [(each.field, each.description) for each in wrong] == [
        ("inputs[0].shape", "expected [-1, 16], got [1, 15]"),
        ("inputs[1].datatype", "expected FP32, got INT8"),
    ]


def test_whatever_is_wrong_the_trailers_fit_what_clients_accept() -> None:
    violations = [errors.Violation(f"inputs[{i}]" * 100, "\N{SNOWMAN}" * 5000) for i in range(200)]

    refused = refusal(errors.InvalidRequest("\N{SNOWMAN}" * 5000, violations=violations))

    # Text is percent-encoded, three bytes for one; -bin is base64, four for three.
    on_the_wire = len(refused.message.encode()) * 3 + len(dict(refused.trailing)[DETAILS]) * 4 / 3
    assert on_the_wire < 8 * 1024 - 200
    assert set(refused.message) == {"\N{SNOWMAN}"}, "cut between characters"
    assert len(unpacked(refused, error_details_pb2.BadRequest).field_violations) >= 1
