"""Figures as text for people and as JSON for machines. Pure, except for `machine`."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from inferd_perf import rates
from inferd_perf.rounds import Standing
from inferd_perf.schedule import Window
from inferd_perf.stats import OK, Percentiles, Summary, Tally

if TYPE_CHECKING:
    from inferd_perf.churn import Outcome

_PACKAGES = ("inferd", "grpcio", "uvloop", "onnxruntime", "numpy")


def number(value: float | None) -> str:
    """Return a figure with at least three significant digits; a dash for none."""
    if value is None:
        return "-"
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return aligned columns: the first to the left, the others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def percentiles_line(percentiles: Percentiles | None) -> str:
    """Return a distribution on one line, in milliseconds."""
    if percentiles is None:
        return "-"
    p = percentiles
    values = {"p50": p.p50_ms, "p90": p.p90_ms, "p99": p.p99_ms, "p99.9": p.p999_ms}
    return "  ".join(f"{k} {number(v)}" for k, v in [*values.items(), ("max", p.max_ms)])


def progress_line(now_s: float, window: Window, tally: Tally) -> str:
    """Return one line about a run that is under way."""
    phase = "warm-up" if now_s < window.warmup_s else "measuring"
    return (
        f"{phase} {now_s:.1f}/{window.end_s:.1f} s  sent {tally.sent:,}  "
        f"in flight {tally.in_flight:,}  in time {tally.good:,}"
    )


def statuses_line(summary: Summary) -> str:
    """Return the answers by gRPC status, most frequent first."""
    parts = []
    for status, count in summary.statuses.items():
        late = f" ({summary.late:,} late)" if status == OK and summary.late else ""
        parts.append(f"{status} {count:,}{late}")
    return "  ".join(parts) or "-"


def verdict_line(faults: Sequence[str]) -> str:
    """Return VALID, or INVALID with the reasons."""
    return f"INVALID: {'; '.join(faults)}" if faults else "VALID"


def run_text(title: str, summary: Summary, cpu_cores: float, faults: Sequence[str]) -> str:
    """Return the report of one run."""
    rows = [
        ("goodput", f"{number(summary.goodput_rps)} /s  OK answers within the deadline"),
        ("throughput", f"{number(summary.throughput_rps)} /s  answers of any status"),
        ("latency ms", f"{percentiles_line(summary.latency)}  OK answers, from the intended send"),
        ("failed ms", percentiles_line(summary.failure_latency)),
        ("lag ms", f"{percentiles_line(summary.lag)}  actual send minus intended"),
        ("status", statuses_line(summary)),
        ("measured", f"{summary.requests:,} requests in {summary.elapsed_s:.2f} s"),
        ("generator", f"{cpu_cores:.2f} cores"),
    ]
    body = "\n".join(f"{name:<10}  {value}" for name, value in rows)
    return f"{title}\n\n{body}\n\n{verdict_line(faults)}"


def comparison_text(
    title: str, standings: Sequence[Standing], reference: str, faults: Sequence[str]
) -> str:
    """Return the table of a comparison."""
    head = [
        "side",
        "in flight",
        "rows/s",
        "low..high",
        f"x {reference}",
        "p50 ms",
        "p99 ms",
        "cpu us/row",
    ]
    rows = [
        [
            s.side,
            str(s.concurrency),
            number(s.rows_per_s),
            f"{number(s.lowest_rows_per_s)}..{number(s.highest_rows_per_s)}",
            number(s.ratio),
            number(s.p50_ms),
            number(s.p99_ms),
            number(s.cpu_us_per_row),
        ]
        for s in standings
    ]
    return f"{title}\n\n{table(head, rows)}\n\n{verdict_line(faults)}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def cores_line(standing: rates.Standing) -> str:
    """Return where the CPU went, in cores; groups under a hundredth are left out."""
    groups = [*standing.server_cores.items()]
    groups += [("generator", standing.generator_cores), ("elsewhere", standing.other_cores)]
    return "  ".join(f"{name} {cores:.2f}" for name, cores in groups if cores >= 0.01)


def _overload_table(standings: Sequence[rates.Standing]) -> str:
    head = ["side", "offered/s", "in time/s", "share", "of capacity"]
    head += ["late OK", "by ms", "no answer", "lag p99 ms"]
    rows = [
        [
            s.side,
            number(s.rate),
            number(s.in_time_per_s),
            _share(s.share),
            _share(s.of_capacity),
            f"{s.late:,}",
            number(s.latest_ms),
            f"{s.unanswered:,}",
            number(s.lag_p99_ms),
        ]
        for s in standings
    ]
    return table(head, rows)


def _answers_table(standings: Sequence[rates.Standing]) -> str:
    head = ["side", "offered/s", "answer", "/s", "p50 ms", "p99 ms"]
    rows = [
        [s.side, number(s.rate), name, number(a.per_s), number(a.p50_ms), number(a.p99_ms)]
        for s in standings
        for name, a in s.answers.items()
    ]
    return table(head, rows)


def overload_text(title: str, standings: Sequence[rates.Standing], faults: Sequence[str]) -> str:
    """Return the tables of an overload: what came of the calls, and where the CPU went."""
    capacities = {s.side: s.capacity for s in standings if s.capacity is not None}
    found = [f"{side} {number(each)}/s" for side, each in capacities.items()]
    cores = [f"{s.side} at {number(s.rate)}/s: {cores_line(s)}" for s in standings]
    parts = [
        title,
        *([f"capacity: {', '.join(found)}"] if found else []),
        _overload_table(standings),
        _answers_table(standings),
        "\n".join(["cores", *cores]),
        verdict_line(faults),
    ]
    return "\n\n".join(parts)


def churn_text(title: str, outcomes: Mapping[str, "Outcome"], faults: Sequence[str]) -> str:
    """Return what each server kept of its clients."""
    parts = [title]
    for name, outcome in outcomes.items():
        sessions = "  ".join(f"{how} {n:,}" for how, n in outcome.report.sessions.items())
        answers = "  ".join(f"{how} {p.count:,}" for how, p in outcome.report.answers.items())
        memory = [reading.rss_bytes / 1e6 for reading in outcome.readings]
        rows = [
            ("sessions", sessions),
            ("calls", answers),
            (
                "memory MB",
                f"{memory[0]:.1f} to {memory[-1]:.1f}, {min(memory):.1f} at least, "
                f"{max(memory):.1f} at most",
            ),
            ("growth", f"{outcome.growth:+.2%} over the last two thirds"),
            ("files", f"{outcome.before.open_files} before, {outcome.after.open_files} after"),
        ]
        parts.append(name + "\n" + "\n".join(f"{what:<10}  {value}" for what, value in rows))
    return "\n\n".join([*parts, verdict_line(faults)])


def run_json(
    settings: Mapping[str, Any], summary: Summary, cpu_cores: float, faults: Sequence[str]
) -> dict[str, Any]:
    """Return one run as plain values."""
    return {
        "kind": "run",
        "valid": not faults,
        "faults": list(faults),
        "settings": dict(settings),
        "summary": asdict(summary),
        "generator_cpu_cores": cpu_cores,
    }


def _version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Return where and when this was measured; the load averages tell of neighbours."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average": list(os.getloadavg()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version_of(name) for name in _PACKAGES},
    }
