"""Charts: what is drawn where, and that it is a picture by itself."""

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest

from inferd_perf.simulation.curves import CARD, ON_LIGHT, Chart, Series, line_chart, text_of
from inferd_perf.simulation.scales import Axis, Scale, exactly, spread_out, words

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart(title="Goodput", x=Axis(label="offered"), y=Axis(label="in time"))


def series(name: str, *points: tuple[float, float], slot: int = 0) -> Series:
    return Series(name=name, points=points, slot=slot)


def drawn(*given: Series, chart: Chart = CHART) -> ET.Element:
    return ET.fromstring(text_of(line_chart(chart, given)))


def texts(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def test_a_chart_is_a_picture_of_its_own_that_names_every_series() -> None:
    picture = drawn(series("<ours>", (1, 2), (3, 4)), series('a "b" & c', (1, 1), slot=1))

    assert picture.tag == f"{SVG}svg"
    assert {"Goodput", "offered", "in time", "<ours>", 'a "b" & c'} <= set(texts(picture))


def test_a_chart_asks_nobody_for_anything() -> None:
    text = text_of(line_chart(CHART, [series("a", (1, 2))]))

    assert text.count("http") == 1  # the name of the language
    assert "url(" not in text
    assert "href" not in text


def test_a_chart_has_a_ground_of_its_own_so_that_any_page_will_do() -> None:
    ground = drawn(series("a", (1, 2))).find(f"{SVG}rect")

    assert ground is not None
    assert ground.get("style") == f"fill:{CARD.ground}"


def test_a_series_without_points_is_left_out() -> None:
    assert "nothing" not in texts(drawn(series("nothing"), series("a", (1, 2), slot=1)))


def test_a_chart_of_nothing_is_still_a_picture() -> None:
    assert "Goodput" in texts(drawn())


def test_points_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="a are out of order"):
        line_chart(CHART, [series("a", (2, 1), (1, 1))])


def test_a_point_says_its_values() -> None:
    titles = [element.text for element in drawn(series("a", (1000, 2.5))).iter(f"{SVG}title")]

    assert "a, 1,000: 2.5" in titles


def test_after_the_last_colour_marks_are_hollow_and_lines_are_dashed() -> None:
    first = text_of(line_chart(CHART, [series("a", (1, 2), (2, 2))]))
    later = text_of(line_chart(CHART, [series("a", (1, 2), (2, 2), slot=len(ON_LIGHT))]))

    assert "stroke-dasharray:none" in first
    assert "stroke-dasharray:6 3" in later
    assert first != later


def test_every_slot_has_a_mark_of_its_own() -> None:
    marks = set()
    for slot in range(len(ON_LIGHT)):
        group = drawn(series("a", (1, 2), slot=slot)).find(f"{SVG}g")
        assert group is not None
        found = group[-1]
        marks.add((found.tag, len((found.get("points") or "").split()), found.get("points")))

    assert len(marks) == len(ON_LIGHT)


def test_names_that_would_overlap_are_moved_apart() -> None:
    places = spread_out([50.0, 52.0, 90.0, 48.0], 0.0, 100.0, 15.0)

    assert places == [50.0, 65.0, 90.0, 35.0]


def test_names_moved_apart_may_meet_others_and_move_with_them() -> None:
    places = spread_out([10.0, 10.0, 22.0, 60.0], 0.0, 100.0, 15.0)

    assert places == [0.0, 15.0, 30.0, 60.0]


def test_names_stay_inside_and_in_order() -> None:
    places = spread_out([99.0, 98.0, 97.0], 0.0, 100.0, 15.0)

    assert places == [100.0, 85.0, 70.0]


def test_a_scale_goes_from_end_to_end_and_no_further() -> None:
    scale = Scale(Axis(label="", low=0.0, high=10.0), [], 100.0, 200.0)

    assert [scale.at(value) for value in (0.0, 5.0, 10.0, 12.0)] == [100.0, 150.0, 200.0, 200.0]


def test_a_logarithmic_scale_gives_every_doubling_the_same_room() -> None:
    scale = Scale(Axis(label="", log=True), [0.5, 4.0], 0.0, 300.0)

    gaps = [after - before for before, after in pairwise(map(scale.at, (0.5, 1.0, 2.0, 4.0)))]
    assert gaps == pytest.approx([100.0, 100.0, 100.0])


def test_ticks_are_round_and_within() -> None:
    assert Scale(Axis(label="", high=3100.0), [], 0.0, 300.0).ticks() == [0, 1000, 2000, 3000]


def test_ticks_too_close_to_read_are_left_out_and_one_is_kept() -> None:
    axis = Axis(label="", log=True, ticks=(0.5, 0.95, 1.0, 1.05, 2.0))

    assert Scale(axis, [0.5, 2.0], 0.0, 200.0).ticks() == [0.5, 1.0, 2.0]


def test_ticks_of_a_logarithmic_scale_are_powers_of_ten_where_there_are_some() -> None:
    assert Scale(Axis(label="", log=True), [0.1, 100.0], 0.0, 300.0).ticks() == [0.1, 1, 10, 100]
    assert Scale(Axis(label="", log=True), [2.0, 6.0], 0.0, 300.0).ticks() == [2, 5]


@pytest.mark.parametrize(
    ("values", "axis"),
    [
        ([], Axis(label="")),
        ([], Axis(label="", log=True)),
        ([3.0], Axis(label="", low=3.0, high=3.0)),
    ],
)
def test_a_scale_without_values_still_has_a_width(values: list[float], axis: Axis) -> None:
    scale = Scale(axis, values, 0.0, 100.0)

    assert scale.low < scale.high
    assert scale.ticks()


def test_values_are_written_as_their_axis_has_them() -> None:
    plain, share = Axis(label=""), Axis(label="", percent=True)

    assert [words(12345.0, plain), words(0.5, plain)] == ["12,345", "0.5"]
    assert [words(0.2, share), exactly(0.12345, share)] == ["20 %", "12.3 %"]
