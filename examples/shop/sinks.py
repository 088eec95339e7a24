"""Where a replay goes: into a server's features, or into a stream of Redis."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from redis import Redis, RedisError

from inferd.v1 import features_pb2 as pb
from inferd_client import Client, InferdError
from shop.events import Json
from shop.world import line

SERVICE = "/inferd.v1.FeatureService"
TIMEOUT_S = 5.0
MOST_ENTRIES = 1_000_000
"""A stream is cut to about so many."""


class Refused(Exception):
    """Nobody took the events. The message says why."""


class Server:
    """Records events by `FeatureService.Record`: those that are declared, with what is declared."""

    def __init__(self, client: Client) -> None:
        """Raise `Refused` where there is no such service."""
        self._client = client
        declared = self._call("Describe", pb.DescribeFeaturesRequest(), pb.DescribeFeaturesResponse)
        self._types = {
            event.name: {field.name: field.type for field in event.fields}
            for event in declared.events
        }

    def send(self, events: Sequence[Json]) -> Counter[str]:
        """Send events, and return what became of them: how many of what."""
        known = [each for each in events if each["event_type"] in self._types]
        counts = Counter({"not declared": len(events) - len(known)})
        if known:
            asked = pb.RecordEventsRequest(events=map(self._recorded, known))
            answer = self._call("Record", asked, pb.RecordEventsResponse)
            status = pb.EventResult.Status
            counts.update(status.Name(each.status).lower() for each in answer.results)
        return +counts

    def _call(self, name: str, asked: Any, answer: type[Any]) -> Any:
        try:
            called = self._client.call(
                f"{SERVICE}/{name}", asked, answer, timeout_s=TIMEOUT_S, repeatable=True
            )
        except InferdError as error:
            raise Refused(f"{name}: {error}") from error
        return called.message

    def _recorded(self, event: Json) -> pb.FeatureEvent:
        return recorded(event, self._types[event["event_type"]])


def recorded(event: Json, types: Mapping[str, str]) -> pb.FeatureEvent:
    """Return an event with those of its fields that are declared, by their types."""
    said = {"user": event["user_id"], **event["data"]}
    at = np.datetime64(event["timestamp"].rstrip("Z"), "us")
    return pb.FeatureEvent(
        event=event["event_type"],
        event_id=event["id"],
        event_time_us=int(at.astype(np.int64)),
        fields={
            name: pb.FeatureValue(**{f"{kind}_value": said[name]})
            for name, kind in types.items()
            if name in said
        },
    )


class Stream:
    """Appends events to a stream of Redis, as `inferd stream` reads it."""

    def __init__(self, client: "Redis", stream: str) -> None:
        self._client = client
        self._stream = stream

    def send(self, events: Sequence[Json]) -> Counter[str]:
        """Send events, and return what became of them: how many of what."""
        with self._client.pipeline(transaction=False) as pipeline:
            for event in events:
                pipeline.xadd(self._stream, {"body": line(event)}, maxlen=MOST_ENTRIES)
            try:
                pipeline.execute()
            except RedisError as error:
                raise Refused(f"Redis: {error}") from error
        return Counter({"appended": len(events)})


@contextmanager
def to_server(target: str) -> Iterator[Server]:
    """Yield a connection to a server. Raises `Refused`."""
    with Client(target) as client:
        yield Server(client)


@contextmanager
def to_redis(url: str, stream: str) -> Iterator[Stream]:
    """Yield a connection to a Redis. Raises `ValueError` for what is no URL."""
    with Redis.from_url(url, socket_timeout=TIMEOUT_S) as client:
        yield Stream(client, stream)
