"""The example `cascade`, served as its README says, with a Redis of its own that is broken.

One server per transport. It learns and remembers, so every test has users of its own, and leaves
everything as it was: Redis up, nothing forced, no breaker open.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from cascade import ranking_pb2 as pb
from inferd.v1 import admin_pb2
from support.redis import RedisServer, running_redis
from support.server import ROOT, NotStarted, Server, eventually, serving
from support.transports import Transport

RANK = "/example.v1.Ranking/Rank"
CONFIG = "examples/cascade/config.yaml"
EXAMPLES = {"PYTHONPATH": str(ROOT / "examples")}
ITEMS = range(10)
#: Far more than an answer takes, on any machine; no test is about how much.
AMPLE_S = 10.0
_ADMIN = re.compile(r"^  admin +(?P<address>\S+)$", re.MULTILINE)


@dataclass
class Shop:
    """A server with the example's service, and clients of it."""

    redis: RedisServer
    server: Server
    channel: grpc.Channel
    admin_channel: grpc.Channel

    def rank(
        self, user: str, items: range = ITEMS, within_s: float = AMPLE_S
    ) -> tuple[pb.RankResponse, str]:
        """Return the answer, and its trailer."""
        ask = self.channel.unary_unary(
            RANK,
            request_serializer=pb.RankRequest.SerializeToString,
            response_deserializer=pb.RankResponse.FromString,
        )
        request = pb.RankRequest(user_id=user, item_ids=items)
        answer, call = ask.with_call(request, timeout=within_s)
        trailing = dict(call.trailing_metadata())
        return answer, trailing.get("x-degraded", "")

    def admin(self, method: str, request: object, answer: object) -> object:
        ask = self.admin_channel.unary_unary(
            f"/inferd.v1.AdminService/{method}",
            request_serializer=type(request).SerializeToString,  # type: ignore[attr-defined]
            response_deserializer=answer.FromString,  # type: ignore[attr-defined]
        )
        return ask(request, timeout=AMPLE_S)

    def breaker(self, name: str, mode: "admin_pb2.SetBreakerRequest.Mode") -> None:
        request = admin_pb2.SetBreakerRequest(name=name, mode=mode)
        self.admin("SetBreaker", request, admin_pb2.SetBreakerResponse)

    def fill(self) -> None:
        """Write users into Redis as the README says."""
        subprocess.run(
            [sys.executable, "-m", "cascade.fill", "--redis", self.redis.url, "--users", "20"],
            env=EXAMPLES,
            cwd=ROOT,
            check=True,
            capture_output=True,
        )

    def is_well(self) -> bool:
        return not self.rank("user-0")[1]


