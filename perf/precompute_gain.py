"""What refresh-ahead is worth under Zipf load, and whether it keeps to its share.

    .venv/bin/python perf/precompute_gain.py [--seconds 6]

Readers ask for entities at Poisson times, through the real cache in this process, and what is not
there is computed by a load that works and waits. Without refresh-ahead, with it, and with
a share that is too small. First in simulated time, five minutes of a server that computes costly
views; then for a few seconds on this machine, where work is work. Latency is from when a read was
due. The share is told by the load itself, and by what refresh-ahead takes it to be.
"""

import argparse
import asyncio
import random
import selectors
import statistics
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from inferd.cache.blobs import HEAD
from inferd.cache.multilevel import MultiLevel
from inferd.call import Call
from inferd.config.cache import CachePolicy
from inferd.config.precompute import Precompute
from inferd.deadline import NEVER, Clock, Deadline
from inferd.features.precompute.refresh import RefreshAhead

CALL = Call("/inferd.v1.FeatureService/Get", arrived=0.0)


@dataclass(frozen=True)
class Load:
    """Who is asked for, and what it takes to compute it."""

    entities: int
    exponent: float
    reads_per_s: float
    ttl_s: float
    top: int
    work_s: float
    wait_s: float
    #: What is asked for before that is missed by anybody, and not counted.
    warm_s: float
    seconds: float


SIMULATED = Load(1200, 1.0, 200.0, 20.0, 1000, 0.001, 0.010, 60.0, 300.0)
REAL = Load(400, 1.0, 400.0, 1.0, 380, 0.00015, 0.005, 4.0, 6.0)


