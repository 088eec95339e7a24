"""What runs next, and how big: pure decisions, driven alike by the server and by tests.

Nothing here waits, logs or reads a clock. `Discipline` is the seam: `enter`, `pick`,
`finished`; `inferd.inference.batcher` is the shell around it.
"""

from inferd.inference.scheduling.discipline import Discipline, Drop, Reason, Resizable, Run
from inferd.inference.scheduling.fifo import Fifo
from inferd.inference.scheduling.latency import LatencyModel, RunTime
from inferd.inference.scheduling.modes import discipline_for
from inferd.inference.scheduling.policy import Level, Mode, Policy, buckets_of
from inferd.inference.scheduling.scheduler import Scheduler
from inferd.inference.scheduling.ticket import Ticket
from inferd.inference.scheduling.turns import Turns

__all__ = [
    "Discipline",
    "Drop",
    "Fifo",
    "LatencyModel",
    "Level",
    "Mode",
    "Policy",
    "Reason",
    "Resizable",
    "Run",
    "RunTime",
    "Scheduler",
    "Ticket",
    "Turns",
    "buckets_of",
    "discipline_for",
]
