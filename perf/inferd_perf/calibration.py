"""The simulator's machine and front, from what was measured on the server beforehand. Pure.

What goes in comes from runs of its own: direct runs of the model, one caller alone, and loads
with other seeds than those that are validated. Nothing is fitted to what is to be predicted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from inferd_perf.direct import Timed
from inferd_perf.simulation.front import Front
from inferd_perf.simulation.machine import Machine

_US = 1e6
#: Of what the loop does for a call that is answered: before it is queued, and up to there.
_RECEIVE_SHARE, _ADMIT_SHARE = 0.33, 0.30
#: What is taken for a batch as such, however large: putting it together, handing it over.
_DISPATCH_US = 40.0
#: A refusal takes a call's way in, too.
_LEAST_US = 1.0


@dataclass(frozen=True, slots=True)
class Batches:
    """What the server ran between two moments: per size, how many, and how long together."""

    count: Mapping[int, int]
    seconds: Mapping[int, float]

    @property
    def number(self) -> int:
        """How many batches there were."""
        return sum(self.count.values())

    @property
    def total_s(self) -> float:
        """How long they took together."""
        return sum(self.seconds.values())

    @property
    def rows_each(self) -> float | None:
        """The rows of a batch, on average; None without any."""
        rows = sum(size * count for size, count in self.count.items())
        return rows / self.number if self.number else None

    def since(self, before: "Batches") -> "Batches":
        """Return what came after an earlier moment."""
        count = {size: n - before.count.get(size, 0) for size, n in self.count.items()}
        seconds = {size: s - before.seconds.get(size, 0.0) for size, s in self.seconds.items()}
        ran = [size for size, n in count.items() if n > 0]
        return Batches({s: count[s] for s in ran}, {s: seconds[s] for s in ran})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sounding:
    """What one calibration run showed. Counts and times are of its measured part."""

    load: float
    duration_s: float
    answered: int
    #: By the event loop: those that Envoy turns away cost it nothing.
    refused: int
    batches: Batches
    #: From handing a batch over until somebody begins with it, on average.
    handover_s: float
    #: CPU of the thread that takes the calls.
    loop_s: float


def machine_of(
    name: str, alone: Sequence[Timed], together: Sequence[Timed], instances: int
) -> Machine:
    """Return the machine that direct runs show; `together`: with all instances at work."""
    spreads = sorted(each.spread for each in alone)
    sharing = 0.0
    if together and instances > 1:
        ratios = sorted(
            busy.median_s / idle.median_s for busy, idle in zip(together, alone, strict=True)
        )
        sharing = max(ratios[len(ratios) // 2] - 1.0, 0.0) / (instances - 1)
    return Machine(
        name=name,
        profile_ms=tuple((each.rows, each.median_s * 1000) for each in alone),
        instances=instances,
        noise=spreads[len(spreads) // 2],
        sharing=sharing,
    )


def slowdown(machine: Machine, sounding: Sounding) -> float:
    """Return how many times as long batches took beside everything else on the same cores.

    That they are handed over counts, too: a core may have something else to do just then.

    1 when there were none. Executors that slow each other down are in `machine` already.
    """
    batches = sounding.batches
    expected = sum(machine.seconds(size) * n for size, n in batches.count.items())
    if not expected:
        return 1.0
    took_s = batches.total_s + sounding.handover_s * batches.number
    running = min(max(took_s / sounding.duration_s, 1.0), float(machine.instances))
    return took_s / (expected * (1.0 + machine.sharing * (running - 1.0)))


def slowed(machine: Machine, factor: float) -> Machine:
    """Return the machine with runs that take `factor` times as long."""
    profile = tuple((rows, ms * factor) for rows, ms in machine.profile_ms)
    return replace(machine, profile_ms=profile)


def front_of(
    soundings: Sequence[Sounding], *, alone_s: float, run_s: float, guard_ms: float
) -> Front:
    """Return what calls cost the event loop, from the CPU that it took under two loads or more.

    `alone_s` is a lone caller's median latency, of which the model takes `run_s`.
    """
    answer_us, refuse_us = loop_costs_us(soundings)
    receive_us = _RECEIVE_SHARE * min(answer_us, refuse_us / _RECEIVE_SHARE)
    around_us = (alone_s - run_s) * _US - answer_us - _DISPATCH_US
    return Front(
        name="calibrated",
        receive_us=receive_us,
        admit_us=_ADMIT_SHARE * answer_us,
        refuse_us=max(refuse_us - receive_us, _LEAST_US),
        answer_us=max(answer_us * (1 - _ADMIT_SHARE) - receive_us, _LEAST_US),
        dispatch_us=_DISPATCH_US,
        round_trip_us=max(around_us, 0.0),
        guard_ms=guard_ms,
    )


def loop_costs_us(soundings: Sequence[Sounding]) -> tuple[float, float]:
    """Return the microseconds of an answer and of a refusal, batches taken off.

    The answer's cost is from the run with the smallest share of refusals, and a refusal's from
    that with the largest; where nothing was refused, it is what a call takes to come in.
    """
    ordered = sorted(soundings, key=lambda each: each.refused / max(each.answered, 1))
    light, heavy = ordered[0], ordered[-1]
    answer_us = max(_busy_us(light) / max(light.answered + light.refused, 1), _LEAST_US)
    if not heavy.refused:
        return answer_us, answer_us * _RECEIVE_SHARE
    left_us = _busy_us(heavy) - heavy.answered * answer_us
    return answer_us, max(left_us / heavy.refused, _LEAST_US)


def _busy_us(sounding: Sounding) -> float:
    return sounding.loop_s * _US - sounding.batches.number * _DISPATCH_US
