"""The curve of goodput over offered load: what is drawn of rounds and of others' points."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from inferd_perf.picture import (
    NoReference,
    Reference,
    goodput_series,
    goodput_svg,
    read_references,
    references_of,
)
from inferd_perf.rates import Measurement
from inferd_perf.sides import SCHEDULINGS, scheduled
from unit.perf.test_rates import REPORT, measurement

TRITON = Reference("Triton", ((2365.0, 2365.0), (3939.0, 0.0)))


def measured(side: str, rate: float, in_time: int, number: int = 0) -> Measurement:
    report = replace(REPORT, elapsed_s=1.0, in_time=in_time)
    return replace(measurement(number, report, rate), side=side)


def test_a_side_is_a_line_through_the_medians_of_its_rounds() -> None:
    rounds = [measured("goodput", 100.0, n, at) for at, n in enumerate((10, 90, 80))]

    (line,) = goodput_series(rounds, [])

    assert line.points == [(100.0, 80.0)]
    assert line.spread == [(10.0, 90.0)]


def test_rates_ascend_however_they_were_measured() -> None:
    (line,) = goodput_series([measured("a", rate, 1) for rate in (500.0, 100.0, 300.0)], [])

    assert [x for x, _y in line.points] == [100.0, 300.0, 500.0]


def test_references_are_drawn_after_the_sides_in_looks_of_their_own() -> None:
    sides = [measured(name, 100.0, 1) for name in SCHEDULINGS]

    lines = goodput_series(sides, [TRITON])

    assert [line.name for line in lines] == [*SCHEDULINGS, "Triton"]
    assert [line.slot for line in lines] == [0, 1, 2, 3]
    assert [line.strong for line in lines] == [True, False, False, False]


def test_the_file_is_a_picture_with_every_name() -> None:
    svg = goodput_svg("mlp_large", [measured("goodput", 100.0, 1)], [TRITON])

    texts = {element.text for element in ET.fromstring(svg).iter() if element.text}
    assert {"mlp_large", "goodput", "Triton"} <= texts


def test_references_are_one_or_several(tmp_path: Path) -> None:
    one = '{"label": "Triton", "points": [[3939, 0], [2365, 2365]]}'
    (tmp_path / "points.json").write_text(one)

    assert references_of(one) == [TRITON]
    assert references_of(f"[{one}, {one}]") == [TRITON, TRITON]
    assert read_references(tmp_path / "points.json") == [TRITON]
    assert read_references(None) == []


@pytest.mark.parametrize(
    "text", ["", "3", "[1]", '{"label": "x"}', '{"label": "x", "points": [[1]]}']
)
def test_a_file_without_points_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "points.json").write_text(text)

    with pytest.raises(NoReference, match=r"points\.json: not a label and points"):
        read_references(tmp_path / "points.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoReference, match="nowhere"):
        read_references(tmp_path / "nowhere")


def test_a_way_of_scheduling_is_a_side_with_its_name() -> None:
    side = scheduled("fail_fast", "envoy")

    assert side.name == "fail_fast"
    assert side.environment["INFERD__INFERENCE__SCHEDULING"] == "fail_fast"
    assert side.environment["INFERD__SERVER__TRANSPORT"] == "envoy"
