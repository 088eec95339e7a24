"""Line charts as SVG: drawn here, so that a report is one file that asks nobody for anything.

A picture has to be read in print, on a dark screen, and by eyes that tell fewer colours apart. So
the colours stay distinct under the common kinds of colour blindness, their order is fixed, and a
line is told from the others by its mark, its dashes and its name at its end, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from xml.etree import ElementTree as ET

from inferd_perf.simulation.scales import Axis, Scale, exactly, spread_out, words

#: Six colours that differ by at least 0.15 in OKLab, also as seen with protanopia, deuteranopia and
#: tritanopia (Machado et al. 2009), and stand out from their ground by at least 3.2 to 1.
ON_LIGHT = ("#3a50c2", "#e86518", "#432b66", "#995169", "#6887ff", "#720500")
ON_DARK = ("#4eabcc", "#bf980d", "#6e5dd8", "#b84c59", "#3bf4f4", "#eadd24")

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif"
_TEXT_PX, _LINE_PX, _LETTER_PX = 12, 15, 6.6
_MARK_PX = 3.5


@dataclass(frozen=True, slots=True)
class Look:
    """The colours of a picture: literal ones, or a page's own (`var(--ink)`)."""

    ground: str
    ink: str
    faint: str
    grid: str
    colours: tuple[str, ...]


#: A card of its own, which reads the same on a light and on a dark page.
CARD = Look("#ffffff", "#1b1d21", "#5b6068", "#e3e5e8", ON_LIGHT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: its points in the order of x, and which of the looks it has."""

    name: str
    points: Sequence[tuple[float, float]]
    slot: int
    #: The lowest and the highest that was measured at each point; empty: one value was.
    spread: Sequence[tuple[float, float]] = ()
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture: its title, its axes, its size in pixels."""

    title: str
    x: Axis
    y: Axis
    width: int = 720
    height: int = 400
    look: Look = field(default=CARD)


def colour_of(look: Look, slot: int) -> str:
    """Return the colour of a slot; they come again after the last."""
    return look.colours[slot % len(look.colours)]


def style_of(**values: str | float) -> str:
    """Return declarations for a `style` attribute, where variables work too."""
    return ";".join(f"{name.replace('_', '-')}:{value}" for name, value in values.items())


def add(parent: ET.Element, tag: str, text: str = "", **attributes: str | float) -> ET.Element:
    """Append an element; numbers are rounded to what can be seen."""
    given = {
        name.replace("_", "-"): f"{value:.2f}" if isinstance(value, float) else str(value)
        for name, value in attributes.items()
    }
    element = ET.SubElement(parent, tag, given)
    element.text = text or None
    return element


def label(parent: ET.Element, text: str, x: float, y: float, fill: str, **more: str) -> None:
    """Write text; (x, y) is the left end of its base line unless `anchor` says else."""
    anchor = more.get("anchor", "start")
    weight = more.get("weight", "normal")
    style = style_of(fill=fill, text_anchor=anchor, font_weight=weight)
    add(parent, "text", text, x=x, y=y, style=style)


def canvas(title: str, width: int, height: int, look: Look) -> ET.Element:
    """Return an empty picture on its ground."""
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "style": style_of(font_family=_FONT, font_size=f"{_TEXT_PX}px", max_width="100%"),
        },
    )
    add(root, "title", title)
    add(root, "rect", width=width, height=height, rx=6, style=style_of(fill=look.ground))
    return root


def _mark(parent: ET.Element, shape: int, x: float, y: float, style: str) -> ET.Element:
    r = _MARK_PX
    match shape:
        case 0:
            return add(parent, "circle", cx=x, cy=y, r=r, style=style)
        case 1:
            return add(parent, "rect", x=x - r, y=y - r, width=2 * r, height=2 * r, style=style)
        case 2:
            corners = [(0.0, -1.3 * r), (1.3 * r, r), (-1.3 * r, r)]
        case 3:
            corners = [(0.0, -1.4 * r), (1.4 * r, 0.0), (0.0, 1.4 * r), (-1.4 * r, 0.0)]
        case 4:
            corners = [(0.0, 1.3 * r), (1.3 * r, -r), (-1.3 * r, -r)]
        case _:
            corners = [(-r, -0.6 * r), (r, -0.6 * r), (r, 0.6 * r), (-r, 0.6 * r)]
    text = " ".join(f"{x + dx:.2f},{y + dy:.2f}" for dx, dy in corners)
    return add(parent, "polygon", points=text, style=style)


def mark(parent: ET.Element, series: Series, x: float, y: float, look: Look) -> ET.Element:
    """Draw one of the series' marks: filled in the first round of colours, hollow after it."""
    colour = colour_of(look, series.slot)
    hollow = series.slot >= len(look.colours)
    style = style_of(fill=look.ground if hollow else colour, stroke=colour, stroke_width=1.5)
    return _mark(parent, series.slot % len(look.colours), x, y, style)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.2f},{y:.2f}" for x, y in points)


