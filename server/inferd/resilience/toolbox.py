"""Where services get their guards and endpoints from, so that all of them can be seen and driven.

A dependency is one thing: whoever asks for it by the same name gets the same breaker and the same
limit. The configuration names dependencies and endpoints; what it does not name is as its service
declares it.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from inferd.config.resilience import Cascade, Resilience
from inferd.config.resilience import Dependency as Settings
from inferd.config.section import Section
from inferd.deadline import Clock
from inferd.resilience.alarms import Alarms
from inferd.resilience.dependency import Dependency, Observes
from inferd.resilience.endpoint import Endpoint
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.load import Capacity

Some = TypeVar("Some", bound=Section)


class Toolbox:
    """Makes guards and endpoints by the configuration, and knows all of them."""

    def __init__(
        self,
        config: Resilience,
        faults: FaultPoints,
        *,
        histogram: Callable[[], Observes],
        busy: Callable[[], float] = lambda: 0.0,
        clock: Clock = time.monotonic,
    ) -> None:
        """Count durations in what `histogram` makes; ask `busy` for the event loop's load."""
        self._config = config
        self._faults = faults
        self._histogram = histogram
        self._busy = busy
        self._clock = clock
        self._alarms = Alarms(clock)
        self.dependencies: dict[str, Dependency] = {}
        self.endpoints: dict[str, Endpoint] = {}

    def dependency(self, name: str, default: Settings | None = None) -> Dependency:
        """Return the guard of a dependency; `default` is how its service would have it."""
        if name not in self.dependencies:
            self.dependencies[name] = Dependency(
                name,
                _over(default or Settings(), self._config.dependencies.get(name)),
                alarms=self._alarms,
                fault=self._faults.point(name),
                durations=self._histogram(),
                clock=self._clock,
            )
        return self.dependencies[name]

    def endpoint(
        self, method: str, default: Cascade, *, capacity: Capacity | None = None
    ) -> Endpoint:
        """Return an endpoint by its full path; `default` is its service's own cascade.

        `capacity` returns the calls per second that can be answered in full.
        """
        if method in self.endpoints:
            raise ValueError(f"{method} has its endpoint already")
        cascade = self._config.cascades.get(method, default)
        self.endpoints[method] = Endpoint(
            method, cascade, clock=self._clock, busy=self._busy, capacity=capacity
        )
        return self.endpoints[method]

    def unknown(self) -> list[str]:
        """Return the keys of the configuration that name nothing there is."""
        return [
            *(
                f"resilience.dependencies.{name}"
                for name in self._config.dependencies
                if name not in self.dependencies
            ),
            *(
                f"resilience.cascades.{method}"
                for method in self._config.cascades
                if method not in self.endpoints
            ),
            *(
                f"resilience.cascades.{method}.stages.{stage}"
                for method, endpoint in self.endpoints.items()
                for stage in endpoint.unclaimed
            ),
        ]


def _over(default: Some, said: Some | None) -> Some:
    """Return `default`, but for what is said: who says one thing leaves the others as they are."""
    if said is None:
        return default
    given = {key: getattr(said, key) for key in said.model_fields_set}
    return default.model_copy(
        update={
            key: _over(getattr(default, key), value) if isinstance(value, Section) else value
            for key, value in given.items()
        }
    )
