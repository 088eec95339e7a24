"""Which model answers which events, and from what."""

from typing import Any

import pytest
from pydantic import ValidationError

from inferd.config.stream import Route, Stream
from inferd.errors import InvalidRequest
from inferd.streaming.events import decoded
from inferd.streaming.routes import problems, routed
from support.streams import body


def route(*inputs: object) -> Any:
    return routed(Route.model_validate({"model": "m", "inputs": {"x": inputs}}))


def event(**data: Any) -> Any:
    return decoded(body("e", **data), max_bytes=10_000)


def test_numbers_come_in_the_order_of_the_configuration() -> None:
    it = route("profile:age", "data.amount", {"path": "data.b", "default": -1}, "profile:income")

    assert it.features == ("profile:age", "profile:income")
    assert it.numbers(event(amount=2), [30, 1e3]) == {"x": [30.0, 2.0, -1.0, 1000.0]}


def test_a_feature_that_is_asked_for_twice_is_read_once() -> None:
    it = route("p:a", "data.amount", "p:a")

    assert it.features == ("p:a",)
    assert it.numbers(event(amount=2), [5]) == {"x": [5.0, 2.0, 5.0]}


def test_a_truth_is_a_number() -> None:
    assert route("data.yes").numbers(event(yes=True), []) == {"x": [1.0]}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "data.v is missing"),
        ("7", "must be a number"),
        ([1], "must be a number"),
        (10**400, "must be finite"),
    ],
)
def test_what_is_no_number_is_named(value: object, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        route("data.v").numbers(event(v=value), [])

    assert refused.value.violations[0].field == "data.v"


def test_what_no_stream_could_do_is_said_with_its_key() -> None:
    routes = Stream.model_validate(
        {
            "routes": {
                "a": {"model": "m", "inputs": {"x": ["data.a", "nonsense", "p:f"]}},
                "b": {},
            }
        }
    ).routes

    said = [*problems(routes, features=False)]

    assert [each.split(": ")[0] for each in said] == [
        "stream.routes.a.inputs.x.1",
        "stream.routes.a.inputs.x.2",
        "stream.routes.b",
    ]
    assert [each.split(": ")[0] for each in problems(routes, features=True)] == [
        "stream.routes.a.inputs.x.1"
    ]
    assert "stream.routes" in next(problems({}, features=True))


@pytest.mark.parametrize(
    "wrong",
    [
        {"routes": {"a": {"model": "m"}}},
        {"predict_ms": 51},
        {"source": {"kind": "jsonl"}},
        {"letters": {"kind": "jsonl"}},
        {"source": {"kind": "kafka"}},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Stream.model_validate(wrong)
