"""Which workloads on which machines: for tuning, for the gate, and held out for reporting.

Nothing may be tuned on what is reported. `TUNING` is what parameters are searched on; `MAIN`
has the profile and the workloads that the issues and CI speak of; `HELD_OUT` has other
profiles, other deadlines, other bursts and other seeds than both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from inferd_perf.simulation.arrivals import functions, gamma, mmpp, poisson, ramp, steps
from inferd_perf.simulation.calls import Retries
from inferd_perf.simulation.machine import Machine
from inferd_perf.simulation.workloads import Key, Kind, Rows, Trouble, Workload

#: A MatMul+Tanh of 24 layers, 512 wide, one thread: measured, milliseconds by batch size.
PROBE = Machine(
    name="probe",
    profile_ms=((1, 1.46), (2, 1.83), (4, 1.87), (8, 2.18), (16, 3.09), (32, 5.05), (64, 8.9)),
)
#: A model that gains little from batches: 16 rows take 12 ms.
AFFINE = Machine(name="affine", profile_ms=((1, 4.5), (16, 12.0)), noise=0.05)
#: `mlp_large` of `inferd-perf models`, one thread.
MLP_LARGE = Machine(
    name="mlp_large",
    profile_ms=((1, 0.62), (2, 0.8), (4, 1.2), (8, 2.1), (16, 3.9), (32, 7.5), (64, 14.0)),
    noise=0.05,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A workload, and the machine it meets."""

    machine: Machine
    workload: Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A named set. Its seeds are its own."""

    name: str
    entries: Mapping[str, Entry]
    seeds: tuple[int, ...]


def _suite(name: str, seeds: tuple[int, ...], *sets: tuple[Machine, tuple[Workload, ...]]) -> Suite:
    entries = {
        each.name: Entry(machine=machine, workload=each)
        for machine, workloads in sets
        for each in workloads
    }
    return Suite(name=name, entries=entries, seeds=seeds)


_MIXED_MS = (5.0, 10.0, 25.0, 50.0, 100.0)
_CRITICAL = (Kind(share=0.2, name="critical", weight=10.0), Kind(share=0.8, name="sheddable"))
_TEN_AND_ONE = (0.8, *[0.02] * 10)
_ONE_SLOW = Trouble(slow=((0.3, 0.6, 2.0),))
_SIZES = (
    Rows(share=0.92, least=1, most=1),
    Rows(share=0.07, least=2, most=16),
    Rows(share=0.01, least=65, most=160),
)
_LENGTHS = (
    Key(share=0.5, key=64, cost=0.5),
    Key(share=0.25, key=128, cost=1.0),
    Key(share=0.25, key=256, cost=2.0),
)
_BURST = ((0.3, 0.5), (0.5, 3.0), (0.0, 0.8))

MAIN = _suite(
    "main",
    (1, 2, 3, 4, 5),
    (
        PROBE,
        (
            Workload(
                name="w1", title="Poisson, 25 ms", arrive=poisson, deadlines_ms=(25.0,),
                loads=(0.3, 0.5, 0.8, 0.95, 1.0, 1.2, 1.5, 2.0, 5.0, 10.0),
            ),
            Workload(
                name="w1-10", title="Poisson, 10 ms", arrive=poisson, deadlines_ms=(10.0,),
                loads=(0.3, 0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="w1-50", title="Poisson, 50 ms", arrive=poisson, deadlines_ms=(50.0,),
                loads=(0.3, 0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="w2", title="Poisson, 5 to 100 ms", arrive=poisson, deadlines_ms=_MIXED_MS,
                loads=(0.3, 0.5, 0.8, 0.95, 1.0, 1.2, 1.5, 2.0, 5.0, 10.0),
            ),
            Workload(
                name="w3", title="bursts (MMPP), 5 to 100 ms", deadlines_ms=_MIXED_MS,
                arrive=partial(mmpp, ratio=6.0, low_s=0.2, high_s=0.05),
                loads=(0.3, 0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="w3-50", title="bursts (MMPP), 50 ms", deadlines_ms=(50.0,),
                arrive=partial(mmpp, ratio=6.0, low_s=0.2, high_s=0.05),
                loads=(0.3, 0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="w4", title="gamma gaps, CV 4, 5 to 100 ms", deadlines_ms=_MIXED_MS,
                arrive=partial(gamma, cv=4.0), loads=(0.3, 0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="w5", title="many functions, as in Azure's trace", deadlines_ms=_MIXED_MS,
                arrive=partial(
                    functions, count=20, zipf=1.1, minute_s=0.2, spread=0.5, cvs=(2.0, 4.0)
                ),
                loads=(0.3, 0.5, 0.8, 0.95, 1.2, 2.0),
            ),
            Workload(
                name="w6", title="0.5x, 200 ms of 3x, 0.8x; 25 ms", deadlines_ms=(25.0,),
                arrive=partial(steps, phases=_BURST), burst_over_s=0.5,
            ),
            Workload(
                name="w6-retry", title="the same, with clients that retry", deadlines_ms=(25.0,),
                arrive=partial(steps, phases=_BURST), burst_over_s=0.5, retries=Retries(),
            ),
            Workload(
                name="w7", title="ramp from 0.1x to 2x, 25 ms", deadlines_ms=(25.0,),
                arrive=partial(ramp, low=0.1, high=2.0),
            ),
            Workload(
                name="w8", title="requests of up to 160 rows", arrive=poisson, rows=_SIZES,
                deadlines_ms=(25.0, 50.0, 100.0), loads=(0.5, 0.8, 1.2),
            ),
            Workload(
                name="w8-poison", title="1 % poison", arrive=poisson, poison_share=0.01,
                deadlines_ms=(25.0, 50.0, 100.0), loads=(0.3, 0.5),
            ),
            Workload(
                name="w9", title="three sequence lengths", deadlines_ms=(25.0, 50.0, 100.0),
                arrive=poisson, keys=_LENGTHS, loads=(0.5, 0.8, 1.2),
            ),
            Workload(
                name="w10", title="half as fast for 30 % of the time, 25 ms", arrive=poisson,
                deadlines_ms=(25.0,), trouble=_ONE_SLOW, loads=(0.7, 1.2),
            ),
            Workload(
                name="w10-stalls", title="1 % of the runs stall, 5 to 100 ms", arrive=poisson,
                deadlines_ms=_MIXED_MS, trouble=Trouble(stall_share=0.01), loads=(0.5, 0.8, 1.2),
            ),
            Workload(
                name="priority", title="20 % critical, 25 ms", arrive=poisson,
                deadlines_ms=(25.0,), kinds=_CRITICAL, loads=(0.8, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="bulk", title="one caller makes 80 % of the calls, 25 ms", arrive=poisson,
                deadlines_ms=(25.0,), callers=_TEN_AND_ONE, loads=(0.8, 1.2, 2.0, 5.0),
            ),
        ),
    ),
)  # fmt: skip

TUNING = _suite(
    "tuning",
    (101, 102, 103),
    (
        PROBE,
        (
            Workload(
                name="t1", title="Poisson, 20 ms", arrive=poisson, deadlines_ms=(20.0,),
                loads=(0.7, 1.1, 1.7),
            ),
            Workload(
                name="t2", title="Poisson, 6 to 80 ms", arrive=poisson,
                deadlines_ms=(6.0, 15.0, 35.0, 80.0), loads=(0.7, 0.9, 1.3),
            ),
            Workload(
                name="t3", title="bursts (MMPP), 6 to 80 ms",
                deadlines_ms=(6.0, 15.0, 35.0, 80.0),
                arrive=partial(mmpp, ratio=5.0, low_s=0.25, high_s=0.06), loads=(0.6, 0.9),
            ),
        ),
    ),
)  # fmt: skip

_LARGE_MS, _AFFINE_MS = (8.0, 20.0, 40.0, 80.0), (12.0, 30.0, 60.0)
_OTHER_BURST = ((0.3, 0.6), (0.45, 2.5), (0.0, 0.7))

HELD_OUT = _suite(
    "held-out",
    (11, 12, 13, 14, 15),
    (
        AFFINE,
        (
            Workload(
                name="h1", title="affine: Poisson, 35 ms", arrive=poisson, deadlines_ms=(35.0,),
                loads=(0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="h2", title="affine: Poisson, 12 to 60 ms", arrive=poisson,
                deadlines_ms=_AFFINE_MS, loads=(0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="h3", title="affine: short bursts (MMPP), 12 to 60 ms",
                deadlines_ms=_AFFINE_MS, loads=(0.5, 0.8, 1.2),
                arrive=partial(mmpp, ratio=8.0, low_s=0.15, high_s=0.03),
            ),
            Workload(
                name="h4", title="affine: gamma gaps, CV 3, 45 ms", deadlines_ms=(45.0,),
                arrive=partial(gamma, cv=3.0), loads=(0.5, 0.8, 1.2),
            ),
            Workload(
                name="h-bulk", title="affine: one caller makes 60 % of the calls, 45 ms",
                arrive=poisson, deadlines_ms=(45.0,), callers=(0.6, *[0.1] * 4), loads=(1.2, 2.5),
            ),
        ),
    ),
    (
        MLP_LARGE,
        (
            Workload(
                name="k1", title="mlp_large: Poisson, 40 ms", arrive=poisson, deadlines_ms=(40.0,),
                loads=(0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="k2", title="mlp_large: Poisson, 8 to 80 ms", arrive=poisson,
                deadlines_ms=_LARGE_MS, loads=(0.5, 0.8, 0.95, 1.2, 2.0, 5.0),
            ),
            Workload(
                name="k3", title="mlp_large: long bursts (MMPP), 8 to 80 ms",
                deadlines_ms=_LARGE_MS, loads=(0.5, 0.8, 1.2),
                arrive=partial(mmpp, ratio=4.0, low_s=0.3, high_s=0.1),
            ),
            Workload(
                name="k5", title="mlp_large: few functions, 8 to 80 ms", deadlines_ms=_LARGE_MS,
                arrive=partial(
                    functions, count=8, zipf=0.8, minute_s=0.3, spread=0.7, cvs=(2.0, 4.0)
                ),
                loads=(0.5, 0.8),
            ),
            Workload(
                name="k6", title="mlp_large: 0.6x, 150 ms of 2.5x, 0.7x; retries; 40 ms",
                deadlines_ms=(40.0,), arrive=partial(steps, phases=_OTHER_BURST),
                burst_over_s=0.45, retries=Retries(),
            ),
            Workload(
                name="k10", title="mlp_large: slower by half for a while, stalls, 8 to 80 ms",
                arrive=poisson, deadlines_ms=_LARGE_MS, loads=(0.7,),
                trouble=Trouble(slow=((0.4, 0.6, 1.5),), stall_share=0.02, stall_factor=4.0),
            ),
            Workload(
                name="k-priority", title="mlp_large: 15 % critical, 40 ms", arrive=poisson,
                deadlines_ms=(40.0,), loads=(1.5, 2.5),
                kinds=(
                    Kind(share=0.15, name="critical", weight=10.0),
                    Kind(share=0.85, name="sheddable"),
                ),
            ),
        ),
    ),
)  # fmt: skip

SUITES = {suite.name: suite for suite in (MAIN, TUNING, HELD_OUT)}


def find(workload: str) -> Entry:
    """Return a workload by its name, whatever its suite. Raises `KeyError`."""
    for suite in SUITES.values():
        if workload in suite.entries:
            return suite.entries[workload]
    known = [name for suite in SUITES.values() for name in suite.entries]
    raise KeyError(f"no workload {workload!r}; there are {', '.join(known)}")
