"""Features over the wire: read in time, written row by row, whatever becomes of the store."""

import json
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2
from redis import Redis

from inferd.app import main
from inferd.v1 import features_pb2 as pb
from inferd_client import Conflict, InvalidRequest, Unavailable
from support.features import (
    DEFINITIONS,
    SERVICE,
    Features,
    a_row,
    features_of,
    now_us,
    written,
)
from support.redis import RedisServer, running_redis
from support.server import ROOT, NotStarted, Server, eventually, serving
from support.transports import TRANSPORTS, Transport, needs_envoy

NO_MODELS = ("--control-mode", "explicit")
HOUR_S = 3600.0
#: A store that hangs answers in no time at all; how soon defaults come is for the unit tests.
IN_TIME_S = 5.0
#: Of what is asked, those that have a default.
SOFT = ("profile:age", "activity:spent")


def configured(directory: Path, definitions: Mapping[str, Any] = DEFINITIONS) -> dict[str, str]:
    """Return the environment of a server with these definitions."""
    file = directory / "definitions.yaml"
    file.write_text(written(definitions))
    return {"INFERD__FEATURES__DEFINITIONS": str(file)}


def in_redis(redis: RedisServer) -> dict[str, str]:
    """Return the environment of a server that keeps its features there, and nowhere else."""
    return {
        "INFERD__FEATURES__STORE": "redis",
        "INFERD__FEATURES__NEAR__ENABLED": "false",
        "INFERD__REDIS__URL": redis.url,
    }


def a_server(
    stack: ExitStack,
    directory: Path,
    environment: Mapping[str, str] | None = None,
    *,
    transport: Transport = "grpcio",
) -> Server:
    directory.mkdir(exist_ok=True)
    return stack.enter_context(
        serving(
            directory,
            *NO_MODELS,
            transport=transport,
            environment=configured(directory) | dict(environment or {}),
        )
    )


@pytest.fixture(scope="module", params=TRANSPORTS)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """One server for all tests that use ids of their own."""
    transport: Transport = request.param
    with ExitStack() as stack:
        yield a_server(stack, tmp_path_factory.mktemp(transport) / "server", transport=transport)


@pytest.fixture(scope="module")
def features(served: Server) -> Iterator[Features]:
    with features_of(served.address) as each:
        yield each


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_what_was_written_is_read_with_its_time_and_where_it_comes_from(
    features: Features,
) -> None:
    row = a_row("activity", 1, ago_s=60, spent=2.5, premium=None, last=b"\0", taste=[0.25, -1.0])
    assert features.set(row, a_row("profile", 1, age=41, country="NL")) == ["STORED"] * 2

    answer = features.get(1)

    assert {it.name: MessageToDict(it.value) for it in answer.message.features} == {
        "profile:age": {"int64Value": "41"},
        "profile:country": {"stringValue": "NL"},
        "activity:spent": {"float64Value": 2.5},
        "activity:premium": {},
        "activity:last": {"bytesValue": "AA=="},
        "activity:taste": {"floatList": {"values": [0.25, -1.0]}},
    }
    assert not answer.degraded
    spent = answer.message.features[2]
    assert spent.event_time_us == row.event_time_us
    assert 60_000 <= spent.age_ms < 90_000
    read = features.read(1, "activity:premium", "activity:spent")
    assert read == {
        "activity:premium": (None, "NULL_VALUE", "MEMORY"),
        "activity:spent": (2.5, "PRESENT", "MEMORY"),
    }


def test_what_nobody_wrote_is_missing_and_the_default_stands_in(features: Features) -> None:
    assert features.read(404, "profile:age", "activity:premium", "activity:taste") == {
        "profile:age": (30, "MISSING", "DEFAULT"),
        "activity:premium": (None, "MISSING", "SOURCE_UNSPECIFIED"),
        "activity:taste": ([0.0, 1.0], "MISSING", "DEFAULT"),
    }


def test_what_is_old_is_not_given_but_its_time_is(features: Features) -> None:
    old = a_row("activity", 2, ago_s=2 * HOUR_S, spent=1.0)
    assert features.set(old, a_row("activity", 3, ago_s=25 * HOUR_S, spent=1.0)) == ["STORED"] * 2

    assert features.read(2, "activity:spent") == {
        "activity:spent": (0.5, "OUTSIDE_MAX_AGE", "DEFAULT")
    }
    assert features.get(2, "activity:spent").message.features[0].event_time_us == old.event_time_us
    [(_, status, _)] = features.read(3, "activity:spent").values()
    assert status == "EXPIRED"


