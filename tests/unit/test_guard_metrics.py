"""The exposition of real guards, line by line: what alert rules and dashboards look for."""

from collections.abc import Sequence

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from inferd.config import faults
from inferd.config.resilience import (
    Breaker,
    Bulkhead,
    Cascade,
    RateLimit,
    Resilience,
    Rung,
    Stage,
)
from inferd.resilience.breaker import Breaker as RealBreaker
from inferd.resilience.breaker import State
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.services.limits import Limits
from inferd.telemetry.guards import BREAKER_STATES, GuardMetrics
from inferd.telemetry.metrics import Metrics
from inferd.telemetry.statistics import Histogram, LoadStatistics

METHOD = "/shop.Ranking/Rank"


def a_toolbox() -> tuple[Toolbox, FaultPoints]:
    points = FaultPoints(faults.Faults(enabled=True), lambda: 0.0)
    toolbox = Toolbox(Resilience(), points, histogram=lambda: Histogram((0.01,)), clock=lambda: 0.0)
    return toolbox, points


def metrics_of(toolbox: Toolbox, points: FaultPoints, limits: Limits | None = None) -> Metrics:
    ranker = RealBreaker(Breaker(), random=lambda: 0.5)
    ranker.force(State.FORCED_OPEN, 0.0)
    metrics = Metrics(list, loads=LoadStatistics(), process=False)
    metrics.registry.register(
        GuardMetrics(
            toolbox,
            limits or Limits(Resilience(), clock=lambda: 0.0),
            breakers=lambda: {"model/ranker/2": ranker},
            faults=points.listing,
        )
    )
    return metrics


def a_busy_server() -> Metrics:
    toolbox, points = a_toolbox()
    redis = toolbox.dependency("redis")
    redis.learn(0.005)
    redis.learn(0.5)
    redis.unanswered["timed_out"] += 1
    redis.retries, redis.hedges, redis.hedges_won = 4, 3, 1
    redis.limit.fix(7)
    redis.limit.acquire()
    toolbox.dependency("index").limit.fix(float("inf"))
    ladder = (Rung(name="fresh", cap_ms=20), Rung(name="stale"))
    features = Stage(name="features", ladder=ladder)
    endpoint = toolbox.endpoint(METHOD, Cascade(stages=(features,)), capacity=lambda: 100.0)
    endpoint.degraded["features", "stale", "TIMED_OUT"] += 3
    budget = endpoint.budgets.stages["features"]
    endpoint.budgets.allot(budget, 0, 0.0, 1.0)
    budget.rungs[1].left_out = 2
    return metrics_of(toolbox, points, busy_limits())


def busy_limits() -> Limits:
    limits = Limits(
        Resilience(
            rate_limits=(RateLimit(per_s=10), RateLimit(per_s=1)),
            bulkheads={"shop.Ranking": Bulkhead(max_calls=5)},
        ),
        clock=lambda: 0.0,
    )
    limits.rate_limits[1].refused = 2
    bulkhead = limits.bulkheads["shop.Ranking"]
    bulkhead.enter()
    bulkhead.refused["SHEDDABLE"] += 3
    return limits


@pytest.fixture(scope="module")
def lines() -> Sequence[str]:
    text, _ = a_busy_server().exposition()
    return text.decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "# TYPE inferd_dependency_calls_total counter",
        'inferd_dependency_calls_total{dependency="redis",outcome="ok"} 2',
        'inferd_dependency_calls_total{dependency="redis",outcome="timed_out"} 1',
        'inferd_dependency_calls_total{dependency="index",outcome="ok"} 0',
        "# TYPE inferd_dependency_duration_seconds histogram",
        'inferd_dependency_duration_seconds_bucket{dependency="redis",le="0.01"} 1',
        'inferd_dependency_duration_seconds_count{dependency="redis"} 2',
        'inferd_dependency_in_flight{dependency="redis"} 1',
        'inferd_dependency_limit{dependency="redis"} 7',
        'inferd_dependency_limit{dependency="index"} +Inf',
        'inferd_retries_total{dependency="redis"} 4',
        'inferd_hedges_total{dependency="redis",won="true"} 1',
        'inferd_hedges_total{dependency="redis",won="false"} 2',
        'inferd_breaker_state{breaker="redis",state="closed"} 1',
        'inferd_breaker_state{breaker="redis",state="open"} 0',
        'inferd_breaker_state{breaker="model/ranker/2",state="forced_open"} 1',
        'inferd_breaker_transitions_total{breaker="model/ranker/2",state="forced_open"} 1',
        'inferd_rate_limited_total{limit="0"} 0',
        'inferd_rate_limited_total{limit="1"} 2',
        'inferd_bulkhead_in_flight{service="shop.Ranking"} 1',
        'inferd_bulkhead_max_calls{service="shop.Ranking"} 5',
        'inferd_bulkhead_refused_total{criticality="SHEDDABLE",service="shop.Ranking"} 3',
        'inferd_endpoint_load{method="shop.Ranking/Rank"} 0',
        'inferd_degraded_total{method="shop.Ranking/Rank",reason="TIMED_OUT",source="stale"'
        ',stage="features"} 3',
        'inferd_endpoint_stage_seconds{method="shop.Ranking/Rank",quantile="0.95"'
        ',stage="features"} 0.001',
        'inferd_stage_reserve_seconds{method="shop.Ranking/Rank",stage="features"} 0.001',
        'inferd_stage_budget_seconds{method="shop.Ranking/Rank",rung="fresh",stage="features"}'
        " 0.02",
        'inferd_stage_budget_seconds{method="shop.Ranking/Rank",rung="stale",stage="features"} 0',
        'inferd_stage_left_out_total{method="shop.Ranking/Rank",rung="stale",stage="features"} 2',
    ],
)
def test_it_is_in_the_exposition(lines: Sequence[str], line: str) -> None:
    assert line in lines


async def test_what_is_broken_on_purpose_is_told_until_it_is_repaired() -> None:
    toolbox, points = a_toolbox()
    toolbox.dependency("redis")
    metrics = metrics_of(toolbox, points)
    points.inject("redis", faults.Drop())
    points.inject("redis", faults.Drop())

    broken = metrics.exposition()[0].decode()
    points.clear()
    repaired = metrics.exposition()[0].decode()

    assert 'inferd_faults{kind="drop",point="redis"} 2\n' in broken
    assert "inferd_faults{" not in repaired


def test_openmetrics_can_be_read_back() -> None:
    text, _ = a_busy_server().exposition("application/openmetrics-text; version=1.0.0")

    families = openmetrics(text.decode())  # type: ignore[no-untyped-call]
    assert {"inferd_dependency_calls", "inferd_breaker_state"} <= {each.name for each in families}


def test_the_states_are_those_that_breakers_have() -> None:
    assert set(BREAKER_STATES) == set(State)


def test_a_family_is_named_before_there_is_anything_to_tell() -> None:
    toolbox, points = a_toolbox()

    text = metrics_of(toolbox, points).exposition()[0].decode()

    assert "# TYPE inferd_dependency_calls_total counter\n" in text
    assert "inferd_dependency_calls_total{" not in text
