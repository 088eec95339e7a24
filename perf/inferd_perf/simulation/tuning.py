"""Every policy at its best: the same search over the parameters of each.

    inferd-perf simulate --tune nexus

tries what is published, and then as many combinations from `SPACES` as the budget allows, at random
and none twice, on workloads, loads and seeds that are not reported. The best is the one with the
highest mean success: the calls answered in time, of all that are made, each cell counting the
same. It is then written into the module of the policy as its default; nothing else is tuned.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from statistics import mean

from inferd_perf.simulation.baselines import BASELINES
from inferd_perf.simulation.grid import Cell, cell
from inferd_perf.simulation.setting import MakePolicy
from inferd_perf.simulation.suites import TUNING

Value = float | bool
Space = Mapping[str, Sequence[Value]]
"""From a parameter's name to the values that are tried; the first is the published one."""

_DELAYS_S: Sequence[Value] = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01)

SPACES: Mapping[str, Space] = {
    "fifo": {"delay_s": _DELAYS_S},
    "fifo-age": {"age": (1.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2), "delay_s": _DELAYS_S},
    "nexus": {"share": (0.5, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.7, 0.8, 0.9)},
    "symphony": {
        "share": (1.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.2, 1.5),
        "ahead_s": (0.0001, 0.0, 0.0003, 0.001, 0.003, 0.01),
    },
    "clockwork": {
        "buffer_s": (0.005, 0.0, 0.0002, 0.0005, 0.001, 0.002),
        "window": (10, 5, 20, 40),
    },
    "bento": {
        "share": (1.0, 0.6, 0.7, 0.8, 0.9, 1.1, 1.25, 1.5),
        "decay": (0.95, 0.3, 0.6, 1.5),
        "refit_s": (5.0, 0.1, 0.5, 1.0),
    },
    "clipper": {
        "step": (1.0, 2.0, 4.0, 8.0),
        "back_off": (0.9, 0.95, 0.8, 0.6),
        "objective": (1.0, 0.7, 0.5, 0.4, 0.3, 0.2),
        "head_limited": (False, True),
    },
    "codel-lifo": {
        "target_s": (0.005, 0.001, 0.002, 0.003, 0.007, 0.01, 0.02),
        "interval_s": (0.1, 0.02, 0.05, 0.2),
    },
    "gradient2": {
        "tolerance": (1.5, 1.0, 1.2, 2.0, 3.0),
        "window_s": (0.1, 0.2),
        "queue": (4.0, 8.0, 16.0, 32.0),
        "most": (200.0, 100.0, 400.0),
    },
}
#: Combinations tried of each policy, the published one among them.
BUDGET = 24
#: How long each cell is simulated.
DURATION_S = 1.0

Cells = Callable[[MakePolicy], Iterable[Cell]]
"""Simulates a policy in all cells that it is to be tuned on."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A combination of parameters, and what came of it."""

    parameters: Mapping[str, Value]
    #: The mean over all cells, 0 to 1.
    success: float


def tuning_cells(make: MakePolicy) -> list[Cell]:
    """Simulate a policy on the tuning suite: every workload, load and seed."""
    return [
        cell(make, name, load, seed, DURATION_S)
        for name, entry in TUNING.entries.items()
        for load in entry.workload.loads
        for seed in TUNING.seeds
    ]


def tune(
    policy: str, cells: Cells = tuning_cells, seed: int = 1, *, budget: int = BUDGET
) -> list[Trial]:
    """Return what has been tried of a policy, the best first, what is published before its equals.

    Raises `KeyError` for a policy that has no parameters.
    """
    trials = []
    for parameters in combinations(SPACES[policy], seed, budget):
        make = partial(BASELINES[policy], **parameters)
        trials.append(Trial(parameters, mean(each["success"] for each in cells(make))))
    return sorted(trials, key=lambda trial: -trial.success)


def combinations(space: Space, seed: int, budget: int) -> list[Mapping[str, Value]]:
    """Return combinations of a space: the published one, and others at random, none twice."""
    published, *others = (
        dict(zip(space, values, strict=True)) for values in product(*space.values())
    )
    random.Random(seed).shuffle(others)
    return [published, *others[: budget - 1]]