def test_an_older_event_never_overwrites_a_newer_one(features: Features) -> None:
    newer, older = a_row("profile", 4, age=2, country="NL"), a_row("profile", 4, ago_s=9, age=1)
    older.values["country"].string_value = "BE"

    assert features.set(newer, older) == ["STORED", "OLDER"]
    assert features.set(newer) == ["SAME"]
    assert features.read(4, "profile:age") == {"profile:age": (2, "PRESENT", "MEMORY")}


def test_a_point_in_time_never_gets_a_newer_value(features: Features) -> None:
    row = a_row("profile", 5, ago_s=10, age=2, country="NL")
    features.set(row)

    before = features.get(5, "profile:age", as_of_us=row.event_time_us - 1).message.features[0]
    at = features.get(5, "profile:age", as_of_us=row.event_time_us).message.features[0]

    assert (before.status, before.value.int64_value) == (pb.Feature.NEWER_ONLY, 30)
    assert (at.status, at.value.int64_value) == (pb.Feature.PRESENT, 2)


def test_a_required_feature_without_a_value_fails_the_answer_by_its_name(
    features: Features,
) -> None:
    with pytest.raises(Conflict, match=r"required: profile:country$") as caught:
        features.get(404, "profile")

    assert caught.value.reason == "FEATURE_MISSING"
    assert caught.value.pushback_ms == -1


def test_many_entities_come_in_columns_and_none_fails_the_others(features: Features) -> None:
    row = a_row("profile", 6, age=41, country="NL")
    features.set(row, a_row("activity", 7, taste=[3.0, 4.0], premium=True))

    answer = features.batch([6, 404, 7, 6], "profile", "activity:taste", "activity:premium")

    age, country, taste, premium = answer.columns
    assert [each.name for each in answer.columns] == [
        "profile:age",
        "profile:country",
        "activity:taste",
        "activity:premium",
    ]
    assert list(age.int64_values.values) == [41, 30, 30, 41]
    assert list(age.statuses) == [
        pb.Feature.PRESENT,
        pb.Feature.MISSING,
        pb.Feature.MISSING,
        pb.Feature.PRESENT,
    ]
    default, memory, none = pb.Feature.DEFAULT, pb.Feature.MEMORY, pb.Feature.SOURCE_UNSPECIFIED
    assert list(age.sources) == [memory, default, default, memory]
    assert list(age.event_times_us) == [row.event_time_us, 0, 0, row.event_time_us]
    assert list(country.string_values.values) == ["NL", "", "", "NL"]
    assert taste.float_lists.width == 2
    assert list(taste.float_lists.values) == [0, 1, 0, 1, 3, 4, 0, 1]
    assert list(premium.bool_values.values) == [False, False, True, False]
    assert list(premium.sources) == [none, none, memory, none]
    assert list(answer.incomplete) == [1, 2]
    assert 0 <= now_us() - answer.read_time_us < 30e6


def test_ids_may_be_texts(features: Features) -> None:
    features.set(a_row("listing", "späti/7", title="Club-Mate"))

    assert features.read("späti/7", entity="item") == {
        "listing:title": ("Club-Mate", "PRESENT", "MEMORY")
    }


