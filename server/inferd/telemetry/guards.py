"""The Prometheus view of what guards calls: dependencies, breakers, and answers that did with less.

As with all metrics nothing is recorded here; a scrape reads what the guards know of themselves.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from inferd.telemetry.guarded import Breaker, Dependency, Endpoint, Fault, Limits, Stage, Toolbox
from inferd.telemetry.metrics import Labels, family, histograms
from inferd.telemetry.statistics import Histogram

BREAKER_STATES = ("closed", "open", "half_open", "forced_open", "forced_closed")
"""Every state a breaker can be in."""
QUANTILES = (0.5, 0.95, 0.99)
"""Of what a stage took, those that are told."""


_OF_DEPENDENCIES: Sequence[tuple[str, str, str, Callable[[Dependency], float]]] = (
    (
        "inferd_dependency_in_flight",
        "Attempts that are under way",
        "gauge",
        lambda it: it.limit.in_flight,
    ),
    (
        "inferd_dependency_limit",
        "How many may be; +Inf is any number",
        "gauge",
        lambda it: it.limit.limit,
    ),
    ("inferd_retries", "Attempts after one that failed", "counter", lambda it: it.retries),
)


class GuardMetrics(Collector):
    """All that guards calls, and what is broken on purpose."""

    def __init__(
        self,
        toolbox: Toolbox,
        limits: Limits,
        *,
        breakers: Callable[[], Mapping[str, Breaker]],
        faults: Callable[[], Iterable[Fault]],
    ) -> None:
        """`breakers` returns those that are not of dependencies, by name."""
        self._toolbox = toolbox
        self._limits = limits
        self._breakers = breakers
        self._faults = faults

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        guarded = self._toolbox.dependencies
        yield from _dependencies([({"dependency": name}, it) for name, it in guarded.items()])
        of_dependencies = {name: it.breaker for name, it in guarded.items()}
        yield from _breakers({**of_dependencies, **self._breakers()})
        endpoints = self._toolbox.endpoints.items()
        yield from _endpoints([({"method": method.lstrip("/")}, it) for method, it in endpoints])
        yield from _limits(self._limits)
        yield _faults(self._faults())


def _dependencies(dependencies: Sequence[tuple[Labels, Dependency]]) -> Iterator[Metric]:
    yield family(
        "inferd_dependency_calls",
        "Attempts to call a dependency, by how they ended: ok, or why not",
        "counter",
        [
            ({**labels, "outcome": outcome}, count)
            for labels, it in dependencies
            for outcome, count in ({"ok": it.answered} | dict(it.unanswered)).items()
        ],
    )
    yield histograms(
        "inferd_dependency_duration_seconds",
        "What answered attempts took",
        [
            (labels, it.durations)
            for labels, it in dependencies
            if isinstance(it.durations, Histogram)
        ],
    )
    for name, documentation, kind, read in _OF_DEPENDENCIES:
        yield family(name, documentation, kind, [(each, read(it)) for each, it in dependencies])
    yield family(
        "inferd_hedges",
        "Second attempts beside one that took long, by whether they answered first",
        "counter",
        [
            ({**labels, "won": won}, count)
            for labels, it in dependencies
            for won, count in (("true", it.hedges_won), ("false", it.hedges - it.hedges_won))
        ],
    )


def _breakers(breakers: Mapping[str, Breaker]) -> Iterator[Metric]:
    yield family(
        "inferd_breaker_state",
        "1 for the state a breaker is in, 0 for the others",
        "gauge",
        [
            ({"breaker": name, "state": state}, float(state == it.state))
            for name, it in breakers.items()
            for state in BREAKER_STATES
        ],
    )
    yield family(
        "inferd_breaker_transitions",
        "Changes of a breaker's state, by the state that followed",
        "counter",
        [
            ({"breaker": name, "state": str(state)}, count)
            for name, it in breakers.items()
            for state, count in it.entered.items()
        ],
    )


def _endpoints(endpoints: Sequence[tuple[Labels, Endpoint]]) -> Iterator[Metric]:
    yield family(
        "inferd_endpoint_load",
        "What is asked of an endpoint, as a share of what it can serve in full",
        "gauge",
        [(labels, it.load()) for labels, it in endpoints],
    )
    yield family(
        "inferd_degraded",
        "Stages of answers that were not got in the best way: by what served, and why",
        "counter",
        [
            ({**labels, "stage": stage, "source": source, "reason": reason}, count)
            for labels, it in endpoints
            for (stage, source, reason), count in it.degraded.items()
        ],
    )
    yield from _stages(
        [
            ({**labels, "stage": name}, stage)
            for labels, it in endpoints
            for name, stage in it.budgets.stages.items()
        ]
    )


def _stages(stages: Sequence[tuple[Labels, Stage]]) -> Iterator[Metric]:
    yield family(
        "inferd_endpoint_stage_seconds",
        "What a stage takes, of late: the time within which so many are done",
        "gauge",
        [
            ({**labels, "quantile": str(q)}, it.taken.at(q))
            for labels, it in stages
            for q in QUANTILES
        ],
    )
    yield family(
        "inferd_stage_reserve_seconds",
        "What the stages before keep back for a stage",
        "gauge",
        [(labels, it.reserve_s) for labels, it in stages],
    )
    rungs = [({**labels, "rung": rung.name}, rung) for labels, it in stages for rung in it.rungs]
    yield family(
        "inferd_stage_budget_seconds",
        "What a way to take a stage was given the last time; 0: it was left out",
        "gauge",
        [(labels, max(0.0, it.last_s)) for labels, it in rungs],
    )
    yield family(
        "inferd_stage_left_out",
        "How often a way to take a stage was left out for want of time",
        "counter",
        [(labels, it.left_out) for labels, it in rungs],
    )


def _limits(limits: Limits) -> Iterator[Metric]:
    yield family(
        "inferd_rate_limited",
        "Calls that a rate limit refused, by its place in the configuration",
        "counter",
        [({"limit": str(place)}, it.refused) for place, it in enumerate(limits.rate_limits)],
    )
    bulkheads = [({"service": service}, it) for service, it in limits.bulkheads.items()]
    yield family(
        "inferd_bulkhead_in_flight",
        "Calls of a service that are under way",
        "gauge",
        [(labels, it.in_flight) for labels, it in bulkheads],
    )
    yield family(
        "inferd_bulkhead_max_calls",
        "How many may be",
        "gauge",
        [(labels, it.max_calls) for labels, it in bulkheads],
    )
    yield family(
        "inferd_bulkhead_refused",
        "Calls of a service that found no room",
        "counter",
        [
            ({**labels, "criticality": criticality}, count)
            for labels, it in bulkheads
            for criticality, count in it.refused.items()
        ],
    )


def _faults(faults: Iterable[Fault]) -> Metric:
    at = Counter((each.point, each.kind) for each in faults)
    return family(
        "inferd_faults",
        "Things that are broken on purpose",
        "gauge",
        [({"point": point, "kind": kind}, count) for (point, kind), count in at.items()],
    )
