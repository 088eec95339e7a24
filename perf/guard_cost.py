"""What a guarded call costs while all is well, beside the breakers that others have.

    python perf/guard_cost.py

Every way calls the same function, which returns at once: what is left is the guard. They take
turns, and what is printed is the median of the rounds, and of each against ours. `pybreaker` has
no way to guard a coroutine without Tornado, so it guards a plain function; `purgatory` guards the
same coroutine. Both are a breaker and nothing else.
"""

import statistics
import time
from collections.abc import Awaitable, Callable

import pybreaker
import uvloop
from purgatory import AsyncCircuitBreakerFactory

from inferd.call import Call
from inferd.config.faults import Faults
from inferd.config.resilience import Breaker as BreakerSettings
from inferd.config.resilience import Cascade, Dependency, Hedge, Limit, Resilience, Rung, Stage
from inferd.deadline import Deadline
from inferd.resilience.faults.points import FaultPoints
from inferd.resilience.toolbox import Toolbox
from inferd.telemetry.statistics import Histogram

CALLS = 20_000
ROUNDS = 15
BOUNDS_S = (0.001, 0.01, 0.1, 1.0)

Way = Callable[[], Awaitable[float]]
"""Makes `CALLS` calls and returns the seconds they took."""


async def _answer(call: Call, deadline: Deadline) -> int:
    return 1


def _toolbox() -> Toolbox:
    points = FaultPoints(Faults(), time.monotonic)
    return Toolbox(Resilience(), points, histogram=lambda: Histogram(BOUNDS_S))


def _call() -> tuple[Call, Deadline]:
    now = time.monotonic()
    # Earlier than the dependency's own timeout, as the deadlines of stages are.
    deadline = Deadline.after(0.9, now=now)
    return Call("/example/Method", arrived=now, deadline=deadline), deadline


async def bare() -> float:
    """Call it without any guard."""
    call, deadline = _call()
    began = time.thread_time()
    for _ in range(CALLS):
        await _answer(call, deadline)
    return time.thread_time() - began


def guarded(settings: Dependency, *, repeatable: bool) -> Way:
    """Call it through a dependency's guard."""
    guard = _toolbox().dependency("it", settings).guards(_answer, repeatable=repeatable)

    async def way() -> float:
        call, deadline = _call()
        began = time.thread_time()
        for _ in range(CALLS):
            await guard(call, deadline)
        return time.thread_time() - began

    return way


def staged() -> Way:
    """Take it as the stage of an endpoint, with a ladder and a budget, through the guard."""
    toolbox = _toolbox()
    ladder = (Rung(name="best"), Rung(name="rule"))
    cascade = Cascade(stages=(Stage(name="it", ladder=ladder),))
    endpoint = toolbox.endpoint("/example/Method", cascade)
    guard = toolbox.dependency("it").guards(_answer)
    stage = endpoint.stage("it", best=guard, rule=_answer)

    async def way() -> float:
        call, _ = _call()
        began = time.thread_time()
        for _ in range(CALLS):
            with endpoint.answering(call) as answer:
                await stage(answer)
        return time.thread_time() - began

    return way


async def with_pybreaker() -> float:
    """Call a plain function through pybreaker."""
    breaker = pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60)
    call = breaker.call

    def answer() -> int:
        return 1

    began = time.thread_time()
    for _ in range(CALLS):
        call(answer)
    return time.thread_time() - began


async def with_purgatory() -> float:
    """Call it through purgatory."""
    factory = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=60)
    breaker = await factory.get_breaker("it")
    call, deadline = _call()
    began = time.thread_time()
    for _ in range(CALLS):
        async with breaker:
            await _answer(call, deadline)
    return time.thread_time() - began


def ways() -> dict[str, Way]:
    """Return what is compared, by what it is called in the table."""
    alone = Dependency(limit=Limit(mode="off"))
    plain = Dependency(hedge=Hedge(enabled=False))
    return {
        "no guard": bare,
        "no guard but a timer (breaker and limit off)": guarded(
            Dependency(breaker=BreakerSettings(mode="off"), limit=Limit(mode="off")),
            repeatable=False,
        ),
        "budget + breaker": guarded(alone, repeatable=False),
        "budget + breaker + limit": guarded(plain, repeatable=False),
        "all of it: and retry and hedge": guarded(Dependency(), repeatable=True),
        "all of it, as a stage with a ladder": staged(),
        "pybreaker 1.4 (plain function)": with_pybreaker,
        "purgatory 3 (coroutine)": with_purgatory,
    }


async def main() -> None:
    """Measure in turns, and print a table."""
    compared = ways()
    rounds: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(ROUNDS):
        for name, way in compared.items():
            rounds[name].append(await way() / CALLS * 1e6)
    base = statistics.median(rounds["no guard"])
    for name, costs in rounds.items():
        median = statistics.median(costs)
        print(f"{name:48} {median:6.2f} us   {median - base:+6.2f} us")


if __name__ == "__main__":
    uvloop.run(main())
