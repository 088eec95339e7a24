"""What becomes of an event: a prediction, or a letter that says why there is none, or both.

A letter is written of every event that did not go as it should, and has the event's own bytes, so
that it can be sent again. Where a fallback stands in, there is a result besides, which says so.
"""

from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from inferd.cache.streams import Delivery, Record

Prediction = float | int | str | bool


class Stage(StrEnum):
    """What is done with an event, in order."""

    DELIVER = "deliver"
    DECODE = "decode"
    ROUTE = "route"
    RECORD = "record"
    FEATURES = "features"
    PREDICT = "predict"
    PUBLISH = "publish"


class Status(StrEnum):
    """How a result came to be."""

    OK = "ok"
    #: The model took too long; the prediction is the fallback.
    TIMEOUT = "timeout"
    #: Something else went wrong, as `reason` says; the prediction is the fallback.
    FALLBACK = "fallback"


class Result(msgspec.Struct, frozen=True):
    """What was predicted for an event."""

    event_id: str
    user_id: str
    event_type: str
    prediction: Prediction
    #: None where the model tells none, and for a fallback.
    confidence: float | None
    #: From when the event was read until the result was there to be published.
    latency_ms: float
    #: When that was.
    timestamp: datetime
    model: str
    #: The model's; empty for a fallback.
    version: str
    status: Status
    #: Why it is not ok: the reason of an error, e.g. `TIMED_OUT`.
    reason: str = ""
    #: Stages that failed and were done without.
    degraded: tuple[str, ...] = ()


class Letter(msgspec.Struct, frozen=True):
    """An event that did not go as it should."""

    #: Empty where the event could not be read.
    event_id: str
    stage: Stage
    #: The error's reason, e.g. `INVALID_REQUEST`, and its message.
    reason: str
    cause: str
    position: str
    delivered: int
    timestamp: datetime
    #: The event's bytes as they came; base64 in JSON.
    body: bytes


class Finished(NamedTuple):
    """An event that need not come again once this is published."""

    delivery: Delivery
    #: When it was read, in monotonic seconds.
    read_at: float
    #: Seconds on the wall clock when the event happened; None where nobody knows.
    happened_s: float | None
    result: Result | None
    letters: tuple[Letter, ...]


_encoder = msgspec.json.Encoder()


def result_record(result: Result) -> Record:
    """Return a result as it is published: once for each event id."""
    return Record(result.event_id, _encoder.encode(result))


def letter_record(letter: Letter) -> Record:
    """Return a letter as it is published: once for each event as it came, and stage."""
    return Record(_key(letter.position, letter.stage, letter.body), _encoder.encode(letter))


def _key(position: str, stage: str, body: bytes) -> str:
    """Return a letter's key. Letters of several streams, where places are alike, may meet."""
    return f"{position}/{stage}/{blake2b(body, digest_size=8).hexdigest()}"


class _Published(msgspec.Struct):
    event_id: str = ""
    position: str = ""
    stage: str = ""
    body: bytes = b""


_published = msgspec.json.Decoder(_Published)


def key_of(body: bytes) -> str:
    """Return the key that a record was published with; none, if it is no record."""
    try:
        it = _published.decode(body)
    except msgspec.DecodeError:
        return ""
    return _key(it.position, it.stage, it.body) if it.stage else it.event_id
