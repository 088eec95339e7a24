"""Goodput over what was offered, as a picture, with others' published points for scale."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from inferd_perf.rates import Measurement
from inferd_perf.simulation.curves import Chart, Series, line_chart, text_of
from inferd_perf.simulation.scales import Axis


class NoReference(ValueError):
    """A file of points is none; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What somebody else's server did: (offered, in time) in calls per second, ascending."""

    label: str
    points: tuple[tuple[float, float], ...]


def references_of(text: str) -> list[Reference]:
    """Read `{"label": …, "points": [[offered, in time], …]}`, or a list of such.

    Raises NoReference when it is neither.
    """
    try:
        found = json.loads(text)
        return [
            Reference(
                str(each["label"]), tuple(sorted((float(x), float(y)) for x, y in each["points"]))
            )
            for each in (found if isinstance(found, list) else [found])
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise NoReference(f"not a label and points: {error}") from error


def read_references(path: Path | None) -> list[Reference]:
    """Read a file of references; none without a file. Raises NoReference, naming the file."""
    if path is None:
        return []
    try:
        return references_of(path.read_text(encoding="utf-8"))
    except (OSError, NoReference) as error:
        raise NoReference(f"{path}: {error}") from error


def _of_side(measurements: Sequence[Measurement]) -> dict[float, list[float]]:
    """Return the goodput of every round, by rate, ascending."""
    found: dict[float, list[float]] = {}
    for m in measurements:
        found.setdefault(m.rate, []).append(m.report.in_time_per_s)
    return dict(sorted(found.items()))


def goodput_series(
    measurements: Sequence[Measurement], references: Sequence[Reference]
) -> list[Series]:
    """Return a line for each side, through the medians of its rounds, and for each reference."""
    sides = dict.fromkeys(m.side for m in measurements)
    lines = []
    for slot, side in enumerate(sides):
        by_rate: Mapping[float, list[float]] = _of_side([m for m in measurements if m.side == side])
        lines.append(
            Series(
                name=side,
                points=[(rate, median(values)) for rate, values in by_rate.items()],
                spread=[(min(values), max(values)) for values in by_rate.values()],
                slot=slot,
                strong=slot == 0,
            )
        )
    for slot, reference in enumerate(references, start=len(lines)):
        lines.append(Series(name=reference.label, points=reference.points, slot=slot))
    return lines


def goodput_svg(
    title: str, measurements: Sequence[Measurement], references: Sequence[Reference] = ()
) -> str:
    """Return the picture as the text of an SVG file."""
    chart = Chart(
        title=title,
        x=Axis(label="offered, calls/s", low=0.0),
        y=Axis(label="in time, calls/s", low=0.0),
    )
    return text_of(line_chart(chart, goodput_series(measurements, references))) + "\n"
