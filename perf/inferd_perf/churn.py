"""Does a server keep something of clients who have gone? Its memory under churn.

Sessions connect, make a few calls, and wait, cancel or hang up. Meanwhile the server's resident
memory is read again and again. It rises at first, where arenas and caches fill, and it goes up
and down with what is in flight; what counts is the median of the last third over that of the
third before it, and the connections that are still open when all clients have gone.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from inferd_perf import openload
from inferd_perf.openload import Churn, Closed, Load, Report, Shot
from inferd_perf.payload import Recipe, payloads
from inferd_perf.servers import Server, placeholders, running
from inferd_perf.sides import Side

READINGS = 30
#: Files that a server may have opened for itself meanwhile.
SPARE_FILES = 8
_WARMUP_IN_FLIGHT, _WARMUP_S = 64, 2.0
_DEADLINE_S = 1.0
_SETTLE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A churn of one server."""

    side: Side
    repository: Path
    recipe: Recipe
    sessions_per_s: float
    #: The most sessions at once.
    connections: int
    duration_s: float
    threads: int
    ready_timeout_s: float


@dataclass(frozen=True, slots=True)
class Reading:
    """The server at one moment."""

    at_s: float
    rss_bytes: int
    open_files: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the clients saw, and what the server kept."""

    report: Report
    before: Reading
    readings: Sequence[Reading]
    after: Reading

    @property
    def growth(self) -> float:
        """How much memory grew over the last two thirds, as a share."""
        return growth([reading.rss_bytes for reading in self.readings])

    @property
    def left_open(self) -> int:
        """Files open after the churn that were not before, less those that may be."""
        return max(self.after.open_files - self.before.open_files - SPARE_FILES, 0)


def growth(values: Sequence[float]) -> float:
    """Return the median of the last third over that of the third before it, less one.

    `values` has at least three.
    """
    third = len(values) // 3
    return median(values[-third:]) / median(values[-2 * third : -third]) - 1.0


def _reading(server: Server, began: float) -> Reading:
    return Reading(time.monotonic() - began, server.rss_bytes(), server.open_files())


def _watch(
    server: Server, shot: Shot, duration_s: float, began: float, tell: Callable[[Reading], None]
) -> tuple[list[Reading], Report]:
    readings = []
    for number in range(1, READINGS + 1):
        at = began + duration_s * number / READINGS
        time.sleep(max(at - time.monotonic(), 0.0))
        readings.append(_reading(server, began))
        tell(readings[-1])
    return readings, shot.report()


def churn(plan: Plan, tell: Callable[[Reading], None]) -> Outcome:
    """Churn a server of its own, and read its memory.

    Raises ServerFailed when it does not start, goes away or answers wrongly afterwards.
    """
    values = placeholders(plan.repository, plan.recipe.model, plan.threads)
    load = Load(
        pattern=Churn(plan.sessions_per_s),
        duration_s=plan.duration_s,
        deadline_s=_DEADLINE_S,
        connections=plan.connections,
    )
    warmup = Load(pattern=Closed(_WARMUP_IN_FLIGHT), duration_s=_WARMUP_S, deadline_s=_DEADLINE_S)
    with running(plan.side, values) as server:
        server.wait_until_ready(plan.recipe.model, plan.ready_timeout_s)
        message = payloads(plan.recipe, server.metadata(plan.recipe.model))[0]
        server.verify(message)
        openload.fire(warmup, server.port, message)
        time.sleep(_SETTLE_S)
        began = time.monotonic()
        before = _reading(server, began)
        with openload.firing(load, server.port, message) as shot:
            readings, report = _watch(server, shot, plan.duration_s, began, tell)
        time.sleep(_SETTLE_S)
        server.verify(message)
        return Outcome(report, before, readings, _reading(server, began))


def faults(outcome: Outcome, most: float) -> list[str]:
    """Return what speaks against the server, or the measurement; empty: nothing does."""
    found = list(outcome.report.faults)
    if outcome.growth > most:
        found.append(f"memory grew by {outcome.growth:.1%}, allowed {most:.1%}")
    if outcome.left_open:
        found.append(f"{outcome.left_open} files were left open")
    failed = outcome.report.connections["failed"]
    if failed:
        found.append(f"{failed} connections were refused")
    return found
