"""Which cells a grid has, and how to compute them: here, or in several processes."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from inferd_perf.simulation.front import FRONTS
from inferd_perf.simulation.grid import OURS, POLICIES, Cell, cell
from inferd_perf.simulation.suites import HELD_OUT, MAIN, Suite

#: The workloads and loads of the gate, and how long each is simulated: a heavy load shows soon.
_CI: tuple[tuple[str, tuple[float, ...], float], ...] = (
    ("w1", (0.8, 1.0, 1.2), 0.7),
    ("w1", (2.0,), 0.5),
    ("w1", (5.0,), 0.25),
    ("w1-10", (0.8, 1.2), 0.6),
    ("w1-50", (0.95, 2.0), 0.6),
    ("w2", (0.5, 0.8, 0.95, 1.2), 0.8),
    ("w2", (2.0,), 0.5),
    ("w3", (0.5, 0.8), 1.0),
    ("w3", (1.2,), 0.7),
    ("w3-50", (0.8,), 0.8),
    ("w4", (0.8, 1.2), 0.7),
    ("w5", (0.8,), 0.8),
    ("w6", (1.0,), 1.0),
    ("w6-retry", (1.0,), 1.0),
    ("w7", (1.0,), 1.0),
    ("w8", (0.8,), 0.8),
    ("w8-poison", (0.5,), 0.8),
    ("w9", (0.8,), 0.8),
    ("w10", (0.7,), 0.8),
    ("w10-stalls", (0.8,), 0.8),
    ("priority", (2.0,), 0.5),
    ("bulk", (2.0,), 0.5),
)
#: The policies of the gate. `POLICIES` may have more.
CI_POLICIES = (
    "inferd-goodput", "inferd-fail-fast", "fifo", "nexus", "symphony", "clockwork", "bento",
    "clipper", "codel-lifo", "gradient2",
)  # fmt: skip
#: The policy that has to be the best.
GATED = "inferd-goodput"
#: What it may be worse than the best of the others, as a share of all calls.
TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One cell to compute."""

    policy: str
    workload: str
    load: float
    seed: int
    duration_s: float
    front: str = "free"

    def compute(self) -> Cell:
        """Simulate it."""
        return cell(
            self.policy,
            self.workload,
            self.load,
            self.seed,
            self.duration_s,
            front=FRONTS[self.front],
        )


def ci(policies: Sequence[str] = CI_POLICIES) -> list[Task]:
    """Return the grid of the gate: ten policies, 31 scenes, less than a minute on one core."""
    return [
        Task(policy=policy, workload=workload, load=load, seed=1, duration_s=duration_s)
        for workload, loads, duration_s in _CI
        for load in loads
        for policy in policies
    ]


def everything(
    suite: Suite, duration_s: float, policies: Sequence[str] = tuple(POLICIES)
) -> list[Task]:
    """Return every workload of a suite at its loads, with its seeds."""
    return [
        Task(policy=policy, workload=name, load=load, seed=seed, duration_s=duration_s)
        for name, entry in suite.entries.items()
        for load in entry.workload.loads
        for seed in suite.seeds
        for policy in policies
    ]


def grid(name: str, duration_s: float = 2.0) -> list[Task]:
    """Return a grid by its name: ci, full or heldout."""
    if name == "ci":
        return ci()
    return everything({"full": MAIN, "heldout": HELD_OUT}[name], duration_s)


def compute(tasks: Sequence[Task], *, jobs: int = 1) -> Iterator[Cell]:
    """Yield the cells of `tasks`, in order."""
    if jobs == 1:
        yield from map(Task.compute, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(Task.compute, tasks, chunksize=4)


def comparable(policies: Iterable[str]) -> bool:
    """Return whether there is somebody to be worse than: `worse` needs that."""
    present = set(policies)
    return GATED in present and bool(present - set(OURS))


def worse(cells: Iterable[Cell], ours: str = GATED) -> list[str]:
    """Return where one of the others serves more calls than we do, beyond the tolerance."""
    scenes: dict[tuple[str, float, int], dict[str, float]] = {}
    for each in cells:
        scene = (each["workload"], each["load"], each["seed"])
        scenes.setdefault(scene, {})[each["policy"]] = each["success"]
    found = []
    for (workload, load, seed), success in scenes.items():
        others = {name: share for name, share in success.items() if name not in OURS}
        best = max(others, key=others.__getitem__)
        if success[ours] < others[best] - TOLERANCE:
            found.append(
                f"{workload} at {load:g}x, seed {seed}: {ours} serves {success[ours]:.1%},"
                f" {best} {others[best]:.1%}"
            )
    return found
