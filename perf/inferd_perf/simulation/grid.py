"""Policies under workloads at loads: cells, one at a time or a whole grid of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from inferd.inference.scheduling import Discipline, Mode, Policy, Scheduler
from inferd_perf.simulation.baselines import BASELINES
from inferd_perf.simulation.calls import History
from inferd_perf.simulation.decisions import DecisionLog
from inferd_perf.simulation.engine import Engine
from inferd_perf.simulation.front import FREE, Front
from inferd_perf.simulation.machine import Machine, Slow
from inferd_perf.simulation.measures import measure
from inferd_perf.simulation.setting import MakePolicy, Setting
from inferd_perf.simulation.suites import HELD_OUT, find
from inferd_perf.simulation.workloads import Workload

Cell = dict[str, Any]
"""One JSON object: a policy under a workload at a load, with a seed."""


def _scheduler(mode: Mode) -> MakePolicy:
    def make(setting: Setting) -> Discipline:
        return Scheduler(replace(setting.policy, mode=mode), setting.latency)

    return make


OURS: Mapping[str, MakePolicy] = {
    "inferd-goodput": _scheduler(Mode.GOODPUT),
    "inferd-fail-fast": _scheduler(Mode.FAIL_FAST),
}
POLICIES: Mapping[str, MakePolicy] = {**OURS, **BASELINES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything that a simulation depends on, but for the policy."""

    machine: Machine
    workload: Workload
    load: float
    seed: int
    duration_s: float = 2.0
    front: Front = FREE

    @property
    def rows_per_s(self) -> float:
        """What the machine can serve of this workload."""
        return self.machine.rows_per_s / self.workload.cost

    @property
    def troubled(self) -> Machine:
        """The machine, with what the workload does to it."""
        trouble, duration_s = self.workload.trouble, self.duration_s
        slow = tuple(
            Slow(from_s=since * duration_s, to_s=until * duration_s, factor=factor)
            for since, until, factor in trouble.slow
        )
        share = max(self.machine.stall_share, trouble.stall_share)
        factor = trouble.stall_factor if trouble.stall_share else self.machine.stall_factor
        return replace(
            self.machine,
            slow=(*self.machine.slow, *slow),
            stall_share=share,
            stall_factor=factor,
        )

    def setting(self) -> Setting:
        """Return what a policy is told."""
        machine = self.machine
        return Setting(
            policy=Policy(
                max_batch=machine.max_batch,
                instances=machine.instances,
                guard_s=self.front.guard_ms / 1000,
            ),
            latency=machine.warm(self.seed),
            deadlines_s=tuple(sorted(ms / 1000 for ms in self.workload.deadlines_ms)),
            rate_per_s=self.load * self.rows_per_s,
        )

    def play(self, make: MakePolicy, *, log: DecisionLog | None = None) -> History:
        """Simulate one policy."""
        calls = self.workload.calls(
            rows_per_s=self.load * self.rows_per_s, duration_s=self.duration_s, seed=self.seed
        )
        discipline = make(self.setting())
        machine = self.troubled
        return Engine(discipline, machine, calls, seed=self.seed, front=self.front, log=log).run()


def scene(
    workload: str,
    load: float,
    seed: int,
    *,
    duration_s: float = 2.0,
    front: Front = FREE,
    machine: Machine | None = None,
    **changes: Any,
) -> Scene:
    """Return a scene by its workload's name; `changes` are of the machine, e.g. `instances=2`."""
    entry = find(workload)
    chosen = replace(machine or entry.machine, **changes)
    return Scene(
        machine=chosen,
        workload=entry.workload,
        load=load,
        seed=seed,
        duration_s=duration_s,
        front=front,
    )


def cell(
    policy: str | MakePolicy,
    workload: str,
    load: float,
    seed: int,
    duration_s: float = 2.0,
    *,
    heldout: bool = False,
    **options: Any,
) -> Cell:
    """Simulate one cell. `options` are those of `scene`.

    Raises `KeyError` for a policy or workload that is not there, or is not held out but should be.
    """
    if heldout and workload not in HELD_OUT.entries:
        raise KeyError(f"{workload!r} is not one of the workloads that are held out")
    name = policy if isinstance(policy, str) else getattr(policy, "__name__", "policy")
    make = POLICIES[policy] if isinstance(policy, str) else policy
    played = scene(workload, load, seed, duration_s=duration_s, **options)
    history = played.play(make)
    return {
        "policy": name,
        "workload": workload,
        "load": load,
        "seed": seed,
        **measure(history, played.machine, rows_per_s=played.rows_per_s),
    }
