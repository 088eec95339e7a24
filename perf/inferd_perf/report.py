"""Figures as text for people and as JSON for machines. Pure, except for `machine`."""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from inferd_perf.rounds import Standing
from inferd_perf.schedule import Window
from inferd_perf.stats import OK, Percentiles, Summary, Tally

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
