"""Features that nobody writes, over the wire: from events, from each other, and from caches."""

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from inferd.v1 import features_pb2 as pb
from inferd_client import InvalidRequest
from support.features import Features, a_row, an_event, features_of, value, written
from support.postgres import PostgresServer
from support.redis import RedisServer, running_redis
from support.server import Server, eventually, serving
from support.transports import TRANSPORTS, Transport

NO_MODELS = ("--control-mode", "explicit")

PAID: Mapping[str, Any] = {
    "name": "paid",
    "fields": [
        {"name": "user", "type": "int64", "required": True},
        {"name": "amount", "type": "float64", "required": True},
        {"name": "shop", "type": "string"},
    ],
}
PROFILE: Mapping[str, Any] = {
    "name": "profile",
    "entity": "user",
    "features": [
        {"name": "age", "type": "int64", "default": 30},
        {"name": "country", "type": "string"},
    ],
}


def over(function: str, kind: str, window: str = "1h", **more: Any) -> dict[str, Any]:
    return {
        "name": f"{function}_{window}",
        "type": kind,
        "aggregate": {"function": function, "window": window, **more},
    }


SPENDING: Mapping[str, Any] = {
    "name": "spending",
    "entity": "user",
    "events": "paid",
    "features": [
        over("count", "int64"),
        over("sum", "float64", of="amount"),
        over("count", "int64", "1m"),
        over("last", "string", "7d", of="shop"),
    ],
}
RISK: Mapping[str, Any] = {
    "name": "risk",
    "entity": "user",
    "request": [{"name": "amount", "type": "float64"}],
    "features": [
        {"name": "unusual", "type": "float64", "cel": "request.amount / spending.sum_1h"},
        {
            "name": "country",
            "type": "float64",
            "default": 0.5,
            "lookup": {"table": "countries", "key": "profile.country", "column": "risk"},
        },
        {
            "name": "band",
            "type": "int64",
            "transform": {"function": "bucketise", "of": "profile.age", "bounds": [18, 40]},
        },
    ],
}
SEGMENT: Mapping[str, Any] = {
    "name": "segment",
    "entity": "user",
    "cache_ttl_s": 300,
    "features": [{"name": "twice", "type": "int64", "cel": "profile.age * 2"}],
}
DEFINITIONS: Mapping[str, Any] = {
    "entities": [{"name": "user", "id": "int64"}],
    "events": [PAID],
    "tables": [
        {
            "name": "countries",
            "file": "countries.csv",
            "key": {"name": "country", "type": "string"},
            "columns": [{"name": "risk", "type": "float64"}],
        }
    ],
    "views": [PROFILE, SPENDING, RISK, SEGMENT],
}


