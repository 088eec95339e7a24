"""The report of a simulation: one HTML file that needs nothing else.

Curves over the load for every workload, what ran when for every policy, and all cells as a table.
It has no script: policies are hidden and shown by a style sheet that looks at check boxes.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

from inferd_perf.simulation.curves import (
    CARD,
    ON_DARK,
    ON_LIGHT,
    Chart,
    Look,
    Series,
    canvas,
    line_chart,
    mark,
    text_of,
)
from inferd_perf.simulation.scales import Axis
from inferd_perf.simulation.timeline import Ran, shades, timeline

Cell = Mapping[str, Any]
"""One object of `inferd-perf simulate --json`: a policy under a workload at a load, with a seed."""

_OURS = ("inferd-goodput", "inferd-fail-fast")
_PAGE = Look(
    "var(--ground)",
    "var(--ink)",
    "var(--faint)",
    "var(--grid)",
    tuple(f"var(--c{number})" for number in range(len(ON_LIGHT))),
)
_CHART_WIDTH, _CHART_HEIGHT = 520, 340
#: What a timeline shows unless told: more would be a blur.
_SHOWN_NS = 300_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The batches of one policy, in nanoseconds from the start, and which of them to show."""

    runs: Sequence[Ran]
    #: Of what: the workload and the load.
    of: str = ""
    from_ns: int = 0
    to_ns: int = _SHOWN_NS


@dataclass(frozen=True, slots=True)
class _Figure:
    """A curve's name, the cells' key behind it, and its axis."""

    title: str
    key: str
    axis: Axis


_FIGURES = (
    _Figure(
        "Goodput",
        "goodput_of_capacity",
        Axis(label="of capacity", percent=True, low=0.0),
    ),
    _Figure("Success", "success", Axis(label="of offered", percent=True, low=0.0, high=1.0)),
    _Figure("Time to a refusal, median", "reject_ms_p50", Axis(label="ms", low=0.0)),
)


def policies_of(cells: Sequence[Cell], more: Sequence[str] = ()) -> list[str]:
    """Return the policies, inferd's first, then in the order in which they come."""
    found = list(dict.fromkeys([*(str(cell["policy"]) for cell in cells), *more]))
    return sorted(found, key=lambda name: _OURS.index(name) if name in _OURS else len(_OURS))


def _number(value: Any) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _points(cells: Sequence[Cell], key: str) -> list[tuple[float, list[float]]]:
    """Return the loads, ascending, each with what the seeds had; loads without figures are not."""
    by_load: dict[float, list[float]] = {}
    for cell in cells:
        value = _number(cell.get(key))
        if value is not None:
            by_load.setdefault(float(cell["load"]), []).append(value)
    return sorted(by_load.items())


def _series(cells: Sequence[Cell], key: str, policies: Sequence[str]) -> list[Series]:
    found = []
    for slot, policy in enumerate(policies):
        points = _points([cell for cell in cells if cell["policy"] == policy], key)
        found.append(
            Series(
                name=policy,
                points=[(load, fmean(values)) for load, values in points],
                spread=[(min(values), max(values)) for _load, values in points],
                slot=slot,
                strong=policy in _OURS,
            )
        )
    return found


def _curve(figure: _Figure, cells: Sequence[Cell], policies: Sequence[str], look: Look) -> str:
    loads = sorted({float(cell["load"]) for cell in cells})
    chart = Chart(
        title=figure.title,
        x=Axis(label="load, of capacity", log=True, ticks=loads),
        y=figure.axis,
        width=_CHART_WIDTH,
        height=_CHART_HEIGHT,
        look=look,
    )
    return text_of(line_chart(chart, _series(cells, figure.key, policies)))


def _curves(cells: Sequence[Cell], policies: Sequence[str]) -> str:
    pictures = [_curve(figure, cells, policies, _PAGE) for figure in _FIGURES]
    return f'<div class="row">{"".join(pictures)}</div>'


def _workloads(cells: Sequence[Cell], policies: Sequence[str]) -> str:
    names = dict.fromkeys(str(cell["workload"]) for cell in cells)
    parts = []
    for name in names:
        of_it = [cell for cell in cells if cell["workload"] == name]
        parts.append(f"<h3>{escape(name)}</h3>{_curves(of_it, policies)}")
    return "".join(parts)


def _swatch(policy: str, slot: int) -> str:
    picture = canvas(policy, 14, 14, _PAGE)
    mark(picture, Series(name=policy, points=[], slot=slot), 7, 7, _PAGE)
    return text_of(picture)


def _switches(policies: Sequence[str]) -> str:
    boxes = [
        f'<label><input type="checkbox" id="show-{slot}" checked>{_swatch(policy, slot)}'
        f"{escape(policy)}</label>"
        for slot, policy in enumerate(policies)
    ]
    return f'<fieldset class="policies"><legend>Policies</legend>{"".join(boxes)}</fieldset>'


def _css_string(text: str) -> str:
    """Return a string of CSS, with everything escaped that could end it."""
    inner = re.sub(r"[^\w-]", lambda found: f"\\{ord(found[0]):x} ", text)
    return f'"{inner}"'