@pytest.mark.parametrize(
    ("request_", "field", "said"),
    [
        ({"entity": "usr", "id": "1"}, "entity", "did you mean user?"),
        ({"entity": "", "id": "1"}, "entity", "there are item, user"),
        ({"entity": "user", "id": "1", "features": ["profil:age"]}, "features[0]", "profile?"),
        (
            {"entity": "user", "id": "1", "features": ["activity", "profile:agee"]},
            "features[1]",
            "did you mean age?",
        ),
        ({"entity": "user", "id": "1", "features": ["listing"]}, "features[0]", "entity item"),
        (
            {"entity": "user", "id": "1", "features": ["profile:age", "profile"]},
            "features[1]",
            "profile:age is asked for twice",
        ),
        ({"entity": "user", "id": "one"}, "id", "int64, not 'one'"),
        ({"entity": "user", "id": "+1"}, "id", "int64, not '+1'"),
        ({"entity": "user", "id": "9223372036854775808"}, "id", "int64"),
        ({"entity": "user", "id": ""}, "id", "int64, not ''"),
        ({"entity": "item", "id": ""}, "id", "1 to 512 bytes"),
        ({"entity": "item", "id": "x" * 513}, "id", "1 to 512 bytes"),
    ],
)
def test_names_and_ids_that_cannot_be_are_refused_with_what_may_be_meant(
    features: Features, request_: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        features.call("Get", pb.GetFeaturesRequest(**request_), pb.GetFeaturesResponse, 30.0)

    [violation] = caught.value.violations
    assert violation.field == field
    assert said in violation.description


@pytest.mark.parametrize(
    ("ids", "field", "said"),
    [
        ([], "ids", "1 to 1000 ids, not 0"),
        (range(1001), "ids", "1 to 1000 ids, not 1001"),
        ([1, "x"], "ids[1]", "int64, not 'x'"),
    ],
)
def test_a_batch_with_ids_that_cannot_be_is_refused(
    features: Features, ids: Any, field: str, said: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        features.batch(ids)

    [violation] = caught.value.violations
    assert violation.field == field
    assert said in violation.description


def a_bad_row(view: str = "activity", id: object = 9, **changes: Any) -> pb.FeatureRow:
    event_time_us = changes.pop("event_time_us", None)
    row = a_row(view, id, **changes)
    if event_time_us is not None:
        row.event_time_us = event_time_us
    return row


BAD_ROWS = [
    (a_bad_row("activty"), "view", "did you mean activity"),
    (a_bad_row(""), "view", "there are"),
    (a_bad_row(id="me"), "id", "int64"),
    (a_bad_row(spend=1.0), "values.spend", "did you mean spent?"),
    (a_bad_row(spent="1"), "values.spent", "expected float64, got string"),
    (a_bad_row(premium=1), "values.premium", "expected bool, got int64"),
    (a_bad_row(spent=float("nan")), "values.spent", "finite"),
    (a_bad_row(spent=float("-inf")), "values.spent", "finite"),
    (a_bad_row(taste=[0.0, float("inf")]), "values.taste", "finite"),
    (a_bad_row(taste=[1.0]), "values.taste", "expected 2 floats, got 1"),
    (a_bad_row(ago_s=-3600), "event_time_us", "in the future"),
    (a_bad_row(event_time_us=0), "event_time_us", "before 2000"),
    (a_bad_row(event_time_us=1_700_000_000_000), "event_time_us", "the right unit?"),
    (a_bad_row(event_time_us=-5), "event_time_us", "before 2000"),
    (a_bad_row(event_time_us=2**63 - 1), "event_time_us", "in the future"),
    (a_bad_row(last=b"x" * 70_000), "values.last", "65536 bytes"),
    (a_bad_row("profile", country=None), "values.country", "required"),
    (a_bad_row("profile", age=1), "values.country", "required"),
]


@pytest.mark.parametrize(("row", "field", "said"), BAD_ROWS)
def test_a_row_that_is_wrong_is_refused_and_harms_no_other(
    features: Features, row: pb.FeatureRow, field: str, said: str
) -> None:
    good = a_row("activity", 8, spent=1.0)

    before, refused, after = features.results(good, row, good)

    assert (before.status, after.status) in {
        (pb.WriteResult.STORED, pb.WriteResult.SAME),
        (pb.WriteResult.OLDER, pb.WriteResult.OLDER),  # clocks may jump
    }
    assert refused.status == pb.WriteResult.REJECTED
    assert f"rows[1].{field}" in [each.field for each in refused.problems]
    assert said in " ".join(each.description for each in refused.problems)

    with pytest.raises(InvalidRequest) as caught:
        features.set(row)
    assert f"rows[0].{field}" in [each.field for each in caught.value.violations]


@pytest.mark.parametrize("count", [0, 1001])
def test_too_many_rows_or_none_are_refused(features: Features, count: int) -> None:
    with pytest.raises(InvalidRequest, match=f"1 to 1000 rows, not {count}"):
        features.set(*[a_row("activity", 10, spent=1.0)] * count)


def test_what_is_streamed_in_is_acknowledged_in_order(features: Features) -> None:
    requests = [
        pb.SetFeaturesRequest(rows=[a_row("profile", 20 + each, age=each, country="NL")])
        for each in range(50)
    ]
    requests[7].rows.append(a_row("profile", 20, agee=1))
    requests[8].rows[0].ClearField("values")

    results = [*features.push(requests)]

    stored = ["STORED"]
    assert results == [stored] * 7 + [["STORED", "REJECTED"], ["REJECTED"]] + [stored] * 41
    ages = features.batch(range(20, 70), "profile:age").columns[0].int64_values.values
    assert list(ages) == [*range(8), 30, *range(9, 50)]


def test_a_stream_ends_at_a_request_that_makes_no_sense(features: Features) -> None:
    row = a_row("profile", 80, age=1, country="NL")
    answers = features.push([pb.SetFeaturesRequest(rows=[row]), pb.SetFeaturesRequest()])

    assert next(answers) == ["STORED"]
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_what_is_declared_is_described(features: Features) -> None:
    everything, one = features.describe(), features.describe("profile")

    assert [each.name for each in everything.entities] == ["user", "item"]
    assert [each.name for each in everything.views] == ["profile", "activity", "listing"]
    assert [each.name for each in one.entities] == ["user"]
    [profile] = one.views
    assert (profile.owner, profile.version, profile.HasField("ttl_s")) == ("accounts", 3, False)
    age, country = profile.features
    assert (age.name, age.type, age.required, age.default.int64_value) == (
        "age",
        "int64",
        False,
        30,
    )
    assert (country.required, country.HasField("default")) == (True, False)
    activity = everything.views[1]
    assert (activity.ttl_s, activity.max_age_s) == (86400, 3600)
    assert activity.features[3].type == "float_list[2]"
    with pytest.raises(InvalidRequest, match="did you mean profile"):
        features.describe("profiles")


def test_the_service_has_its_health_and_its_metrics(served: Server, features: Features) -> None:
    features.set(a_row("listing", "metrics", title="a"))
    features.read("metrics", entity="item")

    with grpc.insecure_channel(served.address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=30.0)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    lines = served.get("/metrics").splitlines()
    for beginning in (
        'inferd_feature_reads_total{status="PRESENT",view="listing"} ',
        'inferd_feature_writes_total{status="STORED",view="listing"} ',
        'inferd_feature_age_seconds_count{view="listing"} ',
        'inferd_dependency_calls_total{dependency="features",outcome="ok"} ',
    ):
        assert [line for line in lines if line.startswith(beginning)], beginning


# -- while the store is slow or gone -------------------------------------------------------


@pytest.fixture(params=TRANSPORTS)
def with_redis(
    request: pytest.FixtureRequest, tmp_path: Path, stack: ExitStack
) -> tuple[Features, RedisServer]:
    redis = stack.enter_context(running_redis(tmp_path))
    server = a_server(
        stack,
        tmp_path / "server",
        in_redis(redis),
        transport=request.param,
    )
    return stack.enter_context(features_of(server.address)), redis


def statuses(features: Features, id: object, *names: str, timeout_s: float = IN_TIME_S) -> set[str]:
    """Return the statuses of an answer that must come in time."""
    return {status for _, status, _ in features.read(id, *names, timeout_s=timeout_s).values()}


def settled(features: Features) -> None:
    """Have the first answer, for which connections are made, behind us."""
    eventually(lambda: "TIMED_OUT" not in statuses(features, 1, *SOFT))


def test_a_redis_that_hangs_costs_the_values_and_not_the_deadline(
    with_redis: tuple[Features, RedisServer],
) -> None:
    features, redis = with_redis
    features.set(a_row("profile", 1, age=41, country="NL"), a_row("activity", 1, spent=2.0))
    settled(features)

    with redis.paused():
        for _ in range(50):
            answer = features.get(1, *SOFT, timeout_s=IN_TIME_S)
            assert {it.status for it in answer.message.features} == {pb.Feature.TIMED_OUT}
            assert [it.value.WhichOneof("kind") for it in answer.message.features]
            [degradation] = answer.degraded
            assert (degradation.stage, degradation.source) == ("features", "defaults")
            assert degradation.reason in {"TIMED_OUT", "BREAKER_OPEN", "NO_BUDGET"}
            assert [it.reason for it in answer.message.degradations] == [degradation.reason]
        with pytest.raises(Unavailable, match="profile:country"):
            features.get(1, "profile", timeout_s=IN_TIME_S)
        batch = features.batch([1, 2], *SOFT)
        assert set(batch.columns[0].statuses) == {pb.Feature.TIMED_OUT}

    eventually(lambda: statuses(features, 1, *SOFT) == {"PRESENT"})


def test_a_redis_that_is_killed_is_done_without_until_it_is_back(
    with_redis: tuple[Features, RedisServer],
) -> None:
    features, redis = with_redis
    features.set(a_row("profile", 1, age=41, country="NL"))
    settled(features)

    redis.kill()
    assert statuses(features, 1, *SOFT) == {"TIMED_OUT"}
    with pytest.raises(Unavailable):
        features.set(a_row("profile", 1, age=42, country="NL"))

    redis.start()  # it kept nothing
    eventually(lambda: statuses(features, 1, *SOFT) == {"MISSING"})

    def stored() -> bool:
        try:
            return features.set(a_row("profile", 1, ago_s=0, age=42, country="NL")) == ["STORED"]
        except Unavailable:
            return False

    eventually(stored)
    eventually(lambda: features.read(1, "profile:age")["profile:age"][0] == 42)


def test_a_stream_ends_when_the_store_fails_and_what_was_answered_is_stored(
    with_redis: tuple[Features, RedisServer],
) -> None:
    features, redis = with_redis
    settled(features)
    acknowledged: list[list[str]] = []

    def requests() -> Iterator[pb.SetFeaturesRequest]:
        for each in range(1000):
            if each == 20:
                redis.kill()
            yield pb.SetFeaturesRequest(rows=[a_row("profile", each, age=each, country="NL")])

    with pytest.raises(grpc.RpcError) as caught:
        acknowledged.extend(features.push(requests()))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert all(results == ["STORED"] for results in acknowledged)


def test_what_is_no_row_in_redis_is_missing_and_counted(
    stack: ExitStack, tmp_path: Path, redis_server: RedisServer
) -> None:
    server = a_server(stack, tmp_path / "server", in_redis(redis_server))
    features = stack.enter_context(features_of(server.address))
    features.set(a_row("profile", 1, age=41, country="NL"), a_row("activity", 1, spent=2.0))
    settled(features)
    with Redis.from_url(redis_server.url) as redis:
        redis.set("feat:profile:3:1", "garbage")

    assert features.read(1, *SOFT) == {
        "profile:age": (30, "MISSING", "DEFAULT"),
        "activity:spent": (2.0, "PRESENT", "REDIS"),
    }
    assert 'inferd_feature_corrupt_total{view="profile"} 1' in server.get("/metrics")
    assert features.set(a_row("profile", 1, age=42, country="NL")) == ["STORED"]


def test_servers_with_one_redis_know_the_same(
    stack: ExitStack, tmp_path: Path, redis_server: RedisServer
) -> None:
    shared = in_redis(redis_server)
    one, other = (
        stack.enter_context(features_of(a_server(stack, tmp_path / name, shared).address))
        for name in "ab"
    )
    one.set(a_row("profile", 1, age=41, country="NL"))

    eventually(lambda: other.read(1, "profile:age")["profile:age"] == (41, "PRESENT", "REDIS"))


def test_what_was_acknowledged_survives_the_death_of_the_process(
    stack: ExitStack, tmp_path: Path
) -> None:
    kept = {
        "INFERD__FEATURES__STORE": "sqlite",
        "INFERD__FEATURES__SQLITE_PATH": str(tmp_path / "features.sqlite"),
    }
    server = a_server(stack, tmp_path / "one", kept)
    with features_of(server.address) as features:
        rows = [a_row("profile", each, age=each, country="NL") for each in range(100)]
        assert features.set(*rows) == ["STORED"] * 100
    server.exit_code = -signal.SIGKILL
    server.signal(signal.SIGKILL)
    server.ended()

    again = a_server(stack, tmp_path / "two", kept)
    with features_of(again.address) as features:
        ages = features.batch(range(100), "profile:age").columns[0]
        assert list(ages.int64_values.values) == [*range(100)]
        assert set(ages.sources) == {pb.Feature.SQLITE}


# -- what is configured --------------------------------------------------------------------


def test_without_definitions_there_is_no_such_service(stack: ExitStack, tmp_path: Path) -> None:
    server = stack.enter_context(serving(tmp_path, *NO_MODELS))
    with features_of(server.address) as features, pytest.raises(Exception, match="not") as caught:
        features.get(1)
    assert type(caught.value).__name__ == "Unimplemented"
    assert "inferd_feature_" not in server.get("/metrics")


@pytest.mark.parametrize(
    ("environment", "what"),
    [
        ({"INFERD__FEATURES__DEFINITIONS": "/nowhere.yaml"}, "/nowhere.yaml: No such file"),
        ({"INFERD__FEATURES__STORE": "redis"}, "features.store redis needs redis.url"),
        (
            {
                "INFERD__FEATURES__STORE": "sqlite",
                "INFERD__FEATURES__SQLITE_PATH": "/nowhere/features.sqlite",
            },
            "features.sqlite failed",
        ),
        (
            {
                "INFERD__RESILIENCE__CASCADES": json.dumps(
                    {
                        f"/{SERVICE}/Get": {
                            "stages": [{"name": "features", "ladder": [{"name": "x"}]}]
                        }
                    }
                )
            },
            "stage features of /inferd.v1.FeatureService/Get has no rung x",
        ),
    ],
)
def test_a_mistake_in_the_configuration_is_named_at_start(
    tmp_path: Path, environment: dict[str, str], what: str
) -> None:
    settings = configured(tmp_path) | environment
    with pytest.raises(NotStarted, match=what), serving(tmp_path, *NO_MODELS, environment=settings):
        pass


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"entity": "usr"}, "views.profile.entity: there is no entity 'usr'; did you mean user?"),
        ({"ttl": 5}, "views.profile.ttl: no such key"),
        ({"features": [{"name": "age", "type": "int"}]}, "views.profile.features.age.type: "),
        (
            {"features": [{"name": "age", "type": "int64", "default": "x"}]},
            "views.profile.features.age: default: expected int64, got string",
        ),
    ],
)
def test_what_is_declared_wrong_is_told_with_its_path(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    what: str,
) -> None:
    declared = deepcopy(dict(DEFINITIONS))
    declared["views"][0] |= changes
    for name, value in configured(tmp_path, declared).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INFERD__SERVER__TRANSPORT", "grpcio")

    assert main(["check", "--repository", str(tmp_path)]) == 2

    assert f"definitions.yaml: {what}" in capsys.readouterr().err


