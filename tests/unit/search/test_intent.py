"""What somebody is after."""

import pytest

from inferd.config.search.query import SearchEntity, SearchPrices, SearchQuery
from inferd.services.search.query.understanding import Rules, lexicon_of, understand
from inferd.services.search.query.understood import Intent

SETTINGS = SearchQuery(
    entities={
        "brand": SearchEntity(field="brand", aliases={"iphone": "Apple"}),
        "category": SearchEntity(field="category", filter="alone"),
    },
    prices=SearchPrices(field="price_minor"),
)
VALUES = {"brand": ["Apple", "Sony"], "category": ["Headphones", "Running Shoes"]}
TERMS = {"iphone": 500, "13": 200, "red": 300, "clean": 50, "zorblax": 2, "deluxe": 3, "lamp": 90}
RULES = Rules.of(SETTINGS, values=VALUES)
LEXICON = lexicon_of(SETTINGS, TERMS, VALUES)


def intent(query: str, known: Intent | None = None) -> Intent:
    return understand(query, LEXICON, RULES, intent=known).intent


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("how to clean headphones", Intent.QUESTION),
        ("red lamp?", Intent.QUESTION),
        ("iphone 13", Intent.NAVIGATIONAL),
        ("wh1000xm4", Intent.NAVIGATIONAL),
        ("zorblax deluxe", Intent.NAVIGATIONAL),
        ("headphones", Intent.CATEGORY),
        ("the running shoes", Intent.CATEGORY),
        ("sony headphones", Intent.CATEGORY),
        ("lamp", Intent.CATEGORY),
        ("", Intent.CATEGORY),
        ("red running shoes", Intent.ATTRIBUTE),
        ("headphones under $50", Intent.ATTRIBUTE),
        ("iphone 13 under $500", Intent.ATTRIBUTE),
        ("red lamp 64gb", Intent.ATTRIBUTE),
    ],
)
def test_it_is_told_by_the_words_and_what_they_name(query: str, meant: Intent) -> None:
    assert intent(query) is meant


def test_what_is_known_of_it_counts() -> None:
    assert intent("headphones", Intent.NAVIGATIONAL) is Intent.NAVIGATIONAL
