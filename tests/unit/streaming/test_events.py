"""What is an event, what is none, and what is in one."""

import json
from datetime import UTC, datetime

import pytest

from inferd.errors import InvalidRequest, TooLarge
from inferd.streaming.events import decoded, found, path_problem

WHOLE = {
    "id": "e1",
    "timestamp": "2024-05-01T12:00:00.123456789+02:00",
    "user_id": "u1",
    "event_type": "purchase",
    "data": {"amount": 12.5, "items": ["a"], "card": {"bin": 4111}},
    "context": {
        "session_id": "s1",
        "device_type": "phone",
        "location": {"latitude": 59.3, "longitude": 18.1},
        "user_agent": "x/1",
        "referrer": "https://shop.example",
        "metadata": {"experiment": "b"},
    },
}


def test_an_event_is_read_as_it_was_written() -> None:
    event = decoded(json.dumps(WHOLE).encode(), max_bytes=10_000)

    assert event.timestamp == datetime(2024, 5, 1, 10, 0, 0, 123457, UTC)
    assert (event.id, event.user_id, event.event_type) == ("e1", "u1", "purchase")
    assert found(event, ("data", "card", "bin")) == 4111
    assert found(event, ("context", "location", "latitude")) == 59.3
    assert found(event, ("context", "metadata", "experiment")) == "b"


@pytest.mark.parametrize(
    "path",
    ["data.nothing", "data.amount.real", "context.metadata.nothing", "data.items.0"],
)
def test_what_is_not_there_is_none(path: str) -> None:
    event = decoded(json.dumps(WHOLE).encode(), max_bytes=10_000)

    assert found(event, tuple(path.split("."))) is None


def test_a_place_that_was_not_told_is_none() -> None:
    event = decoded(
        b'{"id":"a","timestamp":"2024-01-01T00:00:00Z","event_type":"t"}', max_bytes=100
    )

    assert event.context.location is None
    assert found(event, ("context", "location", "latitude")) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"id": ""}, r"\$\.id"),
        ({"id": 7}, r"\$\.id"),
        ({"timestamp": "yesterday"}, r"\$\.timestamp"),
        ({"timestamp": "2024-05-01T12:00:00"}, r"\$\.timestamp"),
        ({"data": []}, r"\$\.data"),
        ({"context": {"location": {"latitude": "north"}}}, r"latitude"),
        ({"event_type": None}, r"\$\.event_type"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        decoded(json.dumps(WHOLE | change).encode(), max_bytes=10_000)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 5000])
def test_what_is_no_json_object_is_no_event(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no event"):
        decoded(body, max_bytes=10_000)


def test_of_what_is_empty_it_is_said_where_events_are_in_redis() -> None:
    with pytest.raises(InvalidRequest, match="in the field `body`"):
        decoded(b"", max_bytes=10_000)


def test_an_event_that_is_too_large_is_not_even_read() -> None:
    with pytest.raises(TooLarge, match="11 bytes, at most 10"):
        decoded(b"x" * 11, max_bytes=10)


@pytest.mark.parametrize(
    "path", ["data.x", "data.a.b", "context.device_type", "context.location.latitude"]
)
def test_paths_lead_into_an_event(path: str) -> None:
    assert path_problem(path) == ""


@pytest.mark.parametrize(
    "path", ["", "data", "data.", "x.y", "context.nothing", "context.location.altitude", "data..a"]
)
def test_what_leads_nowhere_is_no_path(path: str) -> None:
    assert path_problem(path)
