"""A server's features, as its callers see them."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import grpc
import yaml

from inferd.v1 import features_pb2 as pb
from inferd_client import Answer, Client, HedgePolicy, RetryPolicy

SERVICE = "inferd.v1.FeatureService"
AMPLE_S = 30.0
#: One attempt: what a test asks for is what the server is asked.
ONCE = RetryPolicy(max_attempts=1)
UNHEDGED = HedgePolicy(max_attempts=1)

_FIELDS = {
    bool: "bool_value",
    int: "int64_value",
    float: "float64_value",
    str: "string_value",
    bytes: "bytes_value",
}

DEFINITIONS: Mapping[str, Any] = {
    "entities": [{"name": "user", "id": "int64"}, {"name": "item", "id": "string"}],
    "views": [
        {
            "name": "profile",
            "entity": "user",
            "owner": "accounts",
            "version": 3,
            "features": [
                {"name": "age", "type": "int64", "default": 30},
                {"name": "country", "type": "string", "required": True},
            ],
        },
        {
            "name": "activity",
            "entity": "user",
            "max_age_s": 3600,
            "ttl_s": 86400,
            "features": [
                {"name": "spent", "type": "float64", "default": 0.5},
                {"name": "premium", "type": "bool"},
                {"name": "last", "type": "bytes"},
                {"name": "taste", "type": "float_list[2]", "default": [0, 1]},
            ],
        },
        {
            "name": "listing",
            "entity": "item",
            "features": [{"name": "title", "type": "string", "default": ""}],
        },
    ],
}


def written(definitions: Mapping[str, Any]) -> str:
    """Return definitions as their file has them."""
    return yaml.safe_dump(dict(definitions), sort_keys=False)


def now_us() -> int:
    """Return the time of day, as events have it."""
    return time.time_ns() // 1000


def value(it: Any) -> pb.FeatureValue:
    """Return a value as a message, by its type."""
    if it is None:
        return pb.FeatureValue()
    if isinstance(it, list) and all(isinstance(each, str) for each in it):
        return pb.FeatureValue(string_list=pb.StringList(values=it))
    if isinstance(it, list):
        return pb.FeatureValue(float_list=pb.FloatList(values=it))
    return pb.FeatureValue(**{_FIELDS[type(it)]: it})


def a_row(view: str, id: object, *, ago_s: float = 1.0, **values: Any) -> pb.FeatureRow:
    """Return a row to write; what it tells came to be so `ago_s` seconds ago."""
    return pb.FeatureRow(
        view=view,
        id=str(id),
        event_time_us=now_us() - round(ago_s * 1e6),
        values={name: value(it) for name, it in values.items()},
    )


def an_event(event: str, id: str, *, ago_s: float = 1.0, **fields: Any) -> pb.FeatureEvent:
    """Return something that happened `ago_s` seconds ago."""
    return pb.FeatureEvent(
        event=event,
        event_id=id,
        event_time_us=now_us() - round(ago_s * 1e6),
        fields={name: value(it) for name, it in fields.items()},
    )


class Features:
    """Calls a `FeatureService`."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client = Client(address, retry=ONCE, hedge=UNHEDGED)

    def close(self) -> None:
        self._client.close()

    def call(self, rpc: str, request: Any, response: Any, timeout_s: float) -> Answer[Any]:
        return self._client.call(f"/{SERVICE}/{rpc}", request, response, timeout_s=timeout_s)

    def get(
        self,
        id: object,
        *features: str,
        entity: str = "user",
        timeout_s: float = AMPLE_S,
        **more: Any,
    ) -> Answer[pb.GetFeaturesResponse]:
        request = pb.GetFeaturesRequest(entity=entity, id=str(id), features=features, **more)
        return self.call("Get", request, pb.GetFeaturesResponse, timeout_s)

    def read(self, id: object, *features: str, **options: Any) -> dict[str, tuple[Any, str, str]]:
        """Return value, status and source by name."""
        message = self.get(id, *features, **options).message
        return {it.name: (held(it), *names(it.status, it.source)) for it in message.features}

    def batch(
        self, ids: Iterable[object], *features: str, entity: str = "user", **more: Any
    ) -> pb.BatchGetFeaturesResponse:
        request = pb.BatchGetFeaturesRequest(
            entity=entity, ids=[str(each) for each in ids], features=features, **more
        )
        answer: pb.BatchGetFeaturesResponse = self.call(
            "BatchGet", request, pb.BatchGetFeaturesResponse, AMPLE_S
        ).message
        return answer

    def set(self, *rows: pb.FeatureRow, timeout_s: float = AMPLE_S) -> list[str]:
        """Write rows, and return what became of each."""
        return [status_of(it) for it in self.results(*rows, timeout_s=timeout_s)]

    def results(self, *rows: pb.FeatureRow, timeout_s: float = AMPLE_S) -> Sequence[pb.WriteResult]:
        request = pb.SetFeaturesRequest(rows=rows)
        results: Sequence[pb.WriteResult] = self.call(
            "Set", request, pb.SetFeaturesResponse, timeout_s
        ).message.results
        return results

    def record(self, *events: pb.FeatureEvent, timeout_s: float = AMPLE_S) -> list[str]:
        """Record events, and return what became of each."""
        request = pb.RecordEventsRequest(events=events)
        results: Sequence[pb.EventResult] = self.call(
            "Record", request, pb.RecordEventsResponse, timeout_s
        ).message.results
        return [pb.EventResult.Status.Name(each.status) for each in results]

    def describe(self, view: str = "") -> pb.DescribeFeaturesResponse:
        request = pb.DescribeFeaturesRequest(view=view)
        answer: pb.DescribeFeaturesResponse = self.call(
            "Describe", request, pb.DescribeFeaturesResponse, AMPLE_S
        ).message
        return answer

    def push(self, requests: Iterable[pb.SetFeaturesRequest]) -> Iterator[list[str]]:
        """Stream requests, and yield what became of the rows of each."""
        with grpc.insecure_channel(self._address) as channel:
            stream = channel.stream_stream(
                f"/{SERVICE}/Push",
                request_serializer=pb.SetFeaturesRequest.SerializeToString,
                response_deserializer=pb.SetFeaturesResponse.FromString,
            )
            for answer in stream(iter(requests), timeout=AMPLE_S):
                yield [status_of(it) for it in answer.results]


@contextmanager
def features_of(address: str) -> Iterator[Features]:
    """Yield what calls the server at an address."""
    features = Features(address)
    try:
        yield features
    finally:
        features.close()


def held(feature: pb.Feature) -> Any:
    """Return the value of a feature; None where there is none."""
    kind = feature.value.WhichOneof("kind")
    if kind is None:
        return None
    if kind in ("float_list", "string_list"):
        return list(getattr(feature.value, kind).values)
    return getattr(feature.value, kind)


def names(status: Any, source: Any) -> tuple[str, str]:
    """Return the names of a status and a source."""
    return pb.Feature.Status.Name(status), pb.Feature.Source.Name(source)


def status_of(result: pb.WriteResult) -> str:
    """Return the name of what became of a row."""
    return pb.WriteResult.Status.Name(result.status)
