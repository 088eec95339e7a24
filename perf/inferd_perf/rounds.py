"""Who runs when in a comparison, and what follows from the rounds. Pure.

Machines drift: neighbours come, clocks throttle. Sides therefore take turns (A B A B), each
figure is the median of its rounds, and a ratio is only ever taken between figures of the
same invocation. The lowest and highest rounds stand beside the median: where the ranges
of two sides overlap, they were not told apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One side at one concurrency, in one round."""

    side: str
    round: int
    concurrency: int
    rows_per_s: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    #: CPU that the server used for a row, in microseconds; all its threads and children.
    cpu_us_per_row: float | None = None
    #: Why the figure does not count.
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One side at one concurrency, over all rounds: medians."""

    side: str
    concurrency: int
    rows_per_s: float
    lowest_rows_per_s: float
    highest_rows_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_us_per_row: float | None
    #: Rows per second over those of the reference side; None: the reference did nothing.
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """Raw ONNX Runtime at one batch size."""

    batch: int
    rows_per_s: float
    run_us: float


def turns(sides: Sequence[str], rounds: int) -> list[tuple[int, str]]:
    """Return (round, side) in the order in which they run: A B A B."""
    return [(number, side) for number in range(rounds) for side in sides]


def limit_at(points: Sequence[Point], concurrency: int, rows: int) -> Point:
    """Return raw's best batch size of those that so many rows in flight can fill."""
    in_flight = concurrency * rows
    fillable = [point for point in points if point.batch <= in_flight]
    smallest = min(points, key=lambda point: point.batch)
    return max(fillable or [smallest], key=lambda point: point.rows_per_s)


def known_median(values: Sequence[float | None]) -> float | None:
    """Return the median of those that are known; None when none is."""
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _standing(group: Sequence[Measurement], reference_rows_per_s: float) -> Standing:
    rates = [m.rows_per_s for m in group]
    rate = median(rates)
    return Standing(
        side=group[0].side,
        concurrency=group[0].concurrency,
        rows_per_s=rate,
        lowest_rows_per_s=min(rates),
        highest_rows_per_s=max(rates),
        p50_ms=known_median([m.p50_ms for m in group]),
        p99_ms=known_median([m.p99_ms for m in group]),
        cpu_us_per_row=known_median([m.cpu_us_per_row for m in group]),
        ratio=rate / reference_rows_per_s if reference_rows_per_s else None,
    )


def standings(measurements: Sequence[Measurement], reference: str) -> list[Standing]:
    """Return the medians of every side at every concurrency, with ratios to `reference`."""
    groups: dict[tuple[int, str], list[Measurement]] = {}
    for m in measurements:
        groups.setdefault((m.concurrency, m.side), []).append(m)
    found = []
    for (concurrency, _side), group in sorted(groups.items(), key=lambda item: item[0][0]):
        of_reference = [m.rows_per_s for m in groups.get((concurrency, reference), [])]
        found.append(_standing(group, median(of_reference) if of_reference else 0.0))
    return found


def faults(measurements: Sequence[Measurement]) -> list[str]:
    """Return the faults of all measurements, each with its place."""
    return [
        f"{m.side}, round {m.round + 1}, concurrency {m.concurrency}: {fault}"
        for m in measurements
        for fault in m.faults
    ]