@pytest.fixture(scope="module")
def started(transport: Transport, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop")
    with running_redis(directory) as redis:
        environment = {
            **EXAMPLES,
            "INFERD__REDIS__URL": redis.url,
            "INFERD__ADMIN__PORT": "0",
            # All of a test's calls come at once, on cores that others want, too.
            "INFERD__SERVER__ENVOY__SHED_ABOVE_BUSY": "1",
        }
        with serving(
            directory,
            "--config",
            CONFIG,
            repository=[],
            transport=transport,
            environment=environment,
        ) as server:
            admin = _ADMIN.search(server.announcement)
            assert admin, server.announcement
            with (
                grpc.insecure_channel(server.address) as channel,
                grpc.insecure_channel(admin["address"]) as admin_channel,
            ):
                yield Shop(redis, server, channel, admin_channel)


@pytest.fixture
def shop(started: Shop) -> Shop:
    started.fill()
    eventually(started.is_well)
    return started


def test_while_all_is_well_an_answer_is_full_and_nothing_is_said(shop: Shop) -> None:
    answer, trailer = shop.rank("user-1")

    assert answer.scored_by == "full"
    assert sorted(each.item_id for each in answer.items) == list(ITEMS)
    assert all(0 < each.score < 1 for each in answer.items)
    assert not answer.degradations
    assert not trailer


def test_tastes_differ_and_are_the_same_each_time(shop: Shop) -> None:
    one, other = shop.rank("user-1")[0], shop.rank("user-2")[0]

    assert one == shop.rank("user-1")[0]
    assert one.items != other.items


def test_a_user_of_whom_nothing_is_known_gets_a_full_answer(shop: Shop) -> None:
    assert shop.rank("somebody-else")[1] == ""


@pytest.mark.parametrize(
    ("user", "items", "field"),
    [
        ("", ITEMS, "user_id"), ("x" * 65, ITEMS, "user_id"), ("user-1", range(0), "item_ids"),
        ("user-1", range(101), "item_ids"), ("user-1", range(995, 1001), "item_ids"),
        ("user-1", range(-1, 3), "item_ids"),
    ],
)  # fmt: skip
def test_a_wrong_request_is_refused_by_field_and_not_answered_in_a_worse_way(
    shop: Shop, user: str, items: range, field: str
) -> None:
    with pytest.raises(grpc.RpcError, match=field) as caught:
        shop.rank(user, items)

    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_without_redis_the_taste_is_that_of_before_and_its_age_is_told(shop: Shop) -> None:
    before, _ = shop.rank("user-3")

    shop.redis.kill()
    try:
        answer, trailer = shop.rank("user-3")
        stranger, said_of_stranger = shop.rank("user-4")
    finally:
        shop.redis.start()

    assert [each.item_id for each in answer.items] == [each.item_id for each in before.items]
    (degradation,) = answer.degradations
    assert (degradation.stage, degradation.source) == ("taste", "stale")
    assert degradation.reason in ("DEPENDENCY_FAILED", "BREAKER_OPEN")
    assert degradation.HasField("age_ms")
    assert trailer == (f"taste=stale;reason={degradation.reason};age_ms={degradation.age_ms}")
    assert [each.source for each in stranger.degradations] == ["nobody"]
    assert said_of_stranger.startswith("taste=nobody;reason=")


def test_a_redis_that_is_gone_is_left_alone_and_asked_again_when_it_is_back(shop: Shop) -> None:
    shop.redis.kill()
    try:
        eventually(lambda: "BREAKER_OPEN" in shop.rank("user-5")[1])
    finally:
        shop.redis.start()
    shop.fill()

    eventually(shop.is_well)


def test_a_redis_that_hangs_costs_the_answer_its_taste_and_not_its_time(shop: Shop) -> None:
    with shop.redis.paused():
        answer, _ = shop.rank("user-6")  # or the deadline passes, which is an error

    assert {each.stage for each in answer.degradations} == {"taste"}
    assert answer.scored_by == "full"


@pytest.mark.parametrize(
    ("broken", "served"),
    [
        (("ranker",), "small"),
        (("ranker", "ranker_small"), "previous"),
        (("ranker", "ranker_small", "ranker_previous"), "stale"),
    ],
)
def test_the_ladder_of_scores_is_climbed_down_rung_by_rung(
    shop: Shop, broken: tuple[str, ...], served: str
) -> None:
    full, _ = shop.rank("user-7")
    force, let_go = admin_pb2.SetBreakerRequest.FORCED_OPEN, admin_pb2.SetBreakerRequest.AUTOMATIC
    for name in broken:
        shop.breaker(name, force)
    try:
        answer, trailer = shop.rank("user-7")
        by_rule, _ = shop.rank("user-7", range(20, 25))
    finally:
        for name in broken:
            shop.breaker(name, let_go)

    assert answer.scored_by == served
    assert trailer.startswith(f"score={served};reason=BREAKER_OPEN")
    if served == "stale":
        assert [each.item_id for each in answer.items] == [each.item_id for each in full.items]
        assert by_rule.scored_by == "rule"
    assert shop.rank("user-7")[1] == ""


def test_an_answer_can_do_without_the_trend(shop: Shop) -> None:
    shop.breaker("trend", admin_pb2.SetBreakerRequest.FORCED_OPEN)
    try:
        _, trailer = shop.rank("user-8")
    finally:
        shop.breaker("trend", admin_pb2.SetBreakerRequest.AUTOMATIC)

    assert trailer == "trend=none;reason=BREAKER_OPEN"


def test_operators_see_its_dependencies_its_stages_and_what_was_degraded(shop: Shop) -> None:
    shop.breaker("trend", admin_pb2.SetBreakerRequest.FORCED_OPEN)
    shop.rank("user-9")
    shop.breaker("trend", admin_pb2.SetBreakerRequest.AUTOMATIC)

    listed = shop.admin(
        "ListDependencies",
        admin_pb2.ListDependenciesRequest(),
        admin_pb2.ListDependenciesResponse,
    )
    endpoints = shop.admin(
        "ListEndpoints", admin_pb2.ListEndpointsRequest(), admin_pb2.ListEndpointsResponse
    )

    assert isinstance(listed, admin_pb2.ListDependenciesResponse)
    names = {each.name for each in listed.dependencies}
    assert {"tastes", "trend", "ranker", "ranker_small", "ranker_previous", "order"} <= names
    assert isinstance(endpoints, admin_pb2.ListEndpointsResponse)
    (endpoint,) = endpoints.endpoints
    assert endpoint.method == RANK
    assert [each.name for each in endpoint.stages] == ["taste", "trend", "score", "order"]
    assert any(each.stage == "trend" and each.count for each in endpoint.degraded)
    degraded = f'inferd_degraded_total{{method="{RANK[1:]}",reason="BREAKER_OPEN"'
    assert degraded in shop.server.get("/metrics")


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("SERVER__SERVICES", "[cascade.rnaking:services]", "cannot import cascade.rnaking"),
        ("SERVER__SERVICES", "[cascade.ranking:service]", "has no function service"),
        ("RESILIENCE__DEPENDENCIES", "{tasts: {}}", "resilience.dependencies.tasts"),
        (
            "RESILIENCE__CASCADES",
            f"{{{RANK}: {{stages: [{{name: scroe, ladder: [{{name: full}}]}}]}}}}",
            "resilience.cascades",
        ),
    ],
)
def test_what_the_configuration_names_must_be_there(
    tmp_path: Path, key: str, value: str, complaint: str
) -> None:
    environment = {**EXAMPLES, "INFERD__ADMIN__PORT": "0", f"INFERD__{key}": value}

    start = serving(tmp_path, "--config", CONFIG, repository=[], environment=environment)
    with pytest.raises(NotStarted, match=re.escape(complaint)) as caught, start:
        pass

    assert "Traceback" not in str(caught.value)
