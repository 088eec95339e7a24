"""A report: as text for people, and as plain values for programs. What is invalid is said first."""

from collections.abc import Iterator, Sequence
from typing import Any

from inferd.experiments.analysis import Metric, Result
from inferd.experiments.statistics import Comparison, Interval


def text(results: Sequence[Result]) -> str:
    """Return what is to be read."""
    if not results:
        return "no exposures are on record"
    invalid = [each for each in results if each.invalid]
    first = [f"INVALID: {_title(each)}: {_why(each)}" for each in invalid]
    parts = ["\n".join(_told(each)) for each in results]
    return "\n\n".join([*(["\n".join(first)] if first else []), *parts])


def values(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return what is to be written as JSON."""
    return [_values(each) for each in results]


def _told(it: Result) -> Iterator[str]:
    units = sum(each.units for each in it.arms)
    yield f"{_title(it)}: {units} units"
    if it.invalid:
        yield f"  INVALID, and no figure below means anything: {_why(it)}"
    elif it.sample_ratio_p is None and it.score is None:
        yield "  the sizes of the arms cannot be checked: their weights are not known"
    if it.moved:
        yield f"  {it.moved} units were in two arms, and are left out"
    if it.score is not None and it.score_p is not None:
        wins = ", ".join(f"{team} {units}" for team, units in it.score.wins.items())
        yield f"  units that clicked more of whose: {wins}; as many of both {it.score.ties}"
        yield f"  sign test: p = {it.score_p:.4g}"
    rows = [_HEADINGS, *(row for metric in it.metrics for row in _rows(it, metric))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if len(rows) > 1:
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            yield f"  {'  '.join(cells)}".rstrip()


_HEADINGS = (
    "metric", "", "arm", "units", "value", "difference", "one look", "p", "any look", "p", "lift",
)  # fmt: skip


def _rows(it: Result, metric: Metric) -> Iterator[tuple[str, ...]]:
    against = [None, *metric.against]
    for arm, sample, other in zip(it.arms, metric.samples, against, strict=True):
        named = metric.name, metric.kind, arm.name, str(arm.units), f"{sample.value:.5g}"
        yield (*named, *(_cells(other) if other else ("",) * 6))


def _cells(it: Comparison) -> tuple[str, ...]:
    lift = "" if it.lift is None else f"{it.lift:+.2%}"
    if it.lift_interval is not None:
        lift += f" [{it.lift_interval.low:+.2%}, {it.lift_interval.high:+.2%}]"
    return (
        f"{it.difference:+.4g}",
        _interval(it.interval),
        f"{it.p:.3g}",
        _interval(it.always),
        f"{it.always_p:.3g}",
        lift,
    )


def _interval(it: Interval) -> str:
    return f"[{it.low:+.4g}, {it.high:+.4g}]"


def _title(it: Result) -> str:
    return f"{it.experiment}, revision {it.revision}"


def _why(it: Result) -> str:
    whole = sum(each.weight or 0.0 for each in it.arms) or 1.0
    sizes = ", ".join(
        f"{each.name} {each.units} ({(each.weight or 0.0) / whole:.0%} declared)"
        for each in it.arms
    )
    p = f"chi-square, p = {it.sample_ratio_p:.2g}"
    return f"the arms do not have the sizes declared ({p}): {sizes}"


def _values(it: Result) -> dict[str, Any]:
    score = None
    if it.score is not None:
        score = {"wins": dict(it.score.wins), "ties": it.score.ties, "p": it.score_p}
    return {
        "experiment": it.experiment,
        "revision": it.revision,
        "invalid": it.invalid,
        "sample_ratio_p": it.sample_ratio_p,
        "alpha": it.alpha,
        "moved": it.moved,
        "arms": [each._asdict() for each in it.arms],
        "metrics": [
            {"name": each.name, "kind": each.kind, "arms": _by_arm(it, each)} for each in it.metrics
        ],
        "interleaving": score,
    }


def _by_arm(it: Result, metric: Metric) -> list[dict[str, Any]]:
    against = [None, *metric.against]
    return [
        {"arm": arm.name, **sample._asdict(), "against_control": _comparison(other)}
        for arm, sample, other in zip(it.arms, metric.samples, against, strict=True)
    ]


def _comparison(it: Comparison | None) -> dict[str, Any] | None:
    return None if it is None else it._asdict()
