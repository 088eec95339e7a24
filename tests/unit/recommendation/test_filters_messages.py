import math

import numpy as np
import pytest

from inferd.errors import InvalidRequest
from inferd.services.recommendation.filters import AnyOf, Between, Filter
from inferd.services.recommendation.item_messages import filters_of, item_message, item_of
from inferd.v1 import recommendation_pb2 as pb
from support.recommendation import filled, item

LAMP = item(
    "lamp",
    title="Lamp",
    description="It gives light.",
    category="home",
    brand="X",
    merchant="m1",
    price_minor=1990,
    currency="EUR",
    stock=0,
    released_us=5,
    tags=("light",),
    attributes={"colour": "red", "watts": 5.5, "dimmable": False},
    vector=np.array([1, 2], np.float32),
)


def test_an_item_becomes_a_message_and_back() -> None:
    again = item_of(item_message(LAMP), "items[0]", dimensions=2)
    assert again == LAMP
    assert again.vector is not None
    assert again.vector.tolist() == [1, 2]
    assert item_of(item_message(item("x")), "items[0]", dimensions=2) == item("x")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (pb.Item(), "id"),
        (pb.Item(id="x" * 513), "id"),
        (pb.Item(id="x", title="é" * 501), "title"),
        (pb.Item(id="x", brand="b" * 129), "brand"),
        (pb.Item(id="x", price_minor=-1), "price_minor"),
        (pb.Item(id="x", price_minor=2**53 + 1), "price_minor"),
        (pb.Item(id="x", currency="eur"), "currency"),
        (pb.Item(id="x", stock=-1), "stock"),
        (pb.Item(id="x", released_us=-1), "released_us"),
        (pb.Item(id="x", tags=["t"] * 33), "tags"),
        (pb.Item(id="x", tags=["t", ""]), "tags[1]"),
        (pb.Item(id="x", attributes={"Colour": pb.FilterValue(text="r")}), "attributes.Colour"),
        (pb.Item(id="x", attributes={"colour": pb.FilterValue()}), "attributes.colour"),
        (pb.Item(id="x", attributes={"colour": pb.FilterValue(text="")}), "attributes.colour"),
        (pb.Item(id="x", attributes={"w": pb.FilterValue(number=math.inf)}), "attributes.w"),
        (
            pb.Item(id="x", attributes={f"n{n}": pb.FilterValue(flag=True) for n in range(33)}),
            "attributes",
        ),
        (pb.Item(id="x", vector=[1.0]), "vector"),
        (pb.Item(id="x", vector=[1.0, math.nan]), "vector"),
        (pb.Item(id="x", vector=[1e30, 0.0]), "vector"),
    ],
)
def test_a_field_that_is_wrong_is_named(wrong: pb.Item, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        item_of(wrong, "items[3]", dimensions=2)
    assert [each.field for each in refused.value.violations] == [f"items[3].{field}"]


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        item_of(pb.Item(stock=-1, currency="x"), "items[0]", dimensions=2)
    assert [each.field for each in refused.value.violations] == [
        "items[0].id",
        "items[0].currency",
        "items[0].stock",
    ]


def text(said: str) -> pb.FilterValue:
    return pb.FilterValue(text=said)


def test_filters_are_read_as_they_are_meant() -> None:
    table = filled([LAMP]).table
    messages = [
        pb.ItemFilter(field="brand", equals=text("X")),
        pb.ItemFilter(field="tags", any_of=pb.FilterValues(values=[text("a"), text("b")])),
        pb.ItemFilter(field="price_minor", range=pb.FilterRange(at_most=5), negate=True),
        pb.ItemFilter(field="attributes.dimmable", equals=pb.FilterValue(flag=False)),
    ]
    assert filters_of(messages, table) == (
        Filter("brand", AnyOf(("X",))),
        Filter("tags", AnyOf(("a", "b"))),
        Filter("price_minor", Between(at_most=5), negate=True),
        Filter("attributes.dimmable", AnyOf((False,))),
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (pb.ItemFilter(field="brand"), "filters[1]"),
        (pb.ItemFilter(field="barnd", equals=text("X")), "filters[1].field"),
        (pb.ItemFilter(field="attributes.x", equals=text("X")), "filters[1].field"),
        (pb.ItemFilter(field="brand", equals=pb.FilterValue()), "filters[1].equals"),
        (pb.ItemFilter(field="stock", equals=text("X")), "filters[1].equals"),
        (pb.ItemFilter(field="stock", any_of=pb.FilterValues()), "filters[1].any_of"),
        (
            pb.ItemFilter(field="brand", any_of=pb.FilterValues(values=[pb.FilterValue()])),
            "filters[1].any_of.values[0]",
        ),
        (pb.ItemFilter(field="stock", range=pb.FilterRange()), "filters[1].range"),
    ],
)
def test_a_filter_that_is_wrong_is_named(wrong: pb.ItemFilter, field: str) -> None:
    right = pb.ItemFilter(field="brand", equals=text("X"))
    with pytest.raises(InvalidRequest) as refused:
        filters_of([right, wrong], filled([LAMP]).table)
    assert [each.field for each in refused.value.violations] == [field]


def test_there_are_only_so_many_filters() -> None:
    with pytest.raises(InvalidRequest, match="at most 32 filters"):
        filters_of([pb.ItemFilter()] * 33, filled([LAMP]).table)