def _hiding(policies: Sequence[str]) -> str:
    """Return the rules that hide what is not checked."""
    return "".join(
        f"body:has(#show-{slot}:not(:checked)) [data-series={_css_string(policy)}]"
        "{display:none}\n"
        for slot, policy in enumerate(policies)
    )


def _timelines(timelines: Mapping[str, Timeline], policies: Sequence[str]) -> str:
    if not timelines:
        return ""
    key = "".join(
        f'<span><i style="background:{shade.colour}"></i>{escape(shade.name)}</span>'
        for shade in shades(_PAGE)
    )
    parts = [
        f'<h2>Batches</h2><p class="key">{key}</p>'
        "<p>One rectangle for each batch: as wide as it took, as high as it had rows.</p>"
    ]
    for policy in (each for each in policies if each in timelines):
        picture = _batches(policy, timelines[policy], _PAGE)
        parts.append(f'<div data-series="{escape(policy)}">{picture}</div>')
    return "".join(parts)


def _batches(policy: str, of: Timeline, look: Look) -> str:
    title = f"{policy}, {of.of}" if of.of else policy
    return text_of(timeline(title, of.runs, from_ns=of.from_ns, to_ns=of.to_ns, look=look))


def _cell_text(value: Any) -> str:
    number = _number(value)
    if number is not None and not isinstance(value, int):
        return f"{number:.4g}"
    return "" if value is None else escape(str(value))


def _policy(cell: Cell) -> str:
    return str(cell["policy"])


def _columns(cells: Sequence[Cell]) -> list[str]:
    """Return the keys whose values are plain, in the order in which they come."""
    keys = dict.fromkeys(key for cell in cells for key in cell)
    return [
        key for key in keys if not any(isinstance(cell.get(key), dict | list) for cell in cells)
    ]


def _table(cells: Sequence[Cell]) -> str:
    columns = _columns(cells)
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    bodies = []
    for policy, group in groupby(cells, _policy):
        rows = "".join(
            "<tr>" + "".join(f"<td>{_cell_text(cell.get(c))}</td>" for c in columns) + "</tr>"
            for cell in group
        )
        bodies.append(f'<tbody data-series="{escape(policy)}">{rows}</tbody>')
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead>{"".join(bodies)}</table></div>'


def _colours(colours: Sequence[str]) -> str:
    return "".join(f"--c{number}:{colour};" for number, colour in enumerate(colours))


_STYLE = f"""
:root{{color-scheme:light dark;--ground:#fff;--ink:#1b1d21;--faint:#5b6068;--grid:#e3e5e8;
{_colours(ON_LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{--ground:#16181c;--ink:#eceef1;--faint:#a2a7ae;
--grid:#2c3036;{_colours(ON_DARK)}}}}}
body{{font:15px/1.5 system-ui,sans-serif;background:var(--ground);color:var(--ink);
margin:0 auto;padding:1.5rem;max-width:1640px}}
h1{{font-size:1.5rem}} h2{{margin-top:2.5rem}} h3{{margin:1.5rem 0 .25rem}}
.row{{display:flex;flex-wrap:wrap;gap:.75rem}} .wide{{overflow-x:auto}}
.policies{{position:sticky;top:0;z-index:1;background:var(--ground);border:1px solid var(--grid);
border-radius:6px}}
.policies label{{display:inline-flex;gap:.3rem;align-items:center;margin-right:1rem}}
.key span{{margin-right:1.25rem}}
.key i{{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:.4rem}}
table{{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums}}
td,th{{padding:.15rem .6rem;text-align:right;border-bottom:1px solid var(--grid)}}
td:nth-child(-n+2),th:nth-child(-n+2){{text-align:left}}
"""


def html_of(cells: Sequence[Cell], timelines: Mapping[str, Timeline]) -> str:
    """Return the whole page."""
    policies = policies_of(cells, list(timelines))
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width"/>'
        f"<title>inferd-perf simulate</title><style>{_STYLE}{_hiding(policies)}</style></head>"
        f"<body><h1>Policies, simulated</h1>{_switches(policies)}"
        "<p>Means over the seeds; a thin line from the lowest to the highest.</p>"
        f"<h2>Over the load</h2>{_workloads(cells, policies)}{_timelines(timelines, policies)}"
        f"<h2>Cells</h2>{_table(cells)}</body></html>\n"
    )


def write(path: Path, cells: Sequence[Cell], timelines: Mapping[str, Timeline]) -> None:
    """Write the report of `cells`, and of what ran under each policy in `timelines`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html_of(cells, timelines), encoding="utf-8")


def write_pictures(
    directory: Path, cells: Sequence[Cell], timelines: Mapping[str, Timeline]
) -> None:
    """Write the pictures as files of their own: `<workload>-<figure>.svg`, `<policy>.svg`."""
    directory.mkdir(parents=True, exist_ok=True)
    policies = policies_of(cells, list(timelines))
    for workload in dict.fromkeys(str(cell["workload"]) for cell in cells):
        of = [cell for cell in cells if cell["workload"] == workload]
        for figure in _FIGURES:
            picture = _curve(figure, of, policies, CARD)
            (directory / f"{workload}-{figure.key}.svg").write_text(picture, encoding="utf-8")
    for policy, shown in timelines.items():
        picture = _batches(policy, shown, CARD)
        (directory / f"{policy}.svg").write_text(picture, encoding="utf-8")
