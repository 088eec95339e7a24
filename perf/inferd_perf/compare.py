"""Servers against baselines, in turns, in one invocation: the I/O around `rounds`.

One server is alive at a time, started afresh for every turn: the others cannot take its
CPU, and the luck of one process (addresses, hash seeds) is not mistaken for a difference.
"""

import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inferd_perf import openload, rounds
from inferd_perf.openload import Closed, Load, Report
from inferd_perf.payload import Recipe, payloads
from inferd_perf.rounds import Measurement, Point
from inferd_perf.servers import Server, ServerFailed, placeholders, running
from inferd_perf.sides import RAW, Side
from inferd_perf.stats import OK

_RAW_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole comparison."""

    sides: Sequence[Side]
    #: The name of the side that ratios are taken against.
    reference: str
    repository: Path
    recipe: Recipe
    concurrencies: Sequence[int]
    rounds: int
    warmup_s: float
    duration_s: float
    deadline_s: float
    connections: int
    idle_connections: int
    threads: int
    ready_timeout_s: float


def _load(plan: Plan, concurrency: int, seconds: float) -> Load:
    return Load(
        pattern=Closed(concurrency),
        duration_s=seconds,
        deadline_s=plan.deadline_s,
        connections=min(plan.connections, concurrency),
        idle_connections=plan.idle_connections,
    )


def _faults(plan: Plan, report: Report) -> Iterator[str]:
    yield from report.faults
    for status, latency in report.answers.items():
        if status != OK:
            yield f"{latency.count} of {report.calls} calls ended with {status}"
    if report.late_ok is not None:
        yield f"{report.late_ok.count} answers were late"
    closed = plan.idle_connections - report.connections["idle_open"]
    if closed:
        yield f"{closed} of {plan.idle_connections} idle connections were closed"


def _measured(plan: Plan, server: Server, number: int, concurrency: int) -> Measurement:
    message = payloads(plan.recipe, server.metadata(plan.recipe.model))[0]
    server.verify(message)
    if plan.warmup_s:
        openload.fire(_load(plan, concurrency, plan.warmup_s), server.port, message)
    before_s = server.cpu_s()
    report = openload.fire(_load(plan, concurrency, plan.duration_s), server.port, message)
    cpu_s = server.cpu_s() - before_s
    server.verify(message)
    rows = report.in_time * plan.recipe.rows
    return Measurement(
        side=server.side.name,
        round=number,
        concurrency=concurrency,
        rows_per_s=report.in_time_per_s * plan.recipe.rows,
        p50_ms=report.ok.p50_ms if report.ok else None,
        p99_ms=report.ok.p99_ms if report.ok else None,
        cpu_us_per_row=cpu_s * 1e6 / rows if rows else None,
        faults=tuple(_faults(plan, report)),
    )


def _raw_report(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_RAW_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ServerFailed(f"{command[0]} did not end within {_RAW_S:g} s") from error
    if done.returncode:
        output = f"{done.stdout}\n{done.stderr}"[-2000:].strip()
        raise ServerFailed(f"{command[0]} exited with {done.returncode}\n{output}")
    return done.stdout


def _raw_turn(plan: Plan, side: Side, number: int) -> Iterator[Measurement]:
    values = placeholders(plan.repository, plan.recipe.model, plan.threads)
    found = json.loads(_raw_report(side.words(values)))
    points = [Point(**point) for point in found["points"]]
    for concurrency in plan.concurrencies:
        best = rounds.limit_at(points, concurrency, plan.recipe.rows)
        run_ms = best.run_us / 1000
        yield Measurement(
            side=side.name,
            round=number,
            concurrency=concurrency,
            rows_per_s=best.rows_per_s,
            p50_ms=run_ms,
            cpu_us_per_row=None,
        )


def _turn(plan: Plan, side: Side, number: int) -> Iterator[Measurement]:
    if side.name == RAW:
        yield from _raw_turn(plan, side, number)
        return
    values = placeholders(plan.repository, plan.recipe.model, plan.threads)
    with running(side, values) as server:
        server.wait_until_ready(plan.recipe.model, plan.ready_timeout_s)
        for concurrency in plan.concurrencies:
            yield _measured(plan, server, number, concurrency)


def run(plan: Plan, tell: Callable[[Measurement], None]) -> list[Measurement]:
    """Run every turn; `tell` hears of each measurement as it is made.

    Raises ServerFailed when a side does not start, answers wrongly or goes away,
    GeneratorFailed when it takes no connections, and NotBuilt when there is no generator.
    """
    by_name = {side.name: side for side in plan.sides}
    measurements = []
    for number, name in rounds.turns(list(by_name), plan.rounds):
        for measurement in _turn(plan, by_name[name], number):
            tell(measurement)
            measurements.append(measurement)
    return measurements