def a_server(
    stack: ExitStack,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    *,
    transport: Transport = "grpcio",
) -> Server:
    directory.mkdir()
    with (directory / "countries.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["country", "risk"], ["NL", "0.1"], ["XX", "0.9"]])
    definitions = directory / "definitions.yaml"
    definitions.write_text(written(DEFINITIONS))
    given = {"INFERD__FEATURES__DEFINITIONS": str(definitions), **(environment or {})}
    return stack.enter_context(
        serving(directory, *NO_MODELS, transport=transport, environment=given)
    )


@pytest.fixture(scope="module", params=TRANSPORTS)
def features(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Features]:
    """Yield a server for all tests that use ids of their own."""
    transport: Transport = request.param
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp(transport) / "server"
        server = a_server(stack, directory, transport=transport)
        yield stack.enter_context(features_of(server.address))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with running_redis(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


def paid(user: int, amount: float, id: str, **more: Any) -> pb.FeatureEvent:
    return an_event("paid", id, user=user, amount=amount, **more)


def test_events_are_counted_from_when_they_are_recorded_and_once(features: Features) -> None:
    events = [paid(1, 10.0, "a", shop="x"), paid(1, 5.0, "b", shop="y", ago_s=600)]
    assert features.record(*events) == ["ADDED", "ADDED"]
    assert features.record(*events, paid(1, 1.0, "c", ago_s=8 * 86_400)) == [
        "DUPLICATE",
        "DUPLICATE",
        "TOO_OLD",
    ]

    assert features.read(1, "spending") == {
        "spending:count_1h": (2, "PRESENT", "MEMORY"),
        "spending:sum_1h": (15.0, "PRESENT", "MEMORY"),
        "spending:count_1m": (1, "PRESENT", "MEMORY"),
        "spending:last_7d": ("x", "PRESENT", "MEMORY"),
    }


def test_what_is_wrong_with_one_event_harms_no_other(features: Features) -> None:
    wrong = pb.FeatureEvent(event="payed", event_id="d")
    assert features.record(wrong, paid(2, 1.0, "e")) == ["REJECTED", "ADDED"]
    with pytest.raises(InvalidRequest, match="did you mean paid") as refused:
        features.record(wrong)
    (violation,) = refused.value.violations
    assert violation.field == "events[0].event"
    with pytest.raises(InvalidRequest, match="1 to 1000 events"):
        features.record()


def test_features_are_computed_from_what_is_known_and_what_the_request_says(
    features: Features,
) -> None:
    features.record(paid(3, 10.0, "f"))
    features.set(a_row("profile", 3, age=41, country="XX"))

    assert features.read(3, "risk", request={"amount": value(25.0)}) == {
        "risk:unusual": (2.5, "PRESENT", "COMPUTED"),
        "risk:country": (0.9, "PRESENT", "COMPUTED"),
        "risk:band": (2, "PRESENT", "COMPUTED"),
    }


def test_what_cannot_be_computed_has_its_default(features: Features) -> None:
    assert features.read(4, "risk") == {
        "risk:unusual": (None, "MISSING", "SOURCE_UNSPECIFIED"),
        "risk:country": (0.5, "MISSING", "DEFAULT"),
        "risk:band": (1, "PRESENT", "COMPUTED"),
    }


def test_all_kinds_of_many_entities_come_in_one_answer(features: Features) -> None:
    features.record(paid(5, 4.0, "g"), paid(6, 8.0, "h"))
    answer = features.batch(
        [5, 6, 5],
        "profile:age",
        "risk:unusual",
        "spending:sum_1h",
        request={"amount": value(8.0)},
    )
    columns = {each.name: each for each in answer.columns}
    assert [*columns["profile:age"].int64_values.values] == [30] * 3
    assert [*columns["risk:unusual"].float64_values.values] == [2.0, 1.0, 2.0]
    assert [*columns["spending:sum_1h"].float64_values.values] == [4.0, 8.0, 4.0]
    assert not answer.degradations


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"amont": 1.0}, "request.amont: .*did you mean amount"),
        ({"amount": "much"}, "request.amount: .*expected float64, got string"),
    ],
)
def test_what_a_request_says_is_of_the_declared_names_and_types(
    features: Features, said: Mapping[str, Any], says: str
) -> None:
    request = {name: value(it) for name, it in said.items()}
    with pytest.raises(InvalidRequest) as refused:
        features.get(1, "risk", request=request)
    (violation,) = refused.value.violations
    assert violation.field == f"request.{next(iter(said))}"
    assert says.rpartition(".*")[2] in violation.description


@pytest.mark.parametrize("view", ["spending", "risk"])
def test_nobody_writes_what_is_made(features: Features, view: str) -> None:
    with pytest.raises(InvalidRequest, match="nobody writes its rows"):
        features.set(a_row(view, 1))


def test_what_is_cached_is_computed_once(features: Features) -> None:
    features.set(a_row("profile", 7, age=20))
    assert features.read(7, "segment") == {"segment:twice": (40, "PRESENT", "COMPUTED")}
    assert features.read(7, "segment") == {"segment:twice": (40, "PRESENT", "L1_CACHE")}


def test_what_there_is_says_how_it_is_made(features: Features) -> None:
    answer = features.describe("spending")
    (view,), (event,) = answer.views, answer.events
    assert (view.kind, [*view.events]) == ("aggregated", ["paid"])
    assert [each.origin for each in view.features][:2] == ["count over 1h", "sum of amount over 1h"]
    first = event.fields[0]
    assert (first.name, first.type, first.required) == ("user", "int64", True)
    (risk,) = features.describe("risk").views
    assert (risk.kind, dict(risk.request)) == ("computed", {"amount": "float64"})
    (segment,) = features.describe("segment").views
    assert segment.cache_ttl_s == 300


def hears(server: Server) -> bool:
    """Whether a server is told of what others write."""
    return "inferd_cache_tracking_live 1\n" in server.get("/metrics")


