"""`AdminService`: looks at the guards of a running server, and takes a hand in them.

Whoever is asked knows the answer: nothing is counted or kept here. What somebody changes is
written to the log, because the next one to look will wonder.
"""

import logging
from collections.abc import Mapping
from typing import TypeVar

from inferd.call import Call
from inferd.deadline import Clock
from inferd.errors import InvalidRequest, NotFound
from inferd.experiments.keeping import Keeper
from inferd.inference.models import Models
from inferd.inference.rollouts import Rollouts
from inferd.resilience.breaker import Breaker, State
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.services.admin import faults as fault_messages
from inferd.services.admin import guards as messages
from inferd.services.admin.experiments import ExperimentCalls
from inferd.services.admin.rollouts import RolloutCalls
from inferd.services.limits import Limits
from inferd.v1 import admin_pb2 as pb

log = logging.getLogger(__name__)

T = TypeVar("T")

SERVICE = pb.DESCRIPTOR.services_by_name["AdminService"]

MAX_LIMIT = 1_000_000
"""The highest limit that can be set by hand."""

_MODES: Mapping[int, State | None] = {
    pb.SetBreakerRequest.AUTOMATIC: None,
    pb.SetBreakerRequest.FORCED_OPEN: State.FORCED_OPEN,
    pb.SetBreakerRequest.FORCED_CLOSED: State.FORCED_CLOSED,
}


