"""Queries name brands, categories and prices."""

from typing import Literal

import pytest

from inferd.config.search.query import SearchEntity, SearchPrices
from inferd.services.search.query.entities import Recognised, dictionary_of, recognise
from inferd.services.search.query.normal import normalise
from inferd.services.search.query.prices import Prices
from inferd.services.search.query.understood import Entity
from inferd.services.search.text_query import AnyOf, Between, Equals

VALUES = {
    "brand": ["Apple", "Sony", "The North Face", "Nestlé", "Café", "CAFE"],
    "category": ["Headphones", "Running Shoes", "Phone"],
}
PRICES = Prices(SearchPrices(field="price_minor"))


def recognised(
    text: str,
    *,
    brand: Literal["always", "alone", "never"] = "always",
    category: Literal["always", "alone", "never"] = "alone",
) -> Recognised:
    aliases = {"iphone": "apple", "walkman": "Sony", "zune": "Microsoft"}
    kinds = {
        "brand": SearchEntity(field="brand", filter=brand, aliases=aliases),
        "category": SearchEntity(field="category", filter=category),
    }
    return recognise(text.split(), dictionary_of(kinds, VALUES), kinds, frozenset({"the", "for"}))


def test_a_value_of_a_field_is_recognised_and_stands_in_for_its_words() -> None:
    found = recognised("red the north face jacket")

    assert found.entities == (Entity("brand", "the north face", "The North Face"),)
    assert found.filters == (Equals("brand", "The North Face"),)
    assert dict(found.stands_for) == dict.fromkeys((1, 2, 3), Equals("brand", "The North Face"))


def test_an_alias_implies_a_value_and_is_still_searched_for() -> None:
    found = recognised("iphone 13")

    assert found.entities == (Entity("brand", "iphone", "Apple"),)
    assert found.filters == (Equals("brand", "Apple"),)
    assert not found.stands_for


def test_nothing_is_recognised_that_no_document_has() -> None:
    assert recognised("zune microsoft") == Recognised()


def test_who_names_two_brands_wants_either() -> None:
    assert recognised("sony or apple").filters == (AnyOf("brand", ("Sony", "Apple")),)


def test_values_that_are_written_alike_are_all_meant() -> None:
    assert recognised("cafe").filters == (AnyOf("brand", ("Café", "CAFE")),)


def test_a_name_may_be_in_the_plural() -> None:
    assert recognised("phones").filters == (Equals("category", "Phone"),)
    assert recognised("running shoe").filters == (Equals("category", "Running Shoes"),)


def test_a_category_filters_only_where_nothing_else_is_wanted() -> None:
    assert recognised("sony headphones").filters == (
        Equals("brand", "Sony"),
        Equals("category", "Headphones"),
    )
    assert recognised("headphones for the phone").filters == (
        AnyOf("category", ("Headphones", "Phone")),
    )
    cases = recognised("phone case")
    assert cases.filters == ()
    assert cases.entities == (Entity("category", "phone", "Phone"),)


def test_what_never_filters_is_told_and_searched_for() -> None:
    found = recognised("sony", brand="never")

    assert found.entities == (Entity("brand", "sony", "Sony"),)
    assert not found.filters
    assert not found.stands_for


@pytest.mark.parametrize(
    ("query", "rest", "low", "high"),
    [
        ("iphone 13 under $500", "iphone 13", None, 50_000),
        ("below 20 euros", "", None, 2000),
        ("shoes between 10 and 20", "shoes", 1000, 2000),
        ("between €20 and €10", "", 1000, 2000),
        ("10-20 eur lamp", "lamp", 1000, 2000),
        ("10 – 20 eur", "", 1000, 2000),  # noqa: RUF001
        ("from 10 to 20 dollars", "", 1000, 2000),
        ("cheaper than 9.5", "", None, 950),
        ("less than £9.99", "", None, 999),
        ("up to 1.299,99 €", "", None, 129_999),
        ("max $1,299.99 tv", "tv", None, 129_999),
        ("<= 20 usd", "", None, 2000),
        ("more than 1.5k", "", 150_000, None),
        ("at least 20 bucks", "", 2000, None),
        ("over 10 under 20", "", 1000, 2000),
        ("not over 20", "", None, 2000),
        ("Under ＄５００", "", None, 50_000),  # noqa: RUF001
    ],
)
def test_a_price_becomes_a_range_in_minor_units(
    query: str, rest: str, low: float | None, high: float | None
) -> None:
    found = PRICES.found(normalise(query))

    assert found.rest == rest
    assert found.filter == Between("price_minor", low, high)


@pytest.mark.parametrize(
    "query",
    [
        "iphone pro max 256",
        "tent under 5 kg",
        "laptop under 15 inches",
        "sd card over 64gb",
        "lamp 10-20",
        "2 to 4 people tent",
        "wh-1000 500",
        "thunder 500",
        "under",
        "under 1234567890123",
        "100% cotton",
    ],
)
def test_a_number_that_may_be_something_else_is_no_price(query: str) -> None:
    assert PRICES.found(query) == (query, None, ())


def test_other_currencies_are_converted_and_unknown_ones_left_alone() -> None:
    prices = Prices(SearchPrices(field="price", minor_units={"EUR": 100, "USD": 92}))

    assert prices.found("under $10").filter == Between("price", None, 920)
    assert prices.found("under 10 €").filter == Between("price", None, 1000)
    assert prices.found("under 10").filter == Between("price", None, 1000)
    assert prices.found("under 10 yen").filter is None
