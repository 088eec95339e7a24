"""The same calls to a running server, as often as wanted: what came of them, and what it took."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from inferd_perf import openload, planned, threads
from inferd_perf.calibration import Batches, Sounding
from inferd_perf.openload import Closed, Load, Report, Scheduled
from inferd_perf.payload import Recipe, payloads
from inferd_perf.planned import Ended
from inferd_perf.servers import Server, ServerFailed
from inferd_perf.simulation.calls import Calls
from inferd_perf.validation import planned_of, sizes_of

_ALONE_S = 2.0
#: The thread that takes the calls, and answers them.
_LOOP = "event loop"
_STAGES = "inferd_stage_duration_seconds"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How calls are made, apart from when."""

    warmup_s: float
    #: How long late answers are waited for, to see them.
    grace_s: float
    connections: int


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the calls after the warm-up, and what the server did meanwhile."""

    report: Report
    ends: list[Ended]
    sounding: Sounding
    #: Cores that neither the server nor the generator kept busy, but somebody else.
    other_cores: float


@dataclass(frozen=True, slots=True)
class _Reading:
    """A server's counters at one moment."""

    batches: Batches
    answered: int
    refused: int
    #: What requests waited for their batch after it had been picked, and what of it was spent
    #: on its inputs: seconds, summed over so many requests.
    waits: tuple[float, float]
    inputs: tuple[float, int]
    cpu: threads.Snapshot


def _read(server: Server, model: str) -> _Reading:
    found = server.statistics(model)
    count, seconds = {}, {}
    for each in found.batch_stats:
        spent = each.compute_input.ns + each.compute_infer.ns + each.compute_output.ns
        count[each.batch_size] = each.compute_infer.count
        seconds[each.batch_size] = spent / _NS
    stats, metrics = found.inference_stats, server.metrics()
    stage = {"model": model, "stage": "batch_wait"}
    return _Reading(
        Batches(count, seconds),
        stats.success.count,
        stats.fail.count,
        (metrics.total(f"{_STAGES}_sum", **stage), metrics.total(f"{_STAGES}_count", **stage)),
        (stats.compute_input.ns / _NS, stats.compute_input.count),
        threads.snapshot(server.pid),
    )


def _handover_s(before: _Reading, after: _Reading) -> float:
    """Return what a batch waited for its executor, on average over its requests."""
    waited = _mean(before.waits, after.waits) - _mean(before.inputs, after.inputs)
    return max(waited, 0.0)


def _mean(before: tuple[float, float], after: tuple[float, float]) -> float:
    count = after[1] - before[1]
    return (after[0] - before[0]) / count if count else 0.0


def _between(before: _Reading, after: _Reading, load: float, duration_s: float) -> Sounding:
    return Sounding(
        load=load,
        duration_s=duration_s,
        answered=after.answered - before.answered,
        refused=after.refused - before.refused,
        batches=after.batches.since(before.batches),
        handover_s=_handover_s(before, after),
        loop_s=threads.used(before.cpu, after.cpu).get(_LOOP, 0.0),
    )


class Site:
    """A running server, and the requests for it."""

    def __init__(self, server: Server, recipe: Recipe, manner: Manner) -> None:
        self._server = server
        self._recipe = recipe
        self._manner = manner
        self._metadata = server.metadata(recipe.model)
        server.verify(self._request(recipe.rows))

    def _request(self, rows: int) -> bytes:
        return payloads(replace(self._recipe, rows=rows), self._metadata)[0]

    def instances(self) -> int:
        """Return how many batches the server runs at a time."""
        groups = self._server.config(self._recipe.model).config.instance_group
        return sum(max(group.count, 1) for group in groups) or 1

    def alone_s(self) -> float:
        """Return the median latency of one caller who has the server to himself.

        Raises ServerFailed when he gets no answer.
        """
        load = Load(pattern=Closed(1), duration_s=_ALONE_S, deadline_s=1.0, connections=1)
        report = openload.fire(load, self._server.port, self._request(1))
        if report.ok is None:
            raise ServerFailed(f"{self._server.side.name} gave one caller no answer")
        return report.ok.p50_ms / 1000

    def replay(self, calls: Calls, *, load: float, duration_s: float) -> Replayed:
        """Make the calls; those that leave in the warm-up are not reported."""
        manner, model = self._manner, self._recipe.model
        with _scheduled(calls) as pattern:
            what = Load(
                pattern=pattern,
                warmup_s=manner.warmup_s,
                duration_s=duration_s,
                deadline_s=float(calls.within_ns.max(initial=0)) / _NS,
                grace_s=manner.grace_s,
                connections=manner.connections,
            )
            messages = [self._request(rows) for rows in sizes_of(calls)]
            with openload.firing(what, self._server.port, *messages) as shot:
                time.sleep(manner.warmup_s)
                before = _read(self._server, model)
                time.sleep(duration_s)
                after = _read(self._server, model)
                report = shot.report()
            ends = planned.read_ends(pattern.ends)
        own_s = report.generator_cores * duration_s
        others_s = threads.elsewhere(before.cpu, after.cpu, own_s)
        sounding = _between(before, after, load, duration_s)
        return Replayed(report, ends, sounding, others_s / duration_s)


@contextmanager
def _scheduled(calls: Calls) -> Iterator[Scheduled]:
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as directory:
        pattern = Scheduled(Path(directory, "rows"), Path(directory, "ends"))
        planned.write(pattern.rows, planned_of(calls))
        yield pattern
