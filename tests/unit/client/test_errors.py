"""A gRPC status becomes the error that is named for the event, with all that came along."""

import pickle

import pytest
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import StatusCode

import inferd_client
from inferd_client import FieldViolation, InferdError
from inferd_client._errors import error_of
from inferd_client._trailing import Trailing


def with_details(*details: Message) -> Trailing:
    status = status_pb2.Status(code=3, message="m")
    for detail in details:
        status.details.add().Pack(detail)
    return {"grpc-status-details-bin": status.SerializeToString()}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (StatusCode.INVALID_ARGUMENT, "InvalidRequest"),
        (StatusCode.OUT_OF_RANGE, "InvalidRequest"),
        (StatusCode.NOT_FOUND, "NotFound"),
        (StatusCode.FAILED_PRECONDITION, "Conflict"),
        (StatusCode.ALREADY_EXISTS, "Conflict"),
        (StatusCode.ABORTED, "Conflict"),
        (StatusCode.UNAUTHENTICATED, "Unauthenticated"),
        (StatusCode.PERMISSION_DENIED, "PermissionDenied"),
        (StatusCode.UNAVAILABLE, "Unavailable"),
        (StatusCode.RESOURCE_EXHAUSTED, "ResourceExhausted"),
        (StatusCode.DEADLINE_EXCEEDED, "DeadlineExceeded"),
        (StatusCode.CANCELLED, "Unavailable"),
        (StatusCode.UNIMPLEMENTED, "Unimplemented"),
        (StatusCode.INTERNAL, "ServerError"),
        (StatusCode.UNKNOWN, "ServerError"),
        (StatusCode.DATA_LOSS, "ServerError"),
    ],
)
def test_a_status_has_its_error(code: StatusCode, name: str) -> None:
    error = error_of(code, "what happened", {})

    assert type(error) is getattr(inferd_client, name)
    assert (error.code, error.message, str(error)) == (code, "what happened", "what happened")


@pytest.mark.parametrize("text", ["Channel closed!", "Stream removed (Channel closed!)"])
def test_what_ended_because_this_side_closed_its_channel_is_cancelled(text: str) -> None:
    error = error_of(StatusCode.CANCELLED, text, {})

    assert type(error) is inferd_client.Cancelled


def test_every_status_but_ok_is_in_the_table() -> None:
    classes = {code: type(error_of(code, "", {})) for code in StatusCode}

    assert [code for code, cls in classes.items() if cls is InferdError] == [StatusCode.OK]


def test_says_which_fields_are_wrong() -> None:
    bad = error_details_pb2.BadRequest()
    bad.field_violations.add(field="inputs[0].shape", description="expected [-1,64], got [3]")

    error = error_of(StatusCode.INVALID_ARGUMENT, "m", with_details(bad))

    assert error.violations == (FieldViolation("inputs[0].shape", "expected [-1,64], got [3]"),)


def test_says_the_reason_and_its_facts() -> None:
    info = error_details_pb2.ErrorInfo(
        reason="INFEASIBLE", domain="inferd", metadata={"need_ms": "8"}
    )

    error = error_of(StatusCode.DEADLINE_EXCEEDED, "m", with_details(info))

    assert (error.reason, error.details.domain) == ("INFEASIBLE", "inferd")
    assert error.details.facts == {"need_ms": "8"}


def test_retry_info_invites_a_retry() -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)

    error = error_of(StatusCode.UNAVAILABLE, "m", with_details(retry))

    assert (error.retry_after_s, error.pushback_ms) == (1.5, None)


def test_the_pushback_overrules_retry_info() -> None:
    retry = error_details_pb2.RetryInfo()
    retry.retry_delay.FromMilliseconds(1500)

    trailing = {**with_details(retry), "grpc-retry-pushback-ms": "-1"}
    error = error_of(StatusCode.UNAVAILABLE, "m", trailing)

    assert (error.retry_after_s, error.pushback_ms) == (None, -1)


@pytest.mark.parametrize(
    ("text", "pushback_ms"), [("0", 0), ("120", 120), ("-7", -1), ("x", -1), ("1.5", -1)]
)
def test_a_pushback_that_is_no_number_of_milliseconds_means_never(
    text: str, pushback_ms: int
) -> None:
    error = error_of(StatusCode.UNAVAILABLE, "m", {"grpc-retry-pushback-ms": text})

    assert error.pushback_ms == pushback_ms


@pytest.mark.parametrize("raw", [b"\xff\xff", b"", "text"])
def test_details_that_cannot_be_read_do_not_hide_the_error(raw: bytes | str) -> None:
    error = error_of(StatusCode.INTERNAL, "the model failed", {"grpc-status-details-bin": raw})

    assert str(error) == "the model failed"
    assert error.violations == ()


def test_details_of_a_broken_or_unknown_kind_do_not_hide_the_error() -> None:
    broken = status_pb2.Status()
    broken.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff")
    broken.details.append(any_pb2.Any(type_url="type.example/Unknown", value=b"x"))

    error = error_of(
        StatusCode.INTERNAL, "m", {"grpc-status-details-bin": broken.SerializeToString()}
    )

    assert error.reason == ""


@pytest.mark.parametrize(
    ("message", "trailing", "never_sent"),
    [
        ("failed to connect to all addresses; last error: ...", {}, True),
        ("errors resolving nowhere.invalid:80: ...", {}, True),
        ("failed to connect to all addresses", {"x-from": "a server that proxies"}, False),
        ("Stream removed (Socket closed)", {}, False),
        ("'digits' version 1 is not at ready state", {}, False),
    ],
)
def test_knows_a_call_that_never_left(message: str, trailing: Trailing, never_sent: bool) -> None:
    assert error_of(StatusCode.UNAVAILABLE, message, trailing).never_sent is never_sent


def test_an_error_survives_pickling() -> None:
    error = error_of(StatusCode.UNAVAILABLE, "shed", {"grpc-retry-pushback-ms": "5"})

    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), again.pushback_ms) == (type(error), "shed", 5)
