"""What it costs to find out who is in which arm.

    python perf/experiment_assignment.py

A surface with five experiments: two in a layer with a holdout, three of their own, and a holdout
of all. A user is in four. What is printed is the median of rounds; it is the time of the thread, so
other processes on the machine take none of it, but for what they do to its caches.
"""

import statistics
import time
from collections.abc import Callable, Mapping

from inferd.app.experiments import compiled
from inferd.experiments.definitions import Asking
from inferd.experiments.experiments import Experiments
from inferd.experiments.hashing import growthbook, hashed_unit

CALLS = 2000
ROUNDS = 25
ASKING = Asking("home", ("user_id", "session_id"), {"country": "string", "device_type": "string"})
ARMS = "arms: [{name: control, parameters: {p%d: 1}}, {name: treatment, parameters: {p%d: 2}}]"
LAYERED = "{name: e%d, surface: home, state: running, layer: ranking, range: [%s], %s}"
ALONE = "{name: e%d, surface: home, state: running, unit: user_id, coverage: %s, %s %s}"


def surface(more: str = "", hash: str = "blake2b") -> Callable[[int], object]:
    """Return what assigns arms to the user of a number."""
    layered = [
        LAYERED % (number, part, ARMS % (number, number))
        for number, part in enumerate(("0, 0.5", "0.5, 1"))
    ]
    alone = [
        ALONE % (number, 1.0, f"hash: {hash}, {more}", ARMS % (number, number))
        for number in (2, 3, 4)
    ]
    lines = "\n".join(f"  - {each}" for each in (*layered, *alone))
    text = f"""\
holdouts: [{{name: all, unit: user_id, share: 0.02}}]
layers: [{{name: ranking, unit: user_id, holdout: 0.05}}]
experiments:
{lines}
"""
    assign = Experiments(text, [ASKING], compiled).surfaces["home"].assign
    units = [{"user_id": f"user-{number}", "session_id": "s"} for number in range(CALLS)]
    attributes = {"country": "FR", "device_type": "phone"}
    return lambda number: assign(units[number], attributes)


def ways() -> Mapping[str, Callable[[int], object]]:
    """Return what to measure."""
    users = [f"user-{number}" for number in range(CALLS)]
    return {
        "hash of a unit": lambda number: hashed_unit(users[number]),
        "GrowthBook's hash, version 2": lambda number: growthbook("seed", users[number], 2),
        "5 experiments": surface(),
        "5 experiments, 3 of them hashed as GrowthBook's": surface(hash="growthbook_2"),
        "5 experiments, 3 of them with targeting": surface("when: \"country == 'FR'\","),
    }


def seconds(way: Callable[[int], object]) -> float:
    """Return what one call takes."""
    began = time.thread_time()
    for number in range(CALLS):
        way(number)
    return (time.thread_time() - began) / CALLS


def main() -> None:
    """Measure, and print."""
    measured = {name: (way, list[float]()) for name, way in ways().items()}
    for _ in range(ROUNDS):
        for way, taken in measured.values():
            taken.append(seconds(way))
    print(f"{'':50} {'median':>9} {'best':>9}")
    for name, (_, taken) in measured.items():
        print(f"{name:50} {statistics.median(taken) * 1e6:6.2f} us {min(taken) * 1e6:6.2f} us")


if __name__ == "__main__":
    main()
