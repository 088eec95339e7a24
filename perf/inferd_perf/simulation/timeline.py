"""What ran when, as SVG: a rectangle for each batch, a lane for each executor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from xml.etree import ElementTree as ET

from inferd_perf.simulation.curves import Look, add, canvas, label, style_of
from inferd_perf.simulation.scales import Axis, Scale, words

_LANE_PX, _GAP_PX, _LEFT_PX, _RIGHT_PX = 56.0, 12.0, 16.0, 16.0
_TOP_PX, _BOTTOM_PX = 34.0, 44.0
_MS = 1e-6


class Ran(Protocol):
    """A batch that has been run; `simulation.calls.Batch` is one. Times in nanoseconds."""

    start_ns: int
    end_ns: int
    executor: int
    rows: int
    #: The attempts in it, by number.
    members: tuple[int, ...]
    #: Members whose callers had gone when it ended, and those who were answered too late.
    gone: int
    late: int


@dataclass(frozen=True, slots=True)
class Shade:
    """A colour, and the share of members in vain up to which a batch has it."""

    up_to: float
    name: str
    colour: str


def shades(look: Look) -> tuple[Shade, ...]:
    """Return the colours of batches, from those that served everybody to those for nobody."""
    good, bad = look.colours[0], look.colours[1]
    return (
        Shade(0.0, "all in time", good),
        Shade(0.5, "up to half too late", f"color-mix(in oklab, {good} 50%, {bad})"),
        Shade(1.0, "more than half too late", bad),
    )


def wasted(ran: Ran) -> float:
    """Return the share of the members that were late or had gone."""
    return (ran.late + ran.gone) / max(len(ran.members), 1)


def _shade(ran: Ran, steps: Sequence[Shade]) -> Shade:
    share = wasted(ran)
    return next((step for step in steps if share <= step.up_to), steps[-1])


class _Lanes:
    """Where a batch is drawn, up and down: a lane for each executor, full at the largest batch."""

    def __init__(self, runs: Sequence[Ran]) -> None:
        self._executors = sorted({ran.executor for ran in runs}) or [0]
        self._most_rows = max((ran.rows for ran in runs), default=1)
        self.bottom = _TOP_PX + len(self._executors) * (_LANE_PX + _GAP_PX) - _GAP_PX

    def of(self, ran: Ran) -> tuple[float, float]:
        """Return the upper edge and the height of a batch."""
        lane = self._executors.index(ran.executor)
        floor = _TOP_PX + lane * (_LANE_PX + _GAP_PX) + _LANE_PX
        height = max(_LANE_PX * ran.rows / self._most_rows, 1.5)
        return floor - height, height


def timeline(
    title: str, runs: Sequence[Ran], *, from_ns: int, to_ns: int, look: Look, width: int = 1080
) -> ET.Element:
    """Return the batches between two moments: as wide as they took, as high as they had rows."""
    lanes = _Lanes(runs)
    root = canvas(title, width, int(lanes.bottom + _BOTTOM_PX), look)
    label(root, title, _LEFT_PX, 22, look.ink, weight="600")
    axis = Axis(label="ms", low=from_ns * _MS, high=to_ns * _MS)
    scale = Scale(axis, [], _LEFT_PX, width - _RIGHT_PX)
    steps = shades(look)
    for ran in runs:
        if ran.end_ns > from_ns and ran.start_ns < to_ns:
            _rectangle(root, ran, scale, lanes.of(ran), _shade(ran, steps).colour)
    floor = lanes.bottom
    for tick in scale.ticks():
        label(root, words(tick, axis), scale.at(tick), floor + 18, look.faint, anchor="middle")
    end = width - _RIGHT_PX
    add(root, "line", x1=_LEFT_PX, x2=end, y1=floor, y2=floor, style=style_of(stroke=look.faint))
    label(root, axis.label, end, floor + 34, look.faint, anchor="end")
    return root


def _rectangle(
    root: ET.Element, ran: Ran, scale: Scale, place: tuple[float, float], colour: str
) -> None:
    left, right = scale.at(ran.start_ns * _MS), scale.at(ran.end_ns * _MS)
    # A hair of ground between neighbours, so that two batches are not one.
    width = max(right - left - 0.6, 0.6)
    top, height = place
    style = style_of(fill=colour)
    drawn = add(root, "rect", x=left, y=top, width=width, height=height, style=style)
    took = (ran.end_ns - ran.start_ns) * _MS
    add(drawn, "title", f"{ran.rows} rows, {took:.2f} ms, {ran.late} late, {ran.gone} gone")
