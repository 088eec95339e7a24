"""What may be written, and what whoever writes something else is told."""

import math
from typing import Any

import pytest

from inferd.errors import InvalidRequest
from inferd.features.definitions import US, Definitions
from inferd.features.writing import EARLIEST_US, REMEMBERED_US, Checked, Limits, Write, checked
from support.feature_stores import DECLARED

NOW_US = 1_800_000_000 * US
LIMITS = Limits(max_bytes=1000, ahead_us=300 * US)
DEFINITIONS = Definitions.read(DECLARED)


def check(view: str = "profile", *, ago_us: int = 0, id: Any = 1, **values: Any) -> Checked:
    it = DEFINITIONS.view(view, field="view")
    write = Write(it, id, NOW_US - ago_us, values)
    return checked(write, now_us=NOW_US, limits=LIMITS, field="rows[3]")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"age": 1.0}, "profile:age: expected int64, got float64"),
        ({"age": True}, "profile:age: expected int64, got bool"),
        ({"age": 2**63}, "profile:age: expected int64, got a number that is larger"),
        ({"country": 7}, "profile:country: expected string, got int64"),
        ({"country": "\ud800"}, "profile:country: expected string, got text that has no UTF-8"),
        ({"income": "7"}, "profile:income: expected float64, got string"),
        ({"income": math.nan}, "profile:income: expected a finite float64, got nan"),
        ({"income": -math.inf}, "profile:income: expected a finite float64, got -inf"),
        ({"income": 10**400}, "profile:income: expected a finite float64, got inf"),
        ({"premium": 1}, "profile:premium: expected bool, got int64"),
        ({"token": "x"}, "profile:token: expected bytes, got string"),
        ({"taste": 1.0}, r"profile:taste: expected float_list\[2\], got float64"),
        ({"taste": [1.0]}, "profile:taste: expected 2 floats, got 1"),
        ({"taste": [1.0, math.nan]}, "profile:taste: expected a finite float64, got nan"),
        ({"taste": [1.0, None]}, "profile:taste: expected float64, got NoneType"),
        ({"agee": 1}, "view profile has no feature 'agee'; did you mean age?"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_refused_by_name(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidRequest, match=message) as refused:
        check(**values)

    (violation,) = refused.value.violations
    assert violation.field == f"rows[3].values.{next(iter(values))}"


def test_all_that_is_wrong_with_a_row_is_told_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        check(ago_us=-301 * US, age="x", token="x", nobody=1)

    assert {each.field for each in refused.value.violations} == {
        "rows[3].event_time_us",
        "rows[3].values.age",
        "rows[3].values.token",
        "rows[3].values.nobody",
    }


def test_of_many_names_that_are_not_known_some_are_told() -> None:
    many: dict[str, Any] = {f"age{number:02}": 1 for number in range(100)}

    with pytest.raises(InvalidRequest, match="has none of 97 others either") as refused:
        check(**many)

    assert [each.field.rpartition(".")[2] for each in refused.value.violations] == [
        "age00",
        "age01",
        "age02",
        "values",
    ]


def test_what_is_required_is_there_and_is_not_null() -> None:
    with pytest.raises(InvalidRequest, match="stock:price: it is required, has no default"):
        check("stock", id="a", ratio=1.0)
    with pytest.raises(InvalidRequest, match="stock:price: it is required, and null"):
        check("stock", id="a", price=None)


def test_an_id_of_another_type_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="ids of entity user are int64") as refused:
        check(id="7", age=1)

    assert refused.value.violations[0].field == "rows[3].id"


def test_an_event_of_the_future_is_refused_but_clocks_may_differ() -> None:
    assert check(ago_us=-300 * US, age=1)
    with pytest.raises(InvalidRequest, match="the event is 301 s in the future; 300 s may be"):
        check(ago_us=-301 * US, age=1)


@pytest.mark.parametrize("event_us", [EARLIEST_US - 1, 1_800_000_000, 0, -(2**70)])
def test_an_event_whose_unit_is_wrong_is_refused(event_us: int) -> None:
    with pytest.raises(InvalidRequest, match="before 2000"):
        check(ago_us=NOW_US - event_us, age=1)


def test_a_row_is_kept_a_while_longer_than_it_is_good() -> None:
    assert check(age=1).entry.keep_s is None
    assert check("activity", ago_us=100 * US, clicks=1).entry.keep_s == 500 + REMEMBERED_US / US
    assert check("activity", ago_us=10**6 * US, clicks=1).entry.keep_s == REMEMBERED_US / US
