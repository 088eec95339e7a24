"""What `AdminService` looks after, without a server around it: real guards, fake models."""

from typing import Any

from inferd.call import Call
from inferd.config import faults
from inferd.config.resilience import Breaker, Bulkhead, Dependency, Limit, RateLimit, Resilience
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed, NotFound
from inferd.inference.instances import InstanceState
from inferd.resilience.breaker import Breaker as RealBreaker
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.services.admin.service import Admin
from inferd.services.limits import Limits
from inferd.telemetry.statistics import Histogram
from support.fake_models import FakeInstances, FakeVersion


def a_call() -> Call:
    """Return somebody's call to the service."""
    return Call("/inferd.v1.AdminService/X", arrived=0.0, peer="ipv4:127.0.0.1:5000")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Instances(FakeInstances):
    """Two, of which one was taken out."""

    def listing(self) -> list[InstanceState]:
        """Return what there is to say of each."""
        return [
            InstanceState(index=0, in_service=True, why="", ejections=0),
            InstanceState(index=1, in_service=False, why="it hung", ejections=2),
        ]


class Version(FakeVersion):
    """A version with a breaker."""

    def __init__(self, name: str, version: str) -> None:
        super().__init__(name, version)
        self.breaker = RealBreaker(Breaker(), random=lambda: 0.5)
        self.instances = Instances()
        self.capacity_rows_s = 1234.0


class Models:
    def __init__(self) -> None:
        self.versions = [Version("ranker", "1"), Version("ranker", "2")]

    def statistics(self, name: str = "") -> list[Version]:
        if name not in ("", "ranker"):
            raise NotFound(f"no model {name}")
        return self.versions


class Server:
    """What there is to administer, and who does it.

    Two dependencies: `redis`, whose breaker needs two calls to judge, and `index`, without a limit.
    A rate limit and a bulkhead, for `shop.Ranking`.
    """

    def __init__(self, *, faults_enabled: bool = True) -> None:
        self.clock = Clock()
        self.faults = FaultPoints(faults.Faults(enabled=faults_enabled), self.clock)
        self.toolbox = Toolbox(
            Resilience(), self.faults, histogram=lambda: Histogram((0.1,)), clock=self.clock
        )
        breaker = Breaker(minimum_calls=2, open_s=5, open_jitter=0)
        self._guarded = self.toolbox.dependency("redis", Dependency(breaker=breaker)).guards(
            self._read
        )
        self.toolbox.dependency("index", Dependency(limit=Limit(mode="off")))
        self.limits = Limits(
            Resilience(
                rate_limits=(RateLimit(per_s=10, burst=2, methods=("/shop.Ranking/*",)),),
                bulkheads={"shop.Ranking": Bulkhead(max_calls=5)},
            ),
            clock=self.clock,
        )
        self.models = Models()
        models: Any = self.models
        self.admin = Admin(self.toolbox, models, self.faults, self.limits, clock=self.clock)
        self._fails = False

    async def read(self, *, fails: bool = False) -> None:
        """Ask `redis` for something."""
        self._fails = fails
        try:
            await self._guarded(a_call(), Deadline(self.clock.now + 1.0))
        except DependencyFailed:
            assert fails

    async def _read(self, _call: Call, _deadline: Deadline) -> str:
        self.clock.now += 0.004
        if self._fails:
            raise DependencyFailed("redis is down")
        return "profile"
