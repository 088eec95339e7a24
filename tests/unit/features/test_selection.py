"""What names in a request stand for."""

from collections.abc import Sequence

import pytest

from inferd.errors import InvalidRequest
from inferd.features.definitions import Definitions
from inferd.services.features.selection import MAX_KEPT, Selections, id_of
from support.feature_stores import DECLARED

DEFINITIONS = Definitions.read(DECLARED)
PROFILE = [f"profile:{name}" for name in DEFINITIONS.views["profile"].places]


def selected(*features: str) -> tuple[list[str], list[tuple[str, list[int]]]]:
    """Return the columns, and what is read of each view."""
    selection = Selections(DEFINITIONS).of("user", features)
    return (
        [column.name for column in selection.columns],
        [(part.view.name, [*part.places]) for part in selection.parts],
    )


@pytest.mark.parametrize(
    ("features", "columns", "parts"),
    [
        ((), [*PROFILE, "activity:clicks"], [("profile", [*range(6)]), ("activity", [0])]),
        (("profile",), PROFILE, [("profile", [*range(6)])]),
        (
            ("profile:premium", "activity", "profile:age"),
            ["profile:premium", "activity:clicks", "profile:age"],
            [("profile", [3, 0]), ("activity", [0])],
        ),
    ],
)
def test_each_view_is_read_once_and_answered_in_the_order_of_the_request(
    features: Sequence[str], columns: list[str], parts: list[tuple[str, list[int]]]
) -> None:
    assert selected(*features) == (columns, parts)


def test_every_column_knows_where_its_value_is() -> None:
    selection = Selections(DEFINITIONS).of("user", ["profile:premium", "activity", "profile:age"])

    for column in selection.columns:
        part = selection.parts[column.part]
        feature = part.view.features[part.places[column.at]]
        assert (f"{part.view.name}:{feature.name}", feature) == (column.name, column.feature)


def test_what_was_asked_before_is_not_worked_out_again() -> None:
    selections = Selections(DEFINITIONS)
    once = selections.of("user", ["profile"])

    assert selections.of("user", ["profile"]) is once
    for number in range(MAX_KEPT):
        with pytest.raises(InvalidRequest):
            selections.of("user", [f"profile:f{number}"])
    assert selections.of("user", ["profile"]) is once  # what is wrong takes no room


@pytest.mark.parametrize(
    ("text", "stands_for"),
    [("0", 0), ("-7", -7), ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63))],
)
def test_an_integer_is_read_as_it_is_written(text: str, stands_for: int) -> None:
    assert id_of(DEFINITIONS.views["profile"], text, field="id") == stands_for


@pytest.mark.parametrize("text", ["", "-", "007", "-0", "+1", " 1", "1_0", "1.0", "٣", "9" * 5000])
def test_two_texts_never_stand_for_one_integer(text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        id_of(DEFINITIONS.views["profile"], text, field="ids[3]")

    assert [each.field for each in caught.value.violations] == ["ids[3]"]
