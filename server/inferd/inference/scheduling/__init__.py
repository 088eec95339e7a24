"""What runs next, and how big: pure decisions, driven alike by the server and by tests.

Nothing here waits, logs or reads a clock. `Scheduler` is the seam: `admit`, `pick`,
`finished`; `inferd.inference.batcher` is the shell around it.
"""

from inferd.inference.scheduling.latency import LatencyModel, RunTime
from inferd.inference.scheduling.policy import Level, Policy, buckets_of
from inferd.inference.scheduling.scheduler import Drop, Reason, Run, Scheduler
from inferd.inference.scheduling.ticket import Ticket

__all__ = [
    "Drop",
    "LatencyModel",
    "Level",
    "Policy",
    "Reason",
    "Run",
    "RunTime",
    "Scheduler",
    "Ticket",
    "buckets_of",
]