def test_two_servers_share_events_rows_and_what_was_computed(
    redis: RedisServer, tmp_path: Path
) -> None:
    where = {"INFERD__FEATURES__STORE": "redis", "INFERD__REDIS__URL": redis.url}
    with ExitStack() as stack:
        servers = [a_server(stack, tmp_path / name, where) for name in ("one", "two")]
        one, two = (stack.enter_context(features_of(each.address)) for each in servers)
        for server in servers:
            eventually(partial(hears, server))

        assert one.record(paid(1, 10.0, "a")) == two.record(paid(1, 5.0, "b")) == ["ADDED"]
        assert two.record(paid(1, 10.0, "a")) == ["DUPLICATE"]
        for each in (one, two):
            assert each.read(1, "spending:sum_1h")["spending:sum_1h"] == (15.0, "PRESENT", "REDIS")

        one.set(a_row("profile", 1, age=20, ago_s=2))
        assert two.read(1, "profile:age")["profile:age"] == (20, "PRESENT", "REDIS")
        assert two.read(1, "profile:age")["profile:age"] == (20, "PRESENT", "L1_CACHE")
        one.set(a_row("profile", 1, age=21))
        eventually(lambda: two.read(1, "profile:age")["profile:age"][0] == 21)

        assert one.read(1, "segment")["segment:twice"] == (42, "PRESENT", "COMPUTED")
        eventually(
            lambda: (
                two.read(1, "segment")["segment:twice"] == (42, "PRESENT", "L2_CACHE")
                or two.read(1, "segment")["segment:twice"] == (42, "PRESENT", "L1_CACHE")
            )
        )


def kept_in(path: Path) -> int:
    """Return how many blobs are in a store's file."""
    with closing(sqlite3.connect(path)) as database:
        (number,) = database.execute("SELECT count(*) FROM blobs").fetchone()
        return int(number)


def test_events_and_what_was_computed_outlive_the_server_in_a_file(tmp_path: Path) -> None:
    where = {
        "INFERD__FEATURES__STORE": "sqlite",
        "INFERD__FEATURES__SQLITE_PATH": str(tmp_path / "features.sqlite"),
        "INFERD__FEATURES__CACHE_PATH": str(tmp_path / "cache.sqlite"),
        # The machine may be busy, and this is not about time.
        "INFERD__RESILIENCE__DEPENDENCIES": json.dumps({"features_l3": {"timeout_ms": 5000}}),
    }
    with ExitStack() as stack:
        server = a_server(stack, tmp_path / "first", where)
        features = stack.enter_context(features_of(server.address))
        features.record(paid(1, 10.0, "a"))
        features.set(a_row("profile", 1, age=20))
        assert features.read(1, "segment")["segment:twice"][2] == "COMPUTED"
        eventually(lambda: kept_in(tmp_path / "cache.sqlite") == 1)
    with ExitStack() as stack:
        server = a_server(stack, tmp_path / "second", where)
        features = stack.enter_context(features_of(server.address))
        assert features.record(paid(1, 10.0, "a"), paid(1, 5.0, "b")) == ["DUPLICATE", "ADDED"]
        assert features.read(1, "spending:sum_1h")["spending:sum_1h"][0] == 15.0
        assert features.read(1, "segment")["segment:twice"] == (40, "PRESENT", "L3_CACHE")


def test_postgres_has_what_was_written_and_what_was_computed(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    ample = "{timeout_ms: 30000}"  # the first who asks has to connect
    where = {
        "INFERD__FEATURES__STORE": "postgres",
        "INFERD__FEATURES__KEY_PREFIX": f"{tmp_path.name}/",
        "INFERD__FEATURES__CACHE_IN_POSTGRES": "true",
        "INFERD__FEATURES__CACHE__L1_TTL_S": "0.001",
        "INFERD__FEATURES__COMPUTE_TIMEOUT_MS": "30000",
        "INFERD__POSTGRES__URL": postgres_server.url,
        "INFERD__RESILIENCE__DEPENDENCIES": f"{{features: {ample}, features_l3: {ample}}}",
    }
    with ExitStack() as stack:
        server = a_server(stack, tmp_path / "server", where)
        features = stack.enter_context(features_of(server.address))
        assert features.set(a_row("profile", 1, age=20)) == ["STORED"]
        assert features.read(1, "profile:age")["profile:age"] == (20, "PRESENT", "POSTGRES")

        assert features.read(1, "segment")["segment:twice"] == (40, "PRESENT", "COMPUTED")
        cached = (40, "PRESENT", "L3_CACHE")  # put there behind the caller's back
        eventually(lambda: features.read(1, "segment")["segment:twice"] == cached)