def test_what_looks_up_what_is_not_there_is_not_called_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    column = {"name": "x", "type": "int64"}
    table = {"name": "lost", "file": "lost.csv", "key": column, "columns": [column]}
    for name, value in configured(tmp_path, {**DEFINITIONS, "tables": [table]}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INFERD__SERVER__TRANSPORT", "grpcio")

    assert main(["check", "--repository", str(tmp_path)]) == 2

    said = capsys.readouterr()
    assert "tables.lost.file" in said.err
    assert "ready" not in said.out


def test_what_is_declared_well_is_ready(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERD__SERVER__TRANSPORT", "grpcio")

    assert main(["check", "--config", str(ROOT / "examples" / "features" / "config.yaml")]) == 0

    assert "features (profile, activity, listing, spending, risk, segment): ready to serve" in (
        capsys.readouterr().out
    )


@needs_envoy
def test_json_is_taken_where_envoy_takes_it(stack: ExitStack, tmp_path: Path) -> None:
    server = a_server(
        stack,
        tmp_path / "server",
        {"INFERD__SERVER__ENVOY__JSON_TRANSCODING": "true"},
        transport="envoy",
    )
    request = urllib.request.Request(
        f"http://{server.address}/{SERVICE}/Get",
        data=json.dumps({"entity": "user", "id": "1", "features": ["profile:age"]}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30.0) as response:
        [feature] = json.load(response)["features"]
    assert feature["value"] == {"int64_value": "30"}
