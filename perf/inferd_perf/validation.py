"""Whether the simulator foretells the server: the same figures of both, side by side. Pure.

Both are reduced to the same thing, what became of each call and when, and the figures are
computed by the same function.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inferd_perf.planned import Ended, Planned
from inferd_perf.report import number, table
from inferd_perf.rounds import known_median
from inferd_perf.simulation.calls import Calls, History, Outcome
from inferd_perf.stats import OK

_MS = 1e-6
_NS = 1_000_000_000
#: What the simulator is held to, as shares: goodput, and the 99th percentile of answers.
GOODPUT_WITHIN, P99_WITHIN = 0.05, 0.15


@dataclass(frozen=True, slots=True)
class Seen:
    """What callers saw, an entry per measured call: nanoseconds from when it was to leave."""

    within_ns: NDArray[np.int64]
    took_ns: NDArray[np.int64]
    ok: NDArray[np.bool_]
    #: Whether the server said anything.
    told: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures that are compared. None: there was nothing to take it from."""

    offered_per_s: float
    goodput_per_s: float
    #: Answered in time, of the offered.
    success: float
    #: Of those.
    p50_ms: float | None
    p99_ms: float | None
    #: Told that there is no answer, of the offered, and how soon.
    refused: float
    refused_p50_ms: float | None
    refused_p99_ms: float | None
    #: Rows in a batch.
    batch: float | None


def planned_of(calls: Calls) -> list[Planned]:
    """Return the calls as the generator takes them; the body is the number of the rows."""
    sizes = {rows: at for at, rows in enumerate(sizes_of(calls))}
    columns = (calls.sent_ns.tolist(), calls.within_ns.tolist(), calls.rows.tolist())
    return [
        Planned(sent, sent + within, sizes[rows])
        for sent, within, rows in zip(*columns, strict=True)
    ]


def sizes_of(calls: Calls) -> list[int]:
    """Return the different numbers of rows, ascending: one request for each."""
    return sorted(set(calls.rows.tolist()))


def seen_of_server(calls: Calls, ends: Sequence[Ended]) -> Seen:
    """Return what the generator wrote down."""
    rows = np.array([each.row for each in ends], np.int64)
    return Seen(
        within_ns=calls.within_ns[rows],
        took_ns=np.array([each.took_ns for each in ends], np.int64),
        ok=np.array([each.status == OK for each in ends], bool),
        told=np.array([not each.status.startswith("client:") for each in ends], bool),
    )


def seen_of_simulator(history: History, *, warmup_s: float) -> Seen:
    """Return what simulated callers saw after the warm-up. Calls are not tried again."""
    calls = history.calls
    measured = calls.sent_ns >= round(warmup_s * _NS)
    outcome = history.outcome[: len(calls)][measured]
    ended = history.ended_ns[: len(calls)][measured]
    return Seen(
        within_ns=calls.within_ns[measured],
        took_ns=ended - calls.sent_ns[measured],
        ok=outcome == Outcome.OK,
        told=outcome != Outcome.PENDING,
    )


def figures_of(seen: Seen, *, duration_s: float, batch: float | None) -> Figures:
    """Return the figures of a run that was measured for `duration_s`."""
    in_time = seen.ok & (seen.took_ns <= seen.within_ns)
    refused = seen.told & ~seen.ok
    count = max(len(seen.ok), 1)
    took_ms = seen.took_ns * _MS
    return Figures(
        offered_per_s=len(seen.ok) / duration_s,
        goodput_per_s=float(in_time.sum()) / duration_s,
        success=float(in_time.sum()) / count,
        p50_ms=_percentile(took_ms[in_time], 50),
        p99_ms=_percentile(took_ms[in_time], 99),
        refused=float(refused.sum()) / count,
        refused_p50_ms=_percentile(took_ms[refused], 50),
        refused_p99_ms=_percentile(took_ms[refused], 99),
        batch=batch,
    )


