"""Events and results in JSON are what protobuf says that they are."""

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, Parse

from inferd.cache.streams import Delivery
from inferd.errors import InvalidRequest
from inferd.streaming.events import decoded, found
from inferd.streaming.results import Stage, letter_record, result_record
from inferd.streaming.stages import Taken
from inferd.v1 import streaming_pb2 as pb
from support.streams import body, settings, stages

SEED = {
    "id": "evt-1",
    "timestamp": "2024-05-01T12:00:00.250Z",
    "user_id": "user-7",
    "event_type": "purchase",
    "data": {"amount": 12.5, "currency": "EUR", "items": [{"sku": "a", "n": 2.0}], "gift": None},
    "context": {
        "session_id": "s-1",
        "device_type": "mobile",
        "location": {"latitude": 59.3, "longitude": 18.1},
        "user_agent": "app/1.2",
        "referrer": "https://shop.example",
        "metadata": {"campaign": "spring"},
    },
}


def there_and_back(message: dict[str, Any]) -> dict[str, Any]:
    """Read an event as protobuf does, and write it again."""
    parsed = Parse(json.dumps(message), pb.StreamingEvent())
    told: dict[str, Any] = MessageToDict(parsed)
    return told


def test_an_event_in_json_goes_through_protobuf_without_a_loss() -> None:
    assert there_and_back(SEED) == SEED


def test_a_place_that_is_absent_stays_so() -> None:
    event = {**SEED, "context": {"session_id": "s"}}

    assert "location" not in there_and_back(event)["context"]
    assert not Parse(json.dumps(event), pb.StreamingEvent()).context.HasField("location")


def test_what_protobuf_writes_is_an_event() -> None:
    event = decoded(json.dumps(there_and_back(SEED)).encode(), max_bytes=10_000)

    assert (event.id, event.user_id, event.event_type) == ("evt-1", "user-7", "purchase")
    assert found(event, ("data", "amount")) == 12.5


async def test_results_and_letters_are_what_protobuf_reads() -> None:
    it, _ = stages(settings())
    taken = it.take(Delivery("1-0", body("e1", "u1"), 2), 0.0)
    assert isinstance(taken, Taken)
    finished = await it.handle(taken)
    assert finished.result is not None

    result = Parse(result_record(finished.result).body, pb.PredictionResult())
    (letter,) = it.unpublished(finished, InvalidRequest("no")).letters
    parsed = Parse(letter_record(letter).body, pb.DeadLetter())

    assert (result.event_id, result.user_id, result.confidence) == ("e1", "u1", 0.5)
    assert result.prediction.number_value == 1.0
    assert (parsed.stage, parsed.body, parsed.delivered) == (Stage.PUBLISH, taken.delivery.body, 2)


@pytest.mark.parametrize("latitude", [0.0, -33.9])
def test_a_place_where_protobuf_left_zeros_out_is_a_place(latitude: float) -> None:
    place = {"latitude": latitude, "longitude": 18.4}
    written = there_and_back({**SEED, "context": {"location": place}})

    event = decoded(json.dumps(written).encode(), max_bytes=10_000)

    assert found(event, ("context", "location", "latitude")) == latitude
