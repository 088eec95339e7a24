import math

import numpy as np
import pytest

from inferd.errors import InvalidRequest
from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.filters import AnyOf, Between, Filter, mask_of
from support.recommendation import filled, ids, item

ITEMS = [
    item(
        "lamp",
        title="Lamp",
        category="home",
        brand="X",
        price_minor=1000,
        currency="EUR",
        stock=5,
        tags=("light", "new"),
        attributes={"colour": "red", "watts": 60.0, "dimmable": True},
    ),
    item("chair", title="Chair", category="home", price_minor=2000, stock=0, tags=("wood",)),
    item("phone", category="tech", brand="Y", attributes={"colour": 1.0, "dimmable": False}),
]


@pytest.fixture
def table() -> Table:
    return filled(ITEMS).table


@pytest.mark.parametrize(
    ("field", "condition", "passing"),
    [
        ("category", AnyOf(("home",)), ["lamp", "chair"]),
        ("category", AnyOf(("tech", "toys")), ["phone"]),
        ("category", AnyOf(("toys",)), []),
        ("brand", AnyOf(("X", "Y")), ["lamp", "phone"]),
        ("merchant", AnyOf(("nobody",)), []),
        ("currency", AnyOf(("EUR",)), ["lamp"]),
        ("id", AnyOf(("chair", "nothing")), ["chair"]),
        ("title", AnyOf(("Chair", "Lamp")), ["lamp", "chair"]),
        ("tags", AnyOf(("new",)), ["lamp"]),
        ("tags", AnyOf(("wood", "light")), ["lamp", "chair"]),
        ("price_minor", Between(1000, 1999), ["lamp"]),
        ("price_minor", Between(at_least=1000), ["lamp", "chair"]),
        ("price_minor", AnyOf((2000.0,)), ["chair"]),
        ("stock", Between(at_most=4), ["chair"]),
        ("stock", AnyOf((-1,)), []),
        ("attributes.colour", AnyOf(("red",)), ["lamp"]),
        ("attributes.colour", AnyOf(("red", 1.0)), ["lamp", "phone"]),
        ("attributes.watts", Between(50, 70), ["lamp"]),
        ("attributes.dimmable", AnyOf((True,)), ["lamp"]),
        ("attributes.dimmable", AnyOf((False,)), ["phone"]),
        ("attributes.dimmable", AnyOf((1.0,)), []),
        ("attributes.unheard_of", AnyOf(("x",)), []),
    ],
)
def test_a_filter_lets_through_what_it_says_and_negated_all_else(
    table: Table, field: str, condition: AnyOf | Between, passing: list[str]
) -> None:
    rows = np.arange(3)
    Filter(field, condition).check()
    assert ids(table, rows[Filter(field, condition).mask(table, rows)]) == passing
    others = rows[Filter(field, condition, negate=True).mask(table, rows)]
    assert ids(table, others) == [each.id for each in ITEMS if each.id not in passing]


def test_all_filters_must_hold(table: Table) -> None:
    filters = [
        Filter("category", AnyOf(("home",))),
        Filter("price_minor", Between(at_least=1500)),
    ]
    assert mask_of(filters, table, np.array([2, 1, 0])).tolist() == [False, True, False]
    assert mask_of([], table, np.array([2, 1])).tolist() == [True, True]


def test_an_item_of_a_later_row_counts_with_the_id_it_has_now(table: Table) -> None:
    catalogue = filled(ITEMS)
    catalogue.upsert([item("lamp", title="Lamp 2")], np.zeros((1, 2), np.float32), 1)
    mask = Filter("id", AnyOf(("lamp",))).mask(catalogue.table, np.arange(4))
    assert mask.tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("field", "condition", "where", "text"),
    [
        ("catgory", AnyOf(("x",)), "f.field", "did you mean category"),
        ("attributes.", AnyOf(("x",)), "f.field", "there is no field"),
        ("category", AnyOf((1.0,)), "f.any_of.values[0]", "category is a text"),
        ("price_minor", AnyOf((1.0, "x")), "f.any_of.values[1]", "price_minor is a number"),
        ("price_minor", AnyOf((True,)), "f.any_of.values[0]", "price_minor is a number"),
        ("price_minor", AnyOf((math.nan,)), "f.any_of.values[0]", "nan is no number"),
        ("brand", AnyOf(("",)), "f.any_of.values[0]", "empty text"),
        ("brand", AnyOf(()), "f.any_of", "1 to 1000"),
        ("brand", AnyOf(("x",) * 1001), "f.any_of", "1 to 1000, not 1001"),
        ("brand", Between(1, 2), "f.range", "brand is no number"),
        ("stock", Between(), "f.range", "at_least, or at_most"),
        ("stock", Between(3, 2), "f.range", "must not be above"),
        ("stock", Between(math.nan, 2), "f.range", "must not be above"),
    ],
)
def test_a_filter_that_can_hold_for_nothing_is_refused_by_name(
    field: str, condition: AnyOf | Between, where: str, text: str
) -> None:
    with pytest.raises(InvalidRequest, match=text) as refused:
        Filter(field, condition).check("f")
    assert [each.field for each in refused.value.violations] == [where]


def test_an_attribute_that_no_item_has_is_refused_with_what_it_may_have_meant(
    table: Table,
) -> None:
    Filter("attributes.colour", AnyOf(("x",))).check_known(table)
    with pytest.raises(InvalidRequest, match=r"did you mean attributes\.colour"):
        Filter("attributes.color", AnyOf(("x",))).check_known(table, "f")
