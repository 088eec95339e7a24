"""What a scheduling policy is told before the first call arrives, and what builds one from it."""

from collections.abc import Callable
from dataclasses import dataclass

from inferd.inference.scheduling import Discipline, LatencyModel, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One simulated model version, as a policy sees it at the start."""

    policy: Policy
    #: Fresh, and seeded from the machine's profile; every policy may learn with it.
    latency: LatencyModel
    #: The classes of the workload, ascending. A policy that needs one gets their median: its
    #: design makes one session per class, so mixed deadlines are a handicap for it.
    deadlines_s: tuple[float, ...]
    #: Rows per second, on average.
    rate_per_s: float

    @property
    def median_s(self) -> float:
        """The deadline for a policy that knows of only one."""
        return self.deadlines_s[len(self.deadlines_s) // 2]


MakePolicy = Callable[[Setting], Discipline]
