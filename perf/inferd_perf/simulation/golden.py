"""What every policy decides in some short simulations, as fingerprints.

A test compares them with `tests/golden/decisions.json`. After a change of behaviour that is
meant, write that file anew: `inferd-perf simulate --golden tests/golden/decisions.json`.
"""

from collections.abc import Sequence

from inferd_perf.simulation.decisions import DecisionLog
from inferd_perf.simulation.grid import POLICIES, scene

#: Workload, load and seed.
SCENES = (
    ("w1", 1.2, 1),
    ("w2", 0.95, 1),
    ("w2", 2.0, 2),
    ("w3", 0.8, 1),
    ("w6-retry", 1.0, 1),
    ("w8", 0.8, 1),
    ("w8-poison", 0.5, 1),
    ("w9", 0.8, 1),
    ("priority", 2.0, 1),
    ("bulk", 2.0, 1),
)
DURATION_S = 0.12


def name_of(workload: str, load: float, seed: int) -> str:
    """Return what a scene is called in the file."""
    return f"{workload} at {load:g}, seed {seed}"


def fingerprint(policy: str, workload: str, load: float, seed: int) -> str:
    """Return the fingerprint of one policy's decisions in one short simulation."""
    log = DecisionLog()
    scene(workload, load, seed, duration_s=DURATION_S).play(POLICIES[policy], log=log)
    return log.fingerprint


def fingerprints(policies: Sequence[str] = tuple(POLICIES)) -> dict[str, dict[str, str]]:
    """Return the fingerprints, by policy and then by scene."""
    return {
        policy: {name_of(*each): fingerprint(policy, *each) for each in SCENES}
        for policy in policies
    }
