"""Which discipline a policy asks for."""

from inferd.inference.scheduling.discipline import Resizable
from inferd.inference.scheduling.fifo import Fifo
from inferd.inference.scheduling.latency import LatencyModel
from inferd.inference.scheduling.policy import Mode, Policy
from inferd.inference.scheduling.scheduler import Scheduler
from inferd.inference.scheduling.turns import Turns


def discipline_for(policy: Policy, latency: LatencyModel, turns: Turns | None = None) -> Resizable:
    """Return a queue that decides as `policy.mode` says."""
    if policy.mode is Mode.FIFO:
        return Fifo(policy, latency)
    return Scheduler(policy, latency, turns)
