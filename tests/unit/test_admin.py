"""`AdminService` without a server: what it tells of real guards, and what it does to them."""

import logging
from collections.abc import Awaitable
from typing import Any, get_args

import pytest

from inferd.config import faults
from inferd.config.resilience import Cascade, Rung, Stage
from inferd.errors import (
    CircuitOpen,
    FaultInjected,
    InvalidRequest,
    NotFound,
    Unavailable,
)
from inferd.services.admin.service import SERVICE
from inferd.services.routes import bind
from inferd.v1 import admin_pb2 as pb
from support.administered import Server, a_call

METHOD = "/shop.Ranking/Rank"
FORCED_OPEN, FORCED_CLOSED, AUTOMATIC = (
    pb.SetBreakerRequest.FORCED_OPEN,
    pb.SetBreakerRequest.FORCED_CLOSED,
    pb.SetBreakerRequest.AUTOMATIC,
)
CASCADE = Cascade(
    stages=(
        Stage(name="features", ladder=(Rung(name="fresh", cap_ms=20), Rung(name="stale"))),
        Stage(
            name="extras",
            ladder=(Rung(name="all", up_to_load=0.9),),
            beside_previous=True,
            optional=True,
        ),
    ),
    guard_ms=2.0,
)


@pytest.fixture
def server() -> Server:
    return Server()


async def the_dependency(server: Server, name: str) -> pb.Dependency:
    request = pb.ListDependenciesRequest(name=name)
    (found,) = (await server.admin.list_dependencies(request, a_call())).dependencies
    return found


async def set_breaker(server: Server, name: str, mode: Any) -> pb.Breaker:
    request = pb.SetBreakerRequest(name=name, mode=mode)
    return (await server.admin.set_breaker(request, a_call())).breaker


async def inject(server: Server, **fault: Any) -> int:
    request = pb.InjectFaultRequest(fault=pb.Fault(**fault))
    return (await server.admin.inject_fault(request, a_call())).id