def _percentile(values: NDArray[np.floating[Any]], at: float) -> float | None:
    return float(np.percentile(values, at)) if len(values) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One workload at one load in one round: what the server did, and what was foretold."""

    workload: str
    load: float
    round: int
    server: Figures
    simulated: Figures
    #: Cores that others kept busy meanwhile: of those the simulator knows nothing.
    other_cores: float = 0.0
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The medians of a workload at a load over all rounds."""

    workload: str
    load: float
    server: Figures
    simulated: Figures

    def off(self, name: str) -> float | None:
        """Return by what share the simulator is above the server; None: nothing to compare."""
        real, foretold = getattr(self.server, name), getattr(self.simulated, name)
        if not real or foretold is None:
            return None
        return float(foretold / real - 1)

    @property
    def misses(self) -> list[str]:
        """What the simulator gets more wrong than it may."""
        limits = {"goodput_per_s": GOODPUT_WITHIN, "p99_ms": P99_WITHIN}
        off = {name: self.off(name) for name in limits}
        return [
            name
            for name, limit in limits.items()
            if (share := off[name]) is not None and abs(share) > limit
        ]


def _middle(figures: Sequence[Figures]) -> Figures:
    values: dict[str, Any] = {
        name: known_median([getattr(each, name) for each in figures])
        for name in Figures.__dataclass_fields__
    }
    return Figures(**values)


def verdicts(pairs: Sequence[Pair]) -> list[Verdict]:
    """Return the medians of every workload at every load, in the order in which they came."""
    groups: dict[tuple[str, float], list[Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.workload, pair.load), []).append(pair)
    return [
        Verdict(
            workload=workload,
            load=load,
            server=_middle([pair.server for pair in group]),
            simulated=_middle([pair.simulated for pair in group]),
        )
        for (workload, load), group in groups.items()
    ]


def typical_miss(found: Sequence[Verdict], name: str) -> float | None:
    """Return the median of the differences, whatever their sign."""
    off = [abs(share) for each in found if (share := each.off(name)) is not None]
    return median(off) if off else None


_COLUMNS = (
    ("goodput_per_s", "goodput/s"),
    ("success", "success"),
    ("p50_ms", "p50 ms"),
    ("p99_ms", "p99 ms"),
    ("refused", "refused"),
    ("refused_p50_ms", "by p50 ms"),
    ("refused_p99_ms", "by p99 ms"),
    ("batch", "batch"),
)
_SHARES = ("success", "refused")


def _text(name: str, value: float | None) -> str:
    return f"{value:.1%}" if name in _SHARES and value is not None else number(value)


def _difference(verdict: Verdict, name: str) -> str:
    share = verdict.off(name)
    return "-" if share is None else f"{share:+.1%}"


def validation_text(title: str, found: Sequence[Verdict]) -> str:
    """Return both sides of every workload and load, and the difference."""
    rows = []
    for each in found:
        where = [each.workload, f"{each.load:g}x"]
        for side, figures in (("server", each.server), ("simulated", each.simulated)):
            values = [_text(name, getattr(figures, name)) for name, _head in _COLUMNS]
            rows.append([*where, side, *values, ""])
        wrong = "misses: " + ", ".join(each.misses) if each.misses else "holds"
        rows.append([*where, "off", *(_difference(each, name) for name, _ in _COLUMNS), wrong])
    head = ["workload", "load", "side", *(text for _name, text in _COLUMNS), "verdict"]
    return f"{title}\n\n{table(head, rows)}\n\n{_closing(found)}"


def _closing(found: Sequence[Verdict]) -> str:
    held = sum(not each.misses for each in found)
    goodput, p99 = typical_miss(found, "goodput_per_s"), typical_miss(found, "p99_ms")
    texts = ["-" if share is None else f"{share:.1%}" for share in (goodput, p99)]
    return (
        f"{held} of {len(found)} within {GOODPUT_WITHIN:.0%} of the goodput and"
        f" {P99_WITHIN:.0%} of the p99; the median differences are {texts[0]} and {texts[1]}"
    )


def verdict_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values."""
    names = [name for name, _head in _COLUMNS]
    return {
        "workload": verdict.workload,
        "load": verdict.load,
        "server": asdict(verdict.server),
        "simulated": asdict(verdict.simulated),
        "off": {name: verdict.off(name) for name in names},
        "misses": verdict.misses,
    }
