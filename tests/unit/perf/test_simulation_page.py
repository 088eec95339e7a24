"""The report of a simulation: a whole page, and everything in it."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from inferd_perf.simulation import page
from inferd_perf.simulation.curves import CARD
from inferd_perf.simulation.page import Timeline
from inferd_perf.simulation.timeline import shades, timeline, wasted

SVG = "{http://www.w3.org/2000/svg}"
MS = 1_000_000
POLICIES = ["fifo", "nexus", "a<b>&'\"", "inferd-fail-fast", "inferd-goodput"]


@dataclass
class Batch:
    start_ns: int
    end_ns: int
    executor: int = 0
    rows: int = 4
    members: tuple[int, ...] = (0, 1, 2, 3)
    late: int = 0
    gone: int = 0


def cell(policy: str, load: float = 1.0, seed: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "policy": policy,
        "workload": "w1",
        "load": load,
        "seed": seed,
        "success": 0.5,
        "goodput_of_capacity": 0.75,
        "reject_ms_p50": None,
        "by_class": {"25 ms": 0.5},
        **more,
    }


CELLS = [cell(policy, load) for policy in POLICIES for load in (0.5, 1.0)]
LINES = {policy: Timeline(runs=[Batch(0, 5 * MS)], of="w1 at 1x") for policy in POLICIES}


class Reader(HTMLParser):
    """Checks that tags nest, and collects texts and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.handle_startendtag(tag, attrs)
        if tag in ("meta", "input"):
            self.open.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


def test_the_page_is_well_formed_and_names_every_policy(tmp_path: Path) -> None:
    page.write(tmp_path / "deep" / "report.html", CELLS, LINES)

    reader = read((tmp_path / "deep" / "report.html").read_text(encoding="utf-8"))
    for policy in POLICIES:
        assert reader.texts.count(policy) >= 4  # its switch, three curves, its cells
        assert ("data-series", policy) in reader.attributes
        assert f"{policy}, w1 at 1x" in reader.texts


def test_the_page_refers_to_nothing_outside_of_it() -> None:
    text = page.html_of(CELLS, LINES)

    names = {name for name, _value in read(text).attributes}
    assert not names & {"src", "href", "srcset", "onclick"}
    assert set(re.findall(r"https?://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}
    assert "url(" not in text
    assert "@import" not in text
    assert "<script" not in text


def test_every_picture_in_the_page_is_one_by_itself() -> None:
    pictures = re.findall(r"<svg.*?</svg>", page.html_of(CELLS, LINES), re.DOTALL)

    assert len(pictures) == 3 + 2 * len(POLICIES)
    assert {ET.fromstring(picture).tag for picture in pictures} == {f"{SVG}svg"}


def test_our_own_policies_come_first() -> None:
    assert page.policies_of(CELLS, ["more"]) == [
        "inferd-goodput",
        "inferd-fail-fast",
        "fifo",
        "nexus",
        "a<b>&'\"",
        "more",
    ]


def test_a_point_is_the_mean_of_its_seeds_and_knows_their_range() -> None:
    cells = [cell("fifo", seed=seed, success=value) for seed, value in enumerate((0.2, 0.3, 0.7))]

    titles = re.findall(r"<title>(fifo, 1: [^<]*)", page.html_of(cells, {}))

    assert "fifo, 1: 40.0 %" in titles


def test_what_was_not_measured_is_not_drawn() -> None:
    nothing = [cell("fifo", reject_ms_p50=value) for value in (None, float("nan"))]

    assert "Time to a refusal" in page.html_of(nothing, {})
    assert not re.search(r"<title>fifo, 1: nan", page.html_of(nothing, {}))


def test_the_table_has_every_cell_and_every_plain_figure() -> None:
    text = page.html_of([*CELLS, cell("fifo", jain=0.123456)], {})

    assert text.count("<tr>") == 1 + len(CELLS) + 1
    assert "<th>jain</th>" in text
    assert "0.1235" in text
    assert "by_class" not in text


def test_a_page_of_nothing_is_a_page() -> None:
    read(page.html_of([], {}))


def test_a_policy_is_hidden_when_it_is_not_checked() -> None:
    text = page.html_of([cell("a.b")], {})

    assert 'body:has(#show-0:not(:checked)) [data-series="a\\2e b"]{display:none}' in text


def rectangles(*runs: Batch, from_ms: int = 0, to_ms: int = 100) -> list[ET.Element]:
    picture = timeline("t", runs, from_ns=from_ms * MS, to_ns=to_ms * MS, look=CARD)
    return picture.findall("rect")[1:]


def test_a_batch_is_as_wide_as_it_took_and_as_high_as_it_had_rows() -> None:
    short, long = rectangles(Batch(0, 10 * MS, rows=1), Batch(20 * MS, 40 * MS, rows=4))

    assert float(long.get("width", 0)) > 1.9 * float(short.get("width", 0))
    assert float(long.get("height", 0)) == 4 * float(short.get("height", 0))


def test_every_executor_has_a_lane() -> None:
    lanes = {each.get("y") for each in rectangles(*(Batch(0, MS, executor=n) for n in (0, 1, 3)))}

    assert len(lanes) == 3


def test_batches_outside_of_what_is_shown_are_left_out() -> None:
    runs = [Batch(0, 10 * MS), Batch(10 * MS, 30 * MS), Batch(90 * MS, 95 * MS)]

    assert len(rectangles(*runs, from_ms=20, to_ms=90)) == 1


def test_a_batch_is_coloured_by_the_share_that_was_in_vain() -> None:
    runs = [Batch(n * MS, n * MS + MS, late=n, gone=1 if n else 0) for n in (0, 1, 3)]

    colours = [(each.get("style") or "").removeprefix("fill:") for each in rectangles(*runs)]

    assert [wasted(run) for run in runs] == [0.0, 0.5, 1.0]
    assert colours == [shade.colour for shade in shades(CARD)]