class SimulatedTime(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer, and on which work takes as long as it says."""

    def __init__(self) -> None:
        """Begin at 0."""
        self.now = 0.0
        self.worked = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """Return the simulated time, in seconds."""
        return self.now

    def work(self, seconds: float) -> None:
        """Keep the loop from everything else."""
        self.now += seconds
        self.worked += seconds


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: SimulatedTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        """Let the time pass that there is nothing to do."""
        self._loop.now += max(0.0, timeout or 0.0)
        return super().select(0)


def burn(seconds: float) -> None:
    """Work for so long, however often the thread is interrupted."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Stamped:
    """Writes values of no account."""

    def encode(self, value: str) -> bytes:
        """Return a blob."""
        return HEAD + (2**32).to_bytes(8) + value.encode()

    def decode(self, blob: bytes) -> str:
        """Return what is in it."""
        return blob[len(HEAD) + 8 :].decode()


class Computed:
    """What computes values, and counts for whom it works."""

    def __init__(self, load: Load, work: Callable[[float], None]) -> None:
        self._load = load
        self._work = work
        self.misses = 0
        self.refreshes = 0

    async def missed(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Sequence[str | None]:
        """Compute what a reader waits for."""
        self.misses += len(keys)
        return await self._compute(keys)

    async def refreshed(
        self, call: Call, deadline: Deadline, keys: Sequence[str]
    ) -> Sequence[str | None]:
        """Compute what nobody waits for."""
        self.refreshes += len(keys)
        return await self._compute(keys)

    async def _compute(self, keys: Sequence[str]) -> Sequence[str | None]:
        await asyncio.sleep(self._load.wait_s)
        self._work(self._load.work_s * len(keys))
        return keys


async def measured(
    load: Load,
    settings: Precompute,
    *,
    work: Callable[[float], None],
    thread_clock: Clock,
) -> str:
    """Return a line that tells how readers fared."""
    loop, dice = asyncio.get_running_loop(), random.Random(11)
    computed = Computed(load, work)
    policy = CachePolicy(l1_ttl_s=load.ttl_s)
    cache: MultiLevel[str] = MultiLevel(
        "computed", policy, [], Stamped(), clock=loop.time, random=dice.random
    )
    ahead = RefreshAhead(settings, busy=lambda: 0.0, clock=loop.time, thread_clock=thread_clock)
    cache.on_hit = ahead.watch(cache, computed.refreshed, ttl_s=load.ttl_s)
    took: list[float] = []

    async def read(key: str, due: float) -> None:
        await cache.get(CALL, NEVER, [key], computed.missed)
        took.append(loop.time() - due)

    async with asyncio.TaskGroup() as tasks:
        refreshing = tasks.create_task(ahead.run()) if settings.enabled else None
        await readers(load, load.warm_s, read, tasks, dice)
        took.clear()
        computed.misses = computed.refreshes = 0
        spent_s, began = ahead.statistics.cpu_s, loop.time()
        await readers(load, load.seconds, read, tasks, dice)
        lasted_s = loop.time() - began
        spent_s = ahead.statistics.cpu_s - spent_s
        if refreshing is not None:
            refreshing.cancel()
    await cache.close()
    share = computed.refreshes * load.work_s / lasted_s
    worked = share + computed.misses * load.work_s / lasted_s
    p50, p95, p99 = (statistics.quantiles(took, n=100)[at - 1] * 1000 for at in (50, 95, 99))
    return (
        f"{1 - computed.misses / len(took):6.1%}  {p50:6.2f} {p95:6.2f} {p99:6.2f} ms"
        f"  {worked:6.1%}  {share:6.2%} {spent_s / lasted_s:6.2%}"
        f"  {computed.refreshes:6} {ahead.statistics.skipped['share']:6}"
    )


async def readers(
    load: Load,
    seconds: float,
    read: Callable[[str, float], Coroutine[Any, Any, None]],
    tasks: asyncio.TaskGroup,
    dice: random.Random,
) -> None:
    """Ask for entities for so long."""
    loop = asyncio.get_running_loop()
    weights = [*accumulate(1 / rank**load.exponent for rank in range(1, load.entities + 1))]
    keys = [f"clicks:1:{number}" for number in range(load.entities)]
    due = loop.time()
    until = due + seconds
    while (due := due + dice.expovariate(load.reads_per_s)) < until:
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        (key,) = dice.choices(keys, cum_weights=weights)
        tasks.create_task(read(key, due))


def ways(load: Load) -> dict[str, Precompute]:
    """Return what is compared."""
    ahead = Precompute(top=load.top)
    scant = 0.4 * load.top / load.ttl_s * load.work_s
    return {
        "without": Precompute(enabled=False),
        f"share {ahead.max_cpu_share:.0%}": ahead,
        f"share {scant:.1%}": Precompute(top=load.top, max_cpu_share=scant),
    }


def simulated(load: Load, settings: Precompute) -> str:
    """Return how readers fare in simulated time."""
    loop = SimulatedTime()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(
            measured(load, settings, work=loop.work, thread_clock=lambda: loop.worked)
        )


def real(load: Load, settings: Precompute) -> str:
    """Return how readers fare on this machine."""
    return asyncio.run(measured(load, settings, work=burn, thread_clock=time.thread_time))


def compare(what: str, load: Load, measure: Callable[[Load, Precompute], str]) -> None:
    """Print what is measured, and a line for each way."""
    sys.stdout.write(
        f"{what}: {load.entities} entities, Zipf {load.exponent}, {load.reads_per_s:g} reads/s for"
        f" {load.seconds:g} s; they live {load.ttl_s:g} s and take {load.work_s * 1000:g} ms of"
        f" work after {load.wait_s * 1000:g} ms; the first {load.top} are refreshed\n"
        f"  {'':12} {'hits':>6}  {'p50':>6} {'p95':>6} {'p99':>9}  {'loads':>6}"
        f"  {'share':>6} {'taken':>6}  {'fresh':>6} {'late':>6}\n"
    )
    for name, settings in ways(load).items():
        sys.stdout.write(f"  {name:12} {measure(load, settings)}\n")


def main() -> None:
    """Simulate, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=REAL.seconds, help="each way, when real")
    given = parser.parse_args()
    compare("Simulated", SIMULATED, simulated)
    compare("On this machine", replace(REAL, seconds=given.seconds), real)


if __name__ == "__main__":
    main()
