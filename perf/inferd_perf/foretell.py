"""The real server and the simulated one, given the same calls: the flow around `validation`.

The machine is measured first: the model alone, one caller alone, and then every load with calls
that are not those of the validation. What the simulator is told comes from there.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from inferd_perf import calibration, direct
from inferd_perf.calibration import Sounding
from inferd_perf.payload import Recipe
from inferd_perf.replay import Manner, Replayed, Site
from inferd_perf.repository import model_files
from inferd_perf.servers import placeholders, running
from inferd_perf.sides import Side, scheduled
from inferd_perf.simulation.calls import Batch, Calls, History
from inferd_perf.simulation.engine import Engine
from inferd_perf.simulation.front import Front
from inferd_perf.simulation.machine import Machine
from inferd_perf.simulation.served import discipline
from inferd_perf.simulation.suites import find
from inferd_perf.validation import Figures, Pair, figures_of, seen_of_server, seen_of_simulator

#: The batch sizes that are run directly.
SIZES = (1, 2, 4, 8, 16, 32, 64)
#: What calibrates: not one of the validated, and with seeds that are not theirs.
_SOUNDED, _FIRST_SEED = "w1-50", 1_000
_NS = 1_000_000_000

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is replayed, and which of the calibrations the simulator gets to know."""

    repository: Path
    recipe: Recipe
    manner: Manner
    workloads: Sequence[str]
    #: Shares of what the model can do beside everything else on the machine.
    loads: Sequence[float]
    scheduling: str
    rounds: int
    duration_s: float
    threads: int
    guard_ms: float
    shed_above_busy: float
    ready_timeout_s: float
    #: Of each direct batch size.
    direct_s: float
    #: Of each calibration run.
    sounding_s: float
    #: Where a figure is given, it is not calibrated.
    slowdown: float | None = None
    noise: float | None = None
    front: Front | None = None
    #: Between two runs.
    settle_s: float = 1.0

    @property
    def side(self) -> Side:
        """The server, told what the simulated one is told."""
        side = scheduled(self.scheduling, "envoy")
        more = {
            "INFERD__SERVER__ENVOY__SHED_ABOVE_BUSY": str(self.shed_above_busy),
            "INFERD__INFERENCE__GUARD_MS": str(self.guard_ms),
        }
        return replace(side, environment={**side.environment, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the simulator is told."""

    #: By direct runs, with nothing beside them.
    machine: Machine
    front: Front
    #: How many times as long runs take beside all the rest, by load.
    slowdowns: dict[float, float]
    #: Rows per second that count as a load of 1.
    capacity: float
    soundings: tuple[Sounding, ...]

    def machine_at(self, load: float) -> Machine:
        """Return the machine as it is under a load."""
        return calibration.slowed(self.machine, self.slowdowns[load])


class Place(Protocol):
    """Where calls are made: a `Site`, or a test's stand-in."""

    def alone_s(self) -> float:
        """Return the median latency of one caller who has the server to himself."""

    def replay(self, calls: Calls, *, load: float, duration_s: float) -> Replayed:
        """Make the calls; those that leave in the warm-up are not reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """One workload at one load in one round."""

    workload: str
    load: float
    rows_per_s: float
    round: int

    @property
    def seed(self) -> int:
        return self.round + 1

    def calls(self, plan: Plan) -> Calls:
        return find(self.workload).workload.calls(
            rows_per_s=self.rows_per_s,
            duration_s=plan.manner.warmup_s + plan.duration_s,
            seed=self.seed,
        )


def profile(plan: Plan, instances: int) -> Machine:
    """Run the model alone, and with as many beside it as there are instances."""
    model = model_files(plan.repository)[plan.recipe.model]
    n_threads, seconds = plan.threads, plan.direct_s
    alone = direct.timed(model, SIZES, threads=n_threads, seconds=seconds)
    beside = instances - 1
    together = (
        direct.timed(model, SIZES, threads=n_threads, seconds=seconds, beside=beside)
        if beside
        else []
    )
    machine = calibration.machine_of(plan.recipe.model, alone, together, instances)
    return machine if plan.noise is None else replace(machine, noise=plan.noise)


def _sound(plan: Plan, site: Place, rates: dict[float, float], tell: Tell) -> list[Sounding]:
    found = []
    for number, (load, rows_per_s) in enumerate(rates.items()):
        calls = find(_SOUNDED).workload.calls(
            rows_per_s=rows_per_s,
            duration_s=plan.manner.warmup_s + plan.sounding_s,
            seed=_FIRST_SEED + number,
        )
        tell(f"calibrating at {rows_per_s:.0f} rows/s")
        found.append(site.replay(calls, load=load, duration_s=plan.sounding_s).sounding)
        time.sleep(plan.settle_s)
    return found


def calibrate(plan: Plan, site: Place, machine: Machine, tell: Tell) -> Known:
    """Measure what the simulator is told, on the server that is to be foretold."""
    alone_s = site.alone_s()
    # What can be served beside everything else is less than what the model can do alone.
    (first,) = _sound(plan, site, {1.0: machine.rows_per_s}, tell)
    capacity = machine.rows_per_s / max(calibration.slowdown(machine, first), 1.0)
    soundings = _sound(plan, site, {load: load * capacity for load in plan.loads}, tell)
    front = plan.front or calibration.front_of(
        soundings, alone_s=alone_s, run_s=machine.seconds(1), guard_ms=plan.guard_ms
    )
    return Known(
        machine=machine,
        front=replace(front, shed_above_busy=plan.shed_above_busy),
        slowdowns={
            each.load: plan.slowdown or calibration.slowdown(machine, each) for each in soundings
        },
        capacity=capacity,
        soundings=(first, *soundings),
    )


def _simulate(plan: Plan, known: Known, case: _Case, calls: Calls) -> History:
    machine = known.machine_at(case.load)
    chosen = discipline(plan.scheduling, machine, plan.guard_ms, case.seed)
    return Engine(chosen, machine, calls, seed=case.seed, front=known.front).run()


def foretold(history: History, *, warmup_s: float, duration_s: float) -> Figures:
    """Return the figures of a simulation after its warm-up."""
    return figures_of(
        seen_of_simulator(history, warmup_s=warmup_s),
        duration_s=duration_s,
        batch=_rows_each(history.runs, round(warmup_s * _NS)),
    )


def _rows_each(runs: Sequence[Batch], from_ns: int) -> float | None:
    rows = [run.rows for run in runs if run.start_ns >= from_ns]
    return sum(rows) / len(rows) if rows else None


def _pair(plan: Plan, site: Place, known: Known, case: _Case) -> Pair:
    calls, duration_s = case.calls(plan), plan.duration_s
    replayed = site.replay(calls, load=case.load, duration_s=duration_s)
    history = _simulate(plan, known, case, calls)
    return Pair(
        workload=case.workload,
        load=case.load,
        round=case.round,
        server=figures_of(
            seen_of_server(calls, replayed.ends),
            duration_s=duration_s,
            batch=replayed.sounding.batches.rows_each,
        ),
        simulated=foretold(history, warmup_s=plan.manner.warmup_s, duration_s=duration_s),
        other_cores=replayed.other_cores,
        faults=replayed.report.faults,
    )


def _cases(plan: Plan, capacity: float) -> Iterator[_Case]:
    for number in range(plan.rounds):
        for name in plan.workloads:
            for load in plan.loads:
                yield _Case(workload=name, load=load, rows_per_s=load * capacity, round=number)


def _line(pair: Pair) -> str:
    return (
        f"round {pair.round + 1}  {pair.workload} at {pair.load:g}x: "
        f"{pair.server.goodput_per_s:.0f}/s in time,"
        f" {pair.simulated.goodput_per_s:.0f}/s foretold"
    )


def compare(plan: Plan, site: Place, known: Known, tell: Tell) -> Iterator[Pair]:
    """Replay and simulate every case; what the simulator is told does not change any more."""
    for case in _cases(plan, known.capacity):
        pair = _pair(plan, site, known, case)
        tell(_line(pair))
        yield pair
        time.sleep(plan.settle_s)


def validate(plan: Plan, tell: Tell) -> tuple[Known, list[Pair]]:
    """Calibrate, replay, simulate; return what the simulator was told, and how well it did.

    Raises KeyError for a workload that is not there, ServerFailed when the server does not
    start, answers wrongly or goes away, GeneratorFailed when it takes no connections, and
    NotBuilt when there is no generator.
    """
    for name in plan.workloads:
        find(name)
    values = placeholders(plan.repository, plan.recipe.model, plan.threads)
    with running(plan.side, values) as server:
        server.wait_until_ready(plan.recipe.model, plan.ready_timeout_s)
        site = Site(server, plan.recipe, plan.manner)
        machine = profile(plan, site.instances())
        tell(f"the model alone: {machine.rows_per_s:.0f} rows/s")
        known = calibrate(plan, site, machine, tell)
        return known, list(compare(plan, site, known, tell))
