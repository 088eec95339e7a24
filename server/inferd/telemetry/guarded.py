"""What guards look like to those who read them for metrics: neither imports the other."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Breaker(Protocol):
    """A circuit breaker."""

    @property
    def state(self) -> str:
        """What it does with calls, e.g. `half_open`."""

    @property
    def entered(self) -> Mapping[Any, int]:
        """How often it came to each state."""


class Limit(Protocol):
    """How many calls may be under way."""

    @property
    def limit(self) -> float:
        """So many."""

    @property
    def in_flight(self) -> int:
        """So many are."""


class Dependency(Protocol):
    """A guarded dependency."""

    @property
    def breaker(self) -> Breaker:
        """What leaves it alone when it fails."""

    @property
    def limit(self) -> Limit:
        """What keeps it from having too much to do."""

    @property
    def answered(self) -> int:
        """Attempts that were answered."""

    @property
    def unanswered(self) -> Mapping[str, int]:
        """The others, by the reason."""

    @property
    def durations(self) -> object:
        """What the answered took: counted if it is a `Histogram`."""

    @property
    def retries(self) -> int:
        """Attempts after one that failed."""

    @property
    def hedges(self) -> int:
        """Attempts beside one that took long."""

    @property
    def hedges_won(self) -> int:
        """Of them, those that answered first."""


class Quantiles(Protocol):
    """What something takes, of late."""

    def at(self, q: float) -> float:
        """Return the seconds within which a share `q` is done."""


class Rung(Protocol):
    """One way to take a stage."""

    @property
    def name(self) -> str:
        """What it is called in its stage."""

    @property
    def last_s(self) -> float:
        """The seconds that were allotted last; negative if it was left out."""

    @property
    def left_out(self) -> int:
        """How often it was, for want of time."""


class Stage(Protocol):
    """One step of an endpoint."""

    @property
    def taken(self) -> Quantiles:
        """What it took."""

    @property
    def reserve_s(self) -> float:
        """What the stages before keep back for it."""

    @property
    def rungs(self) -> Sequence[Rung]:
        """Its ways, from best to cheapest."""


class Budgets(Protocol):
    """How deadlines are split."""

    @property
    def stages(self) -> Mapping[str, Stage]:
        """The stages by name."""


class Endpoint(Protocol):
    """A method with stages."""

    @property
    def budgets(self) -> Budgets:
        """What its stages may take."""

    @property
    def degraded(self) -> Mapping[tuple[str, str, str], int]:
        """Answers that did with less, by stage, source and reason."""

    def load(self) -> float:
        """Return what is asked of it as a share of what it can serve in full."""


class Fault(Protocol):
    """Something that is broken on purpose."""

    @property
    def point(self) -> str:
        """Where."""

    @property
    def kind(self) -> str:
        """In which way."""


class Toolbox(Protocol):
    """All dependencies and endpoints."""

    @property
    def dependencies(self) -> Mapping[str, Dependency]:
        """The dependencies by name."""

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The endpoints by method."""


class Rule(Protocol):
    """A rate limit."""

    @property
    def refused(self) -> int:
        """Calls that it did not let pass."""


class Bulkhead(Protocol):
    """A limit to the calls of one service."""

    @property
    def max_calls(self) -> int:
        """How many may be under way."""

    @property
    def in_flight(self) -> int:
        """How many are."""

    @property
    def refused(self) -> Mapping[str, int]:
        """Calls that were not let in, by criticality."""


class Limits(Protocol):
    """All rate limits and bulkheads."""

    @property
    def rate_limits(self) -> Sequence[Rule]:
        """The rate limits, in the order of the configuration."""

    @property
    def bulkheads(self) -> Mapping[str, Bulkhead]:
        """The bulkheads by service."""
