"""Servers against baselines, in turns, in one invocation: the I/O around `rounds`.

One server is alive at a time, started afresh for every turn: the others cannot take its
CPU, and the luck of one process (addresses, hash seeds) is not mistaken for a difference.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from inferd_perf import h2load, rounds
from inferd_perf.payload import Recipe, defect, framed, payloads
from inferd_perf.rounds import Measurement, Point
from inferd_perf.servers import Server, ServerFailed, placeholders, running
from inferd_perf.sides import RAW, Side
from inferd_perf.stats import INVALID_EXIT

Tool = Literal["h2load", "own"]

#: Answers that may be missing because the run ended between their bytes.
_MISSING_SHARE = 0.001
_SPARE_S = 20.0


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
    channels: int
    threads: int
    ready_timeout_s: float
    tool: Tool


@dataclass(frozen=True, slots=True)
class _Sample:
    """What a tool saw: good rows are counted by the caller."""

    answers: float
    elapsed_s: float
    p50_ms: float | None
    p99_ms: float | None
    faults: tuple[str, ...] = ()


def _checked(command: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ServerFailed(f"{command[0]} did not end within {timeout_s:g} s") from error
    if done.returncode not in (0, INVALID_EXIT):
        output = f"{done.stdout}\n{done.stderr}"[-2000:].strip()
        raise ServerFailed(f"{command[0]} exited with {done.returncode}\n{output}")
    return done


def _with_h2load(plan: Plan, server: Server, concurrency: int, seconds: float) -> _Sample:
    request = payloads(plan.recipe, server.metadata(plan.recipe.model))[0]
    answer_bytes = len(framed(_verified(server, request)))
    with tempfile.TemporaryDirectory(prefix="inferd-perf-") as scratch:
        body, log = Path(scratch, "body"), Path(scratch, "log")
        body.write_bytes(framed(request))
        command = h2load.command(
            server.target,
            body,
            log,
            concurrency=concurrency,
            channels=plan.channels,
            duration_s=seconds,
            deadline_s=plan.deadline_s,
        )
        result = h2load.parse(_checked(command, seconds + _SPARE_S).stdout)
        with log.open(encoding="ascii") as lines:
            latency = h2load.latencies(lines).summary()
    _verified(server, request)
    answers = result.real_answers(answer_bytes)
    return _Sample(
        answers,
        result.elapsed_s,
        None if latency is None else latency.p50_ms,
        None if latency is None else latency.p99_ms,
        tuple(_h2load_faults(result, answers)),
    )


def _h2load_faults(result: h2load.Result, answers: float) -> Iterator[str]:
    if result.done == 0:
        yield "no request was answered"
        return
    if result.failed:
        yield f"{result.failed} requests failed"
    missing = result.succeeded - answers
    if missing > result.succeeded * _MISSING_SHARE:
        yield f"about {missing:.0f} of {result.succeeded} answers were gRPC errors"


def _verified(server: Server, request: bytes) -> bytes:
    answer = server.infer(request)
    wrong = defect(answer)
    if wrong is not None:
        raise server.failed(f"gave a wrong answer: {wrong}")
    return answer


def _with_own(plan: Plan, server: Server, concurrency: int, seconds: float) -> _Sample:
    shapes = [
        f"--shape={name}={','.join(map(str, shape))}" for name, shape in plan.recipe.shapes.items()
    ]
    with tempfile.NamedTemporaryFile(prefix="inferd-perf-", suffix=".json") as report:
        command = [
            *(sys.executable, "-m", "inferd_perf.cli", "run"),
            f"--target={server.target}",
            f"--model={plan.recipe.model}",
            f"--concurrency={concurrency}",
            f"--channels={min(plan.channels, concurrency)}",
            "--warmup-s=0",
            f"--duration-s={seconds}",
            f"--deadline-ms={plan.deadline_s * 1000}",
            f"--rows={plan.recipe.rows}",
            f"--data={plan.recipe.data}",
            f"--json={report.name}",
            *shapes,
        ]
        _checked(command, seconds + plan.deadline_s + _SPARE_S)
        found = json.load(report)
    summary = found["summary"]
    latency = summary["latency"] or {"p50_ms": None, "p99_ms": None}
    failed = summary["requests"] - summary["good"]
    faults = [*found["faults"], *([f"{failed} requests failed or were late"] if failed else [])]
    return _Sample(
        summary["good"], summary["elapsed_s"], latency["p50_ms"], latency["p99_ms"], tuple(faults)
    )


def _measured(plan: Plan, server: Server, number: int, concurrency: int) -> Measurement:
    sample = _with_h2load if plan.tool == "h2load" else _with_own
    if plan.warmup_s:
        sample(plan, server, concurrency, plan.warmup_s)
    before_s = server.cpu_s()
    seen = sample(plan, server, concurrency, plan.duration_s)
    cpu_s = server.cpu_s() - before_s
    rows = seen.answers * plan.recipe.rows
    return Measurement(
        side=server.side.name,
        round=number,
        concurrency=concurrency,
        rows_per_s=rows / seen.elapsed_s,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        cpu_us_per_row=cpu_s * 1e6 / rows if rows else None,
        faults=seen.faults,
    )


def _raw_turn(plan: Plan, side: Side, number: int) -> Iterator[Measurement]:
    values = placeholders(plan.repository, plan.recipe.model, plan.threads)
    found = json.loads(_checked(side.words(values), 120.0).stdout)
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

    Raises ServerFailed when a side does not start, answers wrongly or goes away.
    """
    by_name = {side.name: side for side in plan.sides}
    measurements = []
    for number, name in rounds.turns(list(by_name), plan.rounds):
        for measurement in _turn(plan, by_name[name], number):
            tell(measurement)
            measurements.append(measurement)
    return measurements
