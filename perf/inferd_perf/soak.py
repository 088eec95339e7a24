"""Does a server grow? Its memory over many requests, then over many loads and unloads.

Memory is the process's resident set, read after every tenth of the way. The first tenth is
where arenas and caches fill; what counts is the growth from there on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from inferd_perf import openload
from inferd_perf.openload import Closed, Load
from inferd_perf.payload import Recipe, payloads
from inferd_perf.servers import Server, placeholders, running
from inferd_perf.sides import Side

INFERD = Side(
    "inferd",
    "{bin}/inferd serve --repository {repository} --port {port} --http-port {http_port}"
    " --control-mode explicit --load-model *",
)
TENTHS = 10
READY_S = 60.0
CONCURRENCY = 64
#: No tenth takes longer, or something hangs.
TENTH_S = 600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Memory at one point of the way."""

    phase: str
    done: int
    rss_bytes: int


def growth(readings: list[Reading], phase: str) -> float:
    """Return how much memory grew after the first tenth of a phase, as a share."""
    of_phase = [each.rss_bytes for each in readings if each.phase == phase]
    return of_phase[-1] / of_phase[0] - 1.0


def soak(
    repository: Path,
    recipe: Recipe,
    *,
    requests: int,
    cycles: int,
    tell: Callable[[Reading], None],
) -> list[Reading]:
    """Run both phases against one server of its own; raise `ServerFailed` if a call fails."""
    readings: list[Reading] = []
    with running(INFERD, placeholders(repository, recipe.model, threads=1)) as server:
        server.wait_until_ready(recipe.model, READY_S)
        for phase, total, work in (
            ("requests", requests, _requests(server, recipe)),
            ("load/unload cycles", cycles, _cycles(server, recipe.model)),
        ):
            for tenth in range(1, TENTHS + 1):
                work(total * tenth // TENTHS - total * (tenth - 1) // TENTHS)
                reading = Reading(phase, total * tenth // TENTHS, server.rss_bytes())
                readings.append(reading)
                tell(reading)
    return readings


def _requests(server: Server, recipe: Recipe) -> Callable[[int], None]:
    request = payloads(recipe, server.metadata(recipe.model))[0]
    server.verify(request)

    def work(count: int) -> None:
        load = Load(pattern=Closed(CONCURRENCY, count), duration_s=TENTH_S, deadline_s=TENTH_S)
        answered = openload.fire(load, server.port, request).in_time
        if answered < count:
            raise server.failed(f"answered {answered} of {count} requests")

    return work


def _cycles(server: Server, model: str) -> Callable[[int], None]:
    def work(count: int) -> None:
        for _ in range(count):
            server.unload(model)
            server.load(model)

    return work
