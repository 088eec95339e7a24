"""What the server schedules by, made as the server makes it."""

from inferd.inference.scheduling import Discipline, Fifo, Mode, Policy, Scheduler
from inferd_perf.simulation.machine import Machine


def discipline(scheduling: str, machine: Machine, guard_ms: float, seed: int) -> Discipline:
    """Return the discipline of `inference.scheduling`, warmed up on a machine."""
    policy = Policy(
        mode=Mode(scheduling),
        max_batch=machine.max_batch,
        instances=machine.instances,
        guard_s=guard_ms / 1000,
    )
    kind = Fifo if policy.mode is Mode.FIFO else Scheduler
    return kind(policy, machine.warm(seed))