class _Drawing:
    """A chart on its way: the plot's edges, the scales, and what is drawn so far."""

    def __init__(self, chart: Chart, series: Sequence[Series]) -> None:
        self.chart, self.look = chart, chart.look
        self.series = [each for each in series if each.points]
        longest = max((len(each.name) for each in self.series), default=0)
        self.left, self.right = 56.0, chart.width - 36.0 - longest * _LETTER_PX
        self.top, self.bottom = 40.0, chart.height - 46.0
        points = [point for each in self.series for point in each.points]
        ends = [end for each in self.series for low_high in each.spread for end in low_high]
        self.x = Scale(chart.x, [x for x, _y in points], self.left, self.right)
        self.y = Scale(chart.y, [*(y for _x, y in points), *ends], self.bottom, self.top)
        self.root = canvas(chart.title, chart.width, chart.height, self.look)

    def frame(self) -> None:
        """Write the title and what the axes mean, and draw what values are read from."""
        look, chart = self.look, self.chart
        label(self.root, chart.title, self.left, 22, look.ink, weight="600")
        label(self.root, chart.y.label, self.left - 48, self.top - 4, look.faint)
        middle, below = (self.left + self.right) / 2, chart.height - 10.0
        label(self.root, chart.x.label, middle, below, look.faint, anchor="middle")
        for tick in self.y.ticks():
            y = self.y.at(tick)
            self._rule((self.left, y), (self.right, y), look.grid)
            text = words(tick, chart.y)
            label(self.root, text, self.left - 8, y + 4, look.faint, anchor="end")
        for tick in self.x.ticks():
            x = self.x.at(tick)
            self._rule((x, self.bottom), (x, self.bottom + 4), look.faint)
            text = words(tick, chart.x)
            label(self.root, text, x, self.bottom + 18, look.faint, anchor="middle")
        self._rule((self.left, self.bottom), (self.right, self.bottom), look.faint)

    def _rule(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        add(self.root, "path", d=_path([start, end]), style=style_of(stroke=colour))

    def line(self, series: Series) -> None:
        """Draw a series: how far its values are spread, its line, its marks."""
        group = add(self.root, "g", **{"data-series": series.name})
        places = [(self.x.at(x), self.y.at(y)) for x, y in series.points]
        colour = colour_of(self.look, series.slot)
        dashes = "6 3" if series.slot >= len(self.look.colours) else "none"
        for (x, _y), (low, high) in zip(places, series.spread, strict=False):
            style = style_of(stroke=colour, stroke_width=1, opacity=0.5)
            add(group, "line", x1=x, x2=x, y1=self.y.at(low), y2=self.y.at(high), style=style)
        width = 2.5 if series.strong else 1.4
        style = style_of(
            fill="none",
            stroke=colour,
            stroke_width=width,
            stroke_dasharray=dashes,
            stroke_linejoin="round",
        )
        add(group, "path", d=_path(places), style=style)
        for (x, y), (value_x, value_y) in zip(places, series.points, strict=True):
            drawn = mark(group, series, x, y, self.look)
            at, value = words(value_x, self.chart.x), exactly(value_y, self.chart.y)
            add(drawn, "title", f"{series.name}, {at}: {value}")

    def names(self) -> None:
        """Write each name where its line ends, and lead to it where it had to move."""
        ends = [(self.x.at(x), self.y.at(y)) for x, y in (s.points[-1] for s in self.series)]
        places = spread_out([y for _x, y in ends], self.top + 4, self.bottom, _LINE_PX)
        for series, (x, y), place in zip(self.series, ends, places, strict=True):
            group = add(self.root, "g", **{"data-series": series.name})
            style = style_of(stroke=self.look.faint, stroke_width=0.7, fill="none")
            lead = [(x + 5, y), (self.right + 9, place)]
            add(group, "path", d=_path(lead), style=style)
            mark(group, series, self.right + 15, place, self.look)
            weight = "600" if series.strong else "normal"
            written = (self.right + 23, place + 4)
            label(group, series.name, *written, self.look.ink, weight=weight)


def _paint_order(series: Sequence[Series]) -> list[Series]:
    return sorted(series, key=lambda each: each.strong)


def line_chart(chart: Chart, series: Sequence[Series]) -> ET.Element:
    """Return a chart as an SVG element. A series without points is left out.

    Raises ValueError when the points of a series are not in the order of x.
    """
    for each in series:
        if any(after[0] < before[0] for before, after in pairwise(each.points)):
            raise ValueError(f"the points of {each.name} are out of order")
    drawing = _Drawing(chart, series)
    drawing.frame()
    for each in _paint_order(drawing.series):
        drawing.line(each)
    drawing.names()
    return drawing.root


def text_of(picture: ET.Element) -> str:
    """Return a picture as the text of an SVG file, or of a part of a page."""
    return ET.tostring(picture, encoding="unicode")
