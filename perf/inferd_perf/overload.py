"""Servers offered what they can take, and multiples of it: I/O around `capacity` and `rates`.

Calls leave in an open loop, each with a deadline. What counts is what was answered in time, how
soon the others were refused, and that nothing came late; and where the CPU went meanwhile.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from inferd.call import CRITICALITY
from inferd_perf import openload, threads
from inferd_perf.capacity import HOLDS, Bounds
from inferd_perf.openload import Closed, Load, Open
from inferd_perf.payload import Recipe, payloads
from inferd_perf.rates import Measurement
from inferd_perf.rounds import turns
from inferd_perf.servers import Server, placeholders, running
from inferd_perf.sides import Side

_GUESS_S, _GUESS_IN_FLIGHT = 2.0, 64
#: A closed loop gets this much more out of a server than callers who come when they like.
_GUESS_SHARE = 0.7
#: A rate is given up when it was missed in so many rounds: one may have been a neighbour's.
_MISSES = 2
#: And after so many, whatever came of them.
_MOST_ROUNDS = 6
_SETTLE_S = 1.0

Mix = Mapping[str, float]
"""What share of the calls says which `x-criticality`; "" says none."""

_ALIKE: Mix = {"": 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole measurement: at fixed rates, or at multiples of each side's own capacity."""

    sides: Sequence[Side]
    repository: Path
    recipe: Recipe
    #: Calls per second; empty: find the capacity and offer multiples of it.
    rates: Sequence[float]
    multiples: Sequence[float]
    tolerance: float
    rounds: int
    warmup_s: float
    duration_s: float
    deadline_s: float
    grace_s: float
    #: By each of the `mix`, which has a generator for each of its classes.
    connections: int
    threads: int
    ready_timeout_s: float
    mix: Mix = field(default_factory=lambda: _ALIKE)


def _load(plan: Plan, rate: float, seed: int, criticality: str) -> Load:
    return Load(
        pattern=Open(rate),
        warmup_s=plan.warmup_s,
        duration_s=plan.duration_s,
        deadline_s=plan.deadline_s,
        grace_s=plan.grace_s,
        connections=plan.connections,
        metadata={CRITICALITY: criticality} if criticality else {},
        seed=seed,
    )


def _measured(
    plan: Plan, server: Server, message: bytes, number: int, rate: float
) -> list[Measurement]:
    """Offer one rate, and return what came of it: for each class of the mix."""
    loads = {
        criticality: _load(plan, rate * share, len(plan.mix) * number + place, criticality)
        for place, (criticality, share) in enumerate(plan.mix.items(), start=1)
    }
    with ExitStack() as stack:
        shots = {
            criticality: stack.enter_context(openload.firing(load, server.port, message))
            for criticality, load in loads.items()
        }
        time.sleep(plan.warmup_s)
        before = threads.snapshot(server.pid)
        time.sleep(plan.duration_s)
        after = threads.snapshot(server.pid)
        reports = {criticality: shot.report() for criticality, shot in shots.items()}
    generators_s = sum(report.generator_cores for report in reports.values()) * plan.duration_s
    server_cores = {
        group: cpu_s / plan.duration_s for group, cpu_s in threads.used(before, after).items()
    }
    return [
        Measurement(
            side=f"{server.side.name} {criticality}".rstrip(),
            round=number,
            rate=rate * plan.mix[criticality],
            report=report,
            server_cores=server_cores,
            other_cores=threads.elsewhere(before, after, generators_s) / plan.duration_s,
        )
        for criticality, report in reports.items()
    ]


def _guess(plan: Plan, server: Server, message: bytes) -> float:
    load = Load(
        pattern=Closed(_GUESS_IN_FLIGHT),
        duration_s=_GUESS_S,
        deadline_s=1.0,
        connections=plan.connections,
    )
    return max(openload.fire(load, server.port, message).in_time_per_s * _GUESS_SHARE, 1.0)


def _find_capacity(
    plan: Plan, server: Server, message: bytes, tell: Callable[[Measurement], None]
) -> float:
    bounds, guess = Bounds(), _guess(plan, server, message)
    alike = replace(plan, mix=_ALIKE)

    def holds(rate: float) -> bool:
        misses = 0
        for number in range(_MOST_ROUNDS):
            (measured,) = _measured(alike, server, message, number, rate)
            tell(measured)
            time.sleep(_SETTLE_S)
            if measured.report.share_in_time >= HOLDS:
                return True
            # An INVALID round says something about the generator only.
            misses += not measured.report.faults
            if misses == _MISSES:
                break
        return False

    while (rate := bounds.next_rate(guess, plan.tolerance)) is not None:
        bounds = bounds.told(rate, holds=holds(rate))
    return bounds.held


def _message(plan: Plan, server: Server) -> bytes:
    message = payloads(plan.recipe, server.metadata(plan.recipe.model))[0]
    server.verify(message)
    return message


def capacities(plan: Plan, tell: Callable[[Measurement], None]) -> dict[str, float]:
    """Return the capacity of each side, in calls per second; 0: it holds no rate at all."""
    found = {}
    for side in plan.sides:
        values = placeholders(plan.repository, plan.recipe.model, plan.threads)
        with running(side, values) as server:
            server.wait_until_ready(plan.recipe.model, plan.ready_timeout_s)
            found[side.name] = _find_capacity(plan, server, _message(plan, server), tell)
    return found


def _turn(plan: Plan, side: Side, number: int, rates: Sequence[float]) -> Iterator[Measurement]:
    values = placeholders(plan.repository, plan.recipe.model, plan.threads)
    with running(side, values) as server:
        server.wait_until_ready(plan.recipe.model, plan.ready_timeout_s)
        message = _message(plan, server)
        for rate in rates:
            yield from _measured(plan, server, message, number, rate)
            time.sleep(_SETTLE_S)
        server.verify(message)


def run(
    plan: Plan, found: Mapping[str, float], tell: Callable[[Measurement], None]
) -> list[Measurement]:
    """Offer every rate to every side, in turns; `found` has the capacities, if they are asked for.

    Raises ServerFailed when a side does not start, answers wrongly or goes away,
    GeneratorFailed when it takes no connections, and NotBuilt when there is no generator.
    """
    by_name = {side.name: side for side in plan.sides}
    measurements = []
    for number, name in turns(list(by_name), plan.rounds):
        rates = plan.rates or [found[name] * multiple for multiple in plan.multiples if found[name]]
        for measurement in _turn(plan, by_name[name], number, rates):
            tell(measurement)
            measurements.append(measurement)
    return measurements
