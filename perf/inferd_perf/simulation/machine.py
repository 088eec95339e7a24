"""What runs batches: how long it takes, and what disturbs it."""

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

from inferd.inference.scheduling import LatencyModel, buckets_of
from inferd_perf.simulation.streams import Purpose, stream

#: Random numbers drawn at a time.
CHUNK = 256
#: Runs of each bucket that seed a latency model.
WARM_UP_RUNS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """A time in which every run that begins takes `factor` times as long."""

    from_s: float
    to_s: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A model on its executors. Immutable; what happens on it is in `Executor`."""

    name: str
    #: Batch sizes, ascending, and the milliseconds that a run of each takes; between them, a line.
    profile_ms: tuple[tuple[int, float], ...]
    instances: int = 1
    #: The standard deviation of the logarithm of a run's time.
    noise: float = 0.03
    #: The share of runs that stall, and how many times as long they take.
    stall_share: float = 0.0
    stall_factor: float = 5.0
    slow: tuple[Slow, ...] = ()
    #: Executors on the same cores: k runs at once take 1 + `sharing` * (k - 1) times as long each.
    sharing: float = 0.0
    #: Whether a batch takes as long as the next size in the profile.
    padded: bool = False
    #: A run can be stopped after one operator: after this share of its time, about.
    operator_share: float = 0.03

    @property
    def max_batch(self) -> int:
        """The largest batch, in rows."""
        return self.profile_ms[-1][0]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes of the profile."""
        return tuple(size for size, _ in self.profile_ms)

    @property
    def rows_per_s(self) -> float:
        """The capacity: all executors at the best batch size, with nothing to disturb them."""
        best = max(size / ms for size, ms in self.profile_ms) * 1000
        return best * self.instances / self.slowdown(self.instances)

    def slowdown(self, running: int) -> float:
        """Return how many times as long a run takes when so many share the cores."""
        return 1.0 + self.sharing * (running - 1)

    def padding(self, rows: int) -> int:
        """Return the rows that are computed for nobody in a batch of `rows`."""
        return self.sizes[bisect_left(self.sizes, rows)] - rows if self.padded else 0

    def seconds(self, rows: int) -> float:
        """Return what a batch of `rows` takes, undisturbed."""
        rows += self.padding(rows)
        at = bisect_left(self.sizes, rows)
        high, high_ms = self.profile_ms[at]
        if high == rows or not at:
            return high_ms / 1000
        low, low_ms = self.profile_ms[at - 1]
        return (low_ms + (high_ms - low_ms) * (rows - low) / (high - low)) / 1000

    def slowness(self, now_s: float) -> float:
        """Return the factor of the slow phase that a run begins in, or 1."""
        factor = 1.0
        for phase in self.slow:
            if phase.from_s <= now_s < phase.to_s:
                factor *= phase.factor
        return factor

    def warm(self, seed: int) -> LatencyModel:
        """Return a latency model that has seen some runs of every bucket."""
        latency = LatencyModel(buckets_of(self.max_batch))
        random = stream(seed, Purpose.WARM_UP)
        for bucket in latency.buckets:
            for z in random.standard_normal(WARM_UP_RUNS).tolist():
                latency.seed(bucket, self.seconds(bucket) * math.exp(self.noise * z))
        return latency


def disturbances(machine: Machine, seed: int, executor: int) -> Iterator[float]:
    """Yield a factor for each run of an executor, in order: noise, and now and then a stall."""
    noise = stream(seed, Purpose.NOISE, executor)
    stalls = stream(seed, Purpose.STALLS, executor)
    while True:
        chances = stalls.random(CHUNK).tolist()
        for z, chance in zip(noise.standard_normal(CHUNK).tolist(), chances, strict=True):
            stalled = machine.stall_factor if chance < machine.stall_share else 1.0
            yield math.exp(machine.noise * z) * stalled