async def refused(answer: Awaitable[object]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await answer
    return caught.value


def test_every_rpc_has_its_method(server: Server) -> None:
    assert len(bind(SERVICE, server.admin)) == len(SERVICE.methods)


async def test_a_dependency_tells_how_its_calls_fare(server: Server) -> None:
    await server.read()
    await server.read()

    it = await the_dependency(server, "redis")

    assert it.name == "redis"
    assert dict(it.outcomes) == {"ok": 2}
    assert (it.breaker.state, it.breaker.calls, it.breaker.failures) == (pb.Breaker.CLOSED, 2, 0)
    assert (it.limit.in_flight, it.limit.limit, it.limit.fixed) == (0, 20, False)
    assert it.latency.observed == 2
    assert it.spare_attempts == 3


async def test_a_breaker_that_opened_says_why_when_and_for_how_long(server: Server) -> None:
    await server.read()
    await server.read(fails=True)
    server.clock.now += 2

    it = (await the_dependency(server, "redis")).breaker

    assert it.state == pb.Breaker.OPEN
    assert (it.calls, it.failures, it.failure_rate, it.opened) == (2, 1, 0.5, 1)
    assert it.retry_after_s == pytest.approx(3)
    (change,) = it.transitions
    assert (change.before, change.after) == (pb.Breaker.CLOSED, pb.Breaker.OPEN)
    assert change.ago_s == pytest.approx(2)
    assert change.why == "1 of 2 calls failed in 10 s"


async def test_without_a_limit_there_is_none_to_tell(server: Server) -> None:
    it = await the_dependency(server, "index")

    assert not it.limit.HasField("limit")


async def test_all_dependencies_are_listed_by_name(server: Server) -> None:
    all_of_them = await server.admin.list_dependencies(pb.ListDependenciesRequest(), a_call())

    assert [each.name for each in all_of_them.dependencies] == ["index", "redis"]


async def test_an_unknown_dependency_is_not_found_and_the_known_are_named(server: Server) -> None:
    with pytest.raises(NotFound, match="no dependency is called 'reddis'; there are index, redis"):
        await the_dependency(server, "reddis")


async def test_an_endpoint_tells_its_stages_and_what_they_keep_back(server: Server) -> None:
    endpoint = server.toolbox.endpoint(METHOD, CASCADE)
    endpoint.degraded["features", "stale", "TIMED_OUT"] += 3
    stage = endpoint.budgets.stages["features"]
    now = server.clock.now
    endpoint.budgets.allot(stage, 0, now, now + 1.0)

    (it,) = (
        await server.admin.list_endpoints(pb.ListEndpointsRequest(method=METHOD), a_call())
    ).endpoints

    assert (it.method, it.load, it.guard_ms) == (METHOD, 0, 2)
    features, extras = it.stages
    assert (features.name, features.optional, features.beside_previous) == (
        "features",
        False,
        False,
    )
    assert features.reserve_ms == pytest.approx(1)
    fresh, stale = features.ladder
    assert (fresh.name, fresh.cap_ms, fresh.HasField("up_to_load")) == ("fresh", 20, False)
    assert fresh.last_budget_ms == pytest.approx(20)
    assert fresh.kept_back_ms == pytest.approx(1)
    assert (stale.HasField("cap_ms"), stale.HasField("last_budget_ms")) == (False, False)
    assert (extras.optional, extras.beside_previous) == (True, True)
    assert extras.ladder[0].up_to_load == 0.9
    (degraded,) = it.degraded
    assert (degraded.stage, degraded.source, degraded.reason, degraded.count) == (
        "features", "stale", "TIMED_OUT", 3,
    )  # fmt: skip


async def test_an_unknown_endpoint_is_not_found(server: Server) -> None:
    with pytest.raises(NotFound, match="no endpoint is called '/x'; there are none"):
        await server.admin.list_endpoints(pb.ListEndpointsRequest(method="/x"), a_call())


async def test_every_version_tells_of_its_instances(server: Server) -> None:
    server.models.versions[0].statistics.rebuilds = 1

    found = await server.admin.list_instances(pb.ListInstancesRequest(), a_call())

    one, two = found.versions
    assert (one.model, one.version, two.version) == ("ranker", "1", "2")
    assert (one.state, one.rebuilds) == ("READY", 1)
    first, second = one.instances
    assert (first.index, first.in_service, first.why) == (0, True, "")
    assert (second.index, second.in_service, second.why) == (1, False, "it hung")
    assert second.ejections == 2
    assert one.capacity_rows_per_s == 1234
    assert one.breaker.state == pb.Breaker.CLOSED


async def test_the_instances_of_an_unknown_model_are_not_found(server: Server) -> None:
    with pytest.raises(NotFound):
        await server.admin.list_instances(pb.ListInstancesRequest(model="x"), a_call())


async def test_a_breaker_held_open_lets_no_call_pass_until_it_is_let_go(server: Server) -> None:
    held = await set_breaker(server, "redis", FORCED_OPEN)
    with pytest.raises(CircuitOpen):
        await server.read()
    released = await set_breaker(server, "redis", AUTOMATIC)
    await server.read()

    assert held.state == pb.Breaker.FORCED_OPEN
    assert held.retry_after_s == 0, "nobody knows"
    assert released.state == pb.Breaker.CLOSED


async def test_the_breaker_of_a_model_version_is_driven_by_its_name(server: Server) -> None:
    held = await set_breaker(server, "model/ranker/2", FORCED_CLOSED)

    assert held.state == pb.Breaker.FORCED_CLOSED
    one, two = server.models.versions
    assert (one.breaker.state, two.breaker.state) == ("closed", "forced_closed")


async def test_an_unknown_breaker_is_not_found_and_the_known_are_named(server: Server) -> None:
    known = "index, model/ranker/1, model/ranker/2, redis"
    with pytest.raises(NotFound, match=f"no breaker is called 'x'; there are {known}"):
        await set_breaker(server, "x", FORCED_OPEN)


async def test_a_breaker_wants_to_be_told_what_to_do(server: Server) -> None:
    error = await refused(set_breaker(server, "redis", pb.SetBreakerRequest.MODE_UNSPECIFIED))

    assert [each.field for each in error.violations] == ["mode"]


async def test_who_held_a_breaker_open_is_in_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        await set_breaker(server, "redis", FORCED_OPEN)

    (record,) = caplog.records
    assert record.getMessage() == (
        "the breaker of redis is now FORCED_OPEN, said ipv4:127.0.0.1:5000"
    )


async def test_a_limit_is_fixed_and_adapts_again(server: Server) -> None:
    async def set_limit(limit: int) -> pb.ConcurrencyLimit:
        request = pb.SetConcurrencyLimitRequest(name="redis", limit=limit)
        return (await server.admin.set_concurrency_limit(request, a_call())).limit

    fixed = await set_limit(7)
    listed = await server.admin.list_limits(pb.ListLimitsRequest(), a_call())
    adaptive = await set_limit(0)

    assert (fixed.name, fixed.limit, fixed.fixed) == ("redis", 7, True)
    assert [each.name for each in listed.concurrency_limits] == ["index", "redis"]
    assert listed.concurrency_limits[1] == fixed
    assert not adaptive.fixed


async def test_rate_limits_and_bulkheads_tell_whom_they_turned_away(server: Server) -> None:
    (rule,), (bulkhead,) = server.limits.rate_limits, server.limits.bulkheads.values()
    rule.allowed, rule.refused = 5, 2
    bulkhead.enter()
    bulkhead.refused["SHEDDABLE"] += 3

    listed = await server.admin.list_limits(pb.ListLimitsRequest(), a_call())

    (rate,) = listed.rate_limits
    assert (list(rate.methods), rate.per_s, rate.burst) == (["/shop.Ranking/*"], 10, 2)
    assert (rate.allowed, rate.refused, rate.together, rate.shared) == (5, 2, False, False)
    (held,) = listed.bulkheads
    assert (held.service, held.max_calls, held.in_flight) == ("shop.Ranking", 5, 1)
    assert dict(held.refused) == {"SHEDDABLE": 3}


@pytest.mark.parametrize("limit", [-1, 1_000_001])
async def test_a_limit_that_makes_no_sense_is_refused(server: Server, limit: int) -> None:
    request = pb.SetConcurrencyLimitRequest(name="redis", limit=limit)

    error = await refused(server.admin.set_concurrency_limit(request, a_call()))

    assert [each.field for each in error.violations] == ["limit"]


async def test_a_fault_strikes_is_listed_and_is_cleared(server: Server) -> None:
    number = await inject(server, point="redis", for_s=60, error=pb.Fault.Error())
    with pytest.raises(FaultInjected):
        await server.read()
    server.clock.now += 20
    listed = await server.admin.list_faults(pb.ListFaultsRequest(), a_call())
    await server.admin.clear_faults(pb.ClearFaultsRequest(id=number), a_call())
    await server.read()

    (it,) = listed.faults
    assert (it.id, it.struck, it.on) == (number, 1, True)
    assert it.remaining_s == pytest.approx(40)
    assert it.fault == pb.Fault(point="redis", for_s=60, error=pb.Fault.Error())
    assert listed.points == ["index", "redis"]
    assert not (await server.admin.list_faults(pb.ListFaultsRequest(), a_call())).faults


async def test_all_faults_are_cleared_at_once(server: Server) -> None:
    await inject(server, point="redis", drop=pb.Fault.Drop())
    await inject(server, point="index", latency=pb.Fault.Latency(ms=5), share=0.5)

    await server.admin.clear_faults(pb.ClearFaultsRequest(), a_call())

    assert not (await server.admin.list_faults(pb.ListFaultsRequest(), a_call())).faults


async def test_what_was_said_of_a_fault_is_what_is_listed(server: Server) -> None:
    server.faults.point("proxy.redis", kinds=get_args(faults.Toxic))
    fault = pb.Fault(
        point="proxy.*", flap_s=2, direction=pb.Fault.UPSTREAM, bandwidth={"rate_kb_s": 3}
    )

    await server.admin.inject_fault(pb.InjectFaultRequest(fault=fault), a_call())

    listed = await server.admin.list_faults(pb.ListFaultsRequest(), a_call())
    assert listed.faults[0].fault == fault
    assert not listed.faults[0].HasField("remaining_s")
    server.faults.clear()


@pytest.mark.parametrize(
    ("fault", "fields"),
    [
        pytest.param({}, ["fault"], id="no kind"),
        pytest.param({"latency": {}}, ["fault.latency.ms"], id="what is required is absent"),
        pytest.param({"latency": {"ms": -1}}, ["fault.latency.ms"], id="out of range"),
        pytest.param({"error": {"reason": "X"}}, ["fault.error.reason"], id="unknown reason"),
        pytest.param({"drop": {}, "share": 2}, ["fault.share"], id="more than all"),
        pytest.param({"drop": {}, "direction": 1}, ["fault.direction"], id="not of this kind"),
        pytest.param(
            {"timeout": {}, "direction": 9, "for_s": 0},
            ["fault.for_s", "fault.direction", "fault.timeout.timeout_ms"],
            id="all",
        ),
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused_with_its_fields(
    server: Server, fault: dict[str, Any], fields: list[str]
) -> None:
    error = await refused(inject(server, point="redis", **fault))

    assert sorted(each.field for each in error.violations) == sorted(fields)


async def test_a_fault_nowhere_is_not_found(server: Server) -> None:
    with pytest.raises(NotFound, match="index, redis"):
        await inject(server, point="reddis", drop=pb.Fault.Drop())


async def test_faults_must_have_been_enabled() -> None:
    with pytest.raises(Unavailable, match=r"faults\.enabled"):
        await inject(Server(faults_enabled=False), point="redis", drop=pb.Fault.Drop())


@pytest.mark.parametrize("kind", get_args(faults.Fault), ids=lambda kind: kind.__name__)
def test_a_fault_is_the_same_in_the_configuration_and_on_the_wire(kind: Any) -> None:
    name = kind.model_fields["kind"].default
    of_any = {"share", "for_s", "flap_s", "direction"}

    message = pb.Fault.DESCRIPTOR.fields_by_name[name].message_type

    assert message is not None
    assert set(message.fields_by_name) == set(kind.model_fields) - {"kind", *of_any}


def test_every_kind_of_fault_is_on_the_wire() -> None:
    kinds = {kind.model_fields["kind"].default for kind in get_args(faults.Fault)}

    fields = pb.Fault.DESCRIPTOR.oneofs_by_name["kind"].fields

    assert {field.name for field in fields} == kinds
