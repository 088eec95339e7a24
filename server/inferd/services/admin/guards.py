"""Guards as messages: what they know of themselves, in an operator's units."""

import math

from inferd.config import resilience as config
from inferd.inference.instances import InstanceState
from inferd.inference.version import ModelVersion
from inferd.resilience.breaker import Breaker, State
from inferd.resilience.budget import RungBudget, StageBudget
from inferd.resilience.bulkhead import Bulkhead
from inferd.resilience.concurrency import ConcurrencyLimit
from inferd.resilience.dependency import Dependency
from inferd.resilience.endpoint import Endpoint
from inferd.resilience.quantile import LiveQuantile
from inferd.resilience.rate_rules import Rule
from inferd.v1 import admin_pb2 as pb


def dependency(it: Dependency, now: float) -> pb.Dependency:
    """Return a dependency, with all that guards it."""
    return pb.Dependency(
        name=it.name,
        breaker=breaker(it.breaker, now),
        limit=limit(it.name, it.limit),
        latency=latency(it.taken),
        outcomes={"ok": it.answered, **it.unanswered},
        retries=it.retries,
        hedges=it.hedges,
        hedges_won=it.hedges_won,
        spare_attempts=it.spare.tokens,
        hedge_after_ms=_finite(it.hedge_after_s * 1e3),
    )


def breaker(it: Breaker, now: float) -> pb.Breaker:
    """Return a breaker and its history."""
    calls, failures, slow = it.counts(now)
    return pb.Breaker(
        state=it.state.name,
        calls=calls,
        failures=failures,
        slow=slow,
        failure_rate=failures / calls if calls else 0.0,
        slow_rate=slow / calls if calls else 0.0,
        retry_after_s=it.retry_after(now) if it.state is State.OPEN else 0.0,
        opened=it.opened,
        transitions=[
            pb.BreakerTransition(
                ago_s=round(now - each.at, 3),
                before=each.before.name,
                after=each.after.name,
                why=each.why,
            )
            for each in it.transitions
        ],
    )


def limit(name: str, it: ConcurrencyLimit) -> pb.ConcurrencyLimit:
    """Return the limit of a dependency."""
    return pb.ConcurrencyLimit(
        name=name,
        limit=_finite(it.limit),
        in_flight=it.in_flight,
        fixed=it.fixed,
        refused=it.refused,
    )


def rate_limit(it: Rule) -> pb.RateLimit:
    """Return a rate limit, and what it has done."""
    return pb.RateLimit(
        methods=it.config.methods,
        identities=it.config.identities,
        per_s=it.config.per_s,
        burst=it.config.burst,
        together=it.config.together,
        shared=it.config.shared,
        allowed=it.allowed,
        refused=it.refused,
    )


def bulkhead(it: Bulkhead) -> pb.Bulkhead:
    """Return the bulkhead of a service."""
    return pb.Bulkhead(
        service=it.service, max_calls=it.max_calls, in_flight=it.in_flight, refused=it.refused
    )


def latency(it: LiveQuantile) -> pb.LatencyQuantiles:
    """Return what something takes, of late."""
    return pb.LatencyQuantiles(
        p50_ms=_ms(it.at(0.5)), p95_ms=_ms(it.at(0.95)), p99_ms=_ms(it.at(0.99)),
        observed=it.count,
    )  # fmt: skip


def endpoint(it: Endpoint) -> pb.Endpoint:
    """Return an endpoint and its stages."""
    return pb.Endpoint(
        method=it.method,
        load=it.load(),
        guard_ms=it.cascade.guard_ms,
        stages=[_stage(it.budgets.stages[each.name], each) for each in it.cascade.stages],
        degraded=[
            pb.DegradedCount(stage=stage, source=source, reason=reason, count=count)
            for (stage, source, reason), count in sorted(it.degraded.items())
        ],
    )


def model_version(it: ModelVersion, now: float) -> pb.ModelVersion:
    """Return a model version, its instances and its breaker."""
    return pb.ModelVersion(
        model=it.name,
        version=it.version,
        state=it.statistics.state,
        instances=map(_instance, it.instances.listing()),
        rebuilds=it.statistics.rebuilds,
        capacity_rows_per_s=it.capacity_rows_s,
        breaker=breaker(it.breaker, now),
    )


def _instance(it: InstanceState) -> pb.Instance:
    return pb.Instance(index=it.index, in_service=it.in_service, why=it.why, ejections=it.ejections)


def _stage(budget: StageBudget, declared: config.Stage) -> pb.Stage:
    return pb.Stage(
        name=declared.name,
        optional=declared.optional,
        beside_previous=declared.beside_previous,
        reserve_ms=_ms(budget.reserve_s),
        latency=latency(budget.taken),
        ladder=map(_rung, budget.rungs, declared.ladder),
    )


def _rung(budget: RungBudget, declared: config.Rung) -> pb.Rung:
    return pb.Rung(
        name=declared.name,
        cap_ms=_finite(declared.cap_ms),
        up_to_load=_finite(declared.up_to_load),
        kept_back_ms=_ms(budget.kept_back_s),
        needs_ms=_ms(budget.needs_s),
        last_budget_ms=_ms(budget.last_s) if budget.last_s > 0 else None,
        left_out=budget.left_out,
        latency=latency(budget.taken),
    )


def _ms(seconds: float) -> float:
    """Return milliseconds, to the microsecond: more digits say nothing and are hard to read."""
    return round(seconds * 1e3, 3)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