class Admin:
    """Answers `inferd.v1.AdminService`."""

    def __init__(
        self,
        toolbox: Toolbox,
        models: Models,
        faults: FaultPoints,
        limits: Limits,
        *,
        clock: Clock,
        experiments: Keeper | None = None,
        rollouts: Rollouts | None = None,
    ) -> None:
        """`experiments`, `rollouts`: None: there are none."""
        self._toolbox = toolbox
        self._models = models
        self._faults = faults
        self._limits = limits
        self._clock = clock
        self._experiments = ExperimentCalls(experiments)
        self._rollouts = RolloutCalls(rollouts)

    async def list_dependencies(
        self, request: pb.ListDependenciesRequest, _: Call
    ) -> pb.ListDependenciesResponse:
        """Return how the calls to one dependency, or to all, fare."""
        now = self._clock()
        found = _one_or_all("dependency", self._toolbox.dependencies, request.name)
        return pb.ListDependenciesResponse(
            dependencies=[messages.dependency(each, now) for each in found]
        )

    async def list_endpoints(
        self, request: pb.ListEndpointsRequest, _: Call
    ) -> pb.ListEndpointsResponse:
        """Return how one endpoint, or all, split their deadlines."""
        found = _one_or_all("endpoint", self._toolbox.endpoints, request.method)
        return pb.ListEndpointsResponse(endpoints=[messages.endpoint(each) for each in found])

    async def list_instances(
        self, request: pb.ListInstancesRequest, _: Call
    ) -> pb.ListInstancesResponse:
        """Return the versions of one model, or of all."""
        now = self._clock()
        found = self._models.statistics(request.model)
        versions = sorted(found, key=lambda each: (each.name, each.number))
        return pb.ListInstancesResponse(
            versions=[messages.model_version(each, now) for each in versions]
        )

    async def list_limits(self, _request: pb.ListLimitsRequest, _: Call) -> pb.ListLimitsResponse:
        """Return who may ask how much."""
        dependencies = _one_or_all("dependency", self._toolbox.dependencies, "")
        return pb.ListLimitsResponse(
            rate_limits=map(messages.rate_limit, self._limits.rate_limits),
            bulkheads=map(messages.bulkhead, self._limits.bulkheads.values()),
            concurrency_limits=[messages.limit(each.name, each.limit) for each in dependencies],
        )

    async def set_breaker(self, request: pb.SetBreakerRequest, call: Call) -> pb.SetBreakerResponse:
        """Hold a breaker open or closed, or let it go."""
        if request.mode not in _MODES:
            raise InvalidRequest(
                "mode must be AUTOMATIC, FORCED_OPEN or FORCED_CLOSED", field="mode"
            )
        breaker = _named("breaker", self._breakers(), request.name)
        now = self._clock()
        breaker.force(_MODES[request.mode], now)
        mode = pb.SetBreakerRequest.Mode.Name(request.mode)
        log.warning("the breaker of %s is now %s, said %s", request.name, mode, call.peer)
        return pb.SetBreakerResponse(breaker=messages.breaker(breaker, now))

    async def set_concurrency_limit(
        self, request: pb.SetConcurrencyLimitRequest, call: Call
    ) -> pb.SetConcurrencyLimitResponse:
        """Fix how many calls to a dependency may be under way, or let it adapt."""
        if not 0 <= request.limit <= MAX_LIMIT:
            raise InvalidRequest(f"limit must be from 0 to {MAX_LIMIT}", field="limit")
        limit = _named("dependency", self._toolbox.dependencies, request.name).limit
        limit.fix(request.limit or None)
        what = request.limit or "as configured"
        log.warning("the limit of %s is now %s, said %s", request.name, what, call.peer)
        return pb.SetConcurrencyLimitResponse(limit=messages.limit(request.name, limit))

    async def inject_fault(self, request: pb.InjectFaultRequest, _: Call) -> pb.InjectFaultResponse:
        """Break something on purpose."""
        fault = fault_messages.understood(request.fault)
        return pb.InjectFaultResponse(id=self._faults.inject(request.fault.point, fault))

    async def clear_faults(self, request: pb.ClearFaultsRequest, _: Call) -> pb.ClearFaultsResponse:
        """Repair one thing that was broken on purpose, or all."""
        self._faults.clear(request.id or None)
        return pb.ClearFaultsResponse()

    async def list_faults(self, _request: pb.ListFaultsRequest, _: Call) -> pb.ListFaultsResponse:
        """Return what is broken on purpose, and what can be."""
        return pb.ListFaultsResponse(
            faults=[fault_messages.active(each) for each in self._faults.listing()],
            points=self._faults.names(),
        )

    async def list_experiments(
        self, request: pb.ListExperimentsRequest, _: Call
    ) -> pb.ListExperimentsResponse:
        """Return the experiments in force, and who is in them."""
        return self._experiments.listed(request)

    async def reload_experiments(
        self, request: pb.ReloadExperimentsRequest, _: Call
    ) -> pb.ReloadExperimentsResponse:
        """Read the file of experiments again."""
        return await self._experiments.reload(request)

    async def stop_experiment(
        self, request: pb.StopExperimentRequest, call: Call
    ) -> pb.StopExperimentResponse:
        """Stop an experiment, or an arm of it."""
        return await self._experiments.stop(request, call)

    async def list_rollouts(
        self, _request: pb.ListRolloutsRequest, _: Call
    ) -> pb.ListRolloutsResponse:
        """Return the models of which a new version is rolled out."""
        return self._rollouts.listed()

    async def decide_rollout(
        self, request: pb.DecideRolloutRequest, call: Call
    ) -> pb.DecideRolloutResponse:
        """Roll a new version back, go on with it, or give it all calls."""
        return await self._rollouts.decide(request, call)

    def _breakers(self) -> dict[str, Breaker]:
        of_dependencies = {name: it.breaker for name, it in self._toolbox.dependencies.items()}
        return of_dependencies | breakers_of(self._models)


def breakers_of(models: Models) -> dict[str, Breaker]:
    """Return the breakers of all model versions, by the names they go by."""
    return {f"model/{each.name}/{each.version}": each.breaker for each in models.statistics()}


def _one_or_all(kind: str, known: Mapping[str, T], name: str) -> list[T]:
    return [_named(kind, known, name)] if name else [known[each] for each in sorted(known)]


def _named(kind: str, known: Mapping[str, T], name: str) -> T:
    found = known.get(name)
    if found is None:
        there_are = ", ".join(sorted(known)) or "none"
        raise NotFound(f"no {kind} is called {name!r}; there are {there_are}")
    return found
