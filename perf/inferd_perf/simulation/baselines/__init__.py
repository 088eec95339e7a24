"""The policies of others, as they can be read in papers and in source, to compare with.

Each is a `Discipline` and is driven like the server's own scheduler. Its constants are what the
search of `inferd_perf.simulation.tuning` found, on workloads that are not reported; the
published values stand beside them.
"""

from collections.abc import Callable, Mapping

from inferd.inference.scheduling import Discipline
from inferd_perf.simulation.baselines.bento import Bento
from inferd_perf.simulation.baselines.clipper import Clipper
from inferd_perf.simulation.baselines.clockwork import Clockwork
from inferd_perf.simulation.baselines.codel import CodelLifo
from inferd_perf.simulation.baselines.fifo import fifo, fifo_age
from inferd_perf.simulation.baselines.gradient import Gradient2
from inferd_perf.simulation.baselines.nexus import Nexus
from inferd_perf.simulation.baselines.symphony import Symphony

BASELINES: Mapping[str, Callable[..., Discipline]] = {
    "fifo": fifo,
    "fifo-age": fifo_age,
    "nexus": Nexus,
    "symphony": Symphony,
    "clockwork": Clockwork,
    "bento": Bento,
    "clipper": Clipper,
    "codel-lifo": CodelLifo,
    "gradient2": Gradient2,
}
"""From a policy's name to what makes one of a `Setting`; its parameters are keywords."""

__all__ = ["BASELINES"]
