"""What windows cost: to add an event, to read, to be bytes, and how large they are.

    python perf/window_cost.py

First each function alone over one hour, then a typical view: eight aggregates over three windows,
and lists of the newest texts.
Times are medians of rounds, in microseconds of the thread's CPU time, so that they can be read on a
busy machine, too. Sizes are of one entity after a million events within one hour: as a blob, and
live, which is what `sys.getsizeof` says of every object that only this state has.
"""

import gc
import random
import statistics
import sys
from collections.abc import Callable, Sequence
from time import thread_time
from types import FunctionType, MethodType

from inferd.features.windows import Aggregate, Function, Newest, Plan, State

S = 1_000_000
MINUTE, HOUR, DAY = 60 * S, 3600 * S, 86_400 * S
NOW = 1_700_000_000 * S
STAMP = 2**50
ROUNDS = 9
EVENTS = 2_000
MILLION = 1_000_000

Values = tuple[float, str]
"""An amount, and whom it was paid to."""

BASIC = (
    Function.COUNT,
    Function.SUM,
    Function.MEAN,
    Function.VARIANCE,
    Function.MIN,
    Function.MAX,
)


def aggregate(function: Function, window_us: int) -> Aggregate:
    """Return an aggregate of the amount, or of the merchant if it is about different ones."""
    of = {Function.COUNT: None, Function.RATE: None, Function.DISTINCT: 1}.get(function, 0)
    return Aggregate(function, of, window_us, quantile=0.95, half_life_us=5 * MINUTE)


TYPICAL = [
    aggregate(Function.COUNT, MINUTE),
    aggregate(Function.SUM, MINUTE),
    aggregate(Function.COUNT, HOUR),
    aggregate(Function.SUM, HOUR),
    aggregate(Function.MAX, HOUR),
    aggregate(Function.DISTINCT, HOUR),
    aggregate(Function.COUNT, DAY),
    aggregate(Function.MEAN, DAY),
]


def values(rng: random.Random) -> Values:
    """Return what an event says."""
    return rng.lognormvariate(3, 1.2), f"merchant-{rng.randrange(20_000)}"


def median_us(act: Callable[[], object], times: int = 1, rounds: int = ROUNDS) -> float:
    """Return the microseconds that each of `times` things takes that `act` does."""
    taken = []
    for _ in range(rounds):
        began = thread_time()
        act()
        taken.append((thread_time() - began) / times * 1e6)
    return statistics.median(taken)


def filled(plan: Plan, events: int, over_us: int) -> State:
    """Return a state with evenly spaced events, the last of them now."""
    rng = random.Random(1)
    state = State(plan)
    for number in range(events):
        at = NOW - over_us + (number + 1) * over_us // events
        state.add(at, f"event-{number}", values(rng), now_us=at)
    return state


def add_us(plan: Plan) -> float:
    """Return what an event takes in a state that has some of every kind of tile."""
    state = filled(plan, 10_000, HOUR)
    rng = random.Random(2)
    drawn = [values(rng) for _ in range(EVENTS)]
    now, number = NOW, 0

    def add_all() -> None:
        nonlocal now, number
        for each in drawn:
            now += S // 3
            number += 1
            state.add(now, f"new-{number}", each, now_us=now)

    return median_us(add_all, EVENTS)


def live_bytes(state: State, plan: Plan) -> int:
    """Return the bytes of all objects that are reached from a state, and from no plan."""
    seen = {id(each) for each in reached([plan])}
    return sum(sys.getsizeof(each) for each in reached([state], seen))


def reached(start: Sequence[object], seen: set[int] | None = None) -> list[object]:
    """Return objects and what they refer to, without code and what was seen before."""
    seen = set() if seen is None else seen
    found, waiting = [], [*start]
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, type | FunctionType | MethodType):
            continue
        seen.add(id(each))
        found.append(each)
        waiting.extend(gc.get_referents(each))
    return found


def report(name: str, plan: Plan, state: State) -> None:
    """Print a line."""
    blob = state.encode(STAMP)
    read = median_us(lambda: state.read(NOW))
    write = median_us(lambda: state.encode(STAMP))
    back = median_us(lambda: State.decode(plan, blob))
    live = live_bytes(state, plan) / 1024
    print(
        f"{name:28}{add_us(plan):8.2f}{read:9.0f}{write:9.0f}{back:9.0f}"
        f"{len(blob) / 1024:10.1f}{live:10.1f}"
    )


def main() -> None:
    """Measure and print."""
    gc.disable()
    print(
        f"{'':28}{'add us':>8}{'read us':>9}{'enc us':>9}{'dec us':>9}{'blob KiB':>10}{'live':>10}"
    )
    for function in Function:
        plan = Plan([aggregate(function, HOUR)])
        report(f"{function}, 1 h", plan, filled(plan, 20_000, HOUR))
    plan = Plan([aggregate(function, HOUR) for function in BASIC])
    report("basic six, 1 h, 1 M events", plan, filled(plan, MILLION, HOUR))
    for extra in (Function.DISTINCT, Function.QUANTILE):
        plan = Plan([aggregate(function, HOUR) for function in (*BASIC, extra)])
        report(f"and {extra}, 1 M events", plan, filled(plan, MILLION, HOUR))
    plan = Plan(TYPICAL)
    for events in (100, 20_000):
        report(f"typical view, {events} events", plan, filled(plan, events, DAY))
    for count in (100, 1000):
        plan = Plan([Newest(1, 90 * DAY, count)])
        report(f"newest {count}, 20000 events", plan, filled(plan, 20_000, DAY))


if __name__ == "__main__":
    main()
