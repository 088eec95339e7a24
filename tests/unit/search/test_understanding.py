"""A query is understood, and what was done to it is told."""

import pytest

from inferd.config.search.query import SearchEntity, SearchPrices, SearchQuery
from inferd.errors import InvalidRequest
from inferd.services.search.query.synonyms import SynonymSet
from inferd.services.search.query.understanding import Rules, lexicon_of, understand
from inferd.services.search.query.understood import (
    Correction,
    Entity,
    Expansion,
    Intent,
    Understood,
)
from inferd.services.search.text_query import Alternative, Between, Equals, Word

SETTINGS = SearchQuery(
    entities={
        "brand": SearchEntity(field="brand", aliases={"iphone": "Apple"}),
        "category": SearchEntity(field="category", filter="alone"),
    },
    prices=SearchPrices(field="price_minor"),
    suspect_ratio=50,
)
VALUES = {"brand": ["Apple", "Sony", "The Who"], "category": ["Phone"]}
TERMS = {
    "iphone": 500,
    "13": 200,
    "phone": 2000,
    "case": 900,
    "red": 300,
    "lamp": 40,
    "lamps": 9,
    "head": 50,
    "headphones": 800,
    "noise": 90,
    "anc": 20,
    "cancelling": 80,
    "camp": 2500,
    "iphone13": 3,
    "mouse": 40,
    "and": 900,
}
SYNONYMS = (SynonymSet(("noise cancelling", "anc")), SynonymSet(("torch",), of="lamp"))
LEXICON = lexicon_of(SETTINGS, TERMS, VALUES)


def asked(
    text: str, settings: SearchQuery = SETTINGS, *, intent: Intent | None = None, **how: bool
) -> Understood:
    rules = Rules.of(settings, SYNONYMS, VALUES)
    return understand(text, LEXICON, rules, intent=intent, **how)


def alternatives(word: Word) -> list[str]:
    return [each.text for each in word.alternatives if not each.prefix]


def test_a_mistyped_word_a_brand_and_a_price_are_all_understood() -> None:
    found = asked("Ipone 13 under $500")

    assert found.query == "ipone 13 under 500"
    assert found.text == "iphone 13"
    assert found.corrections == (Correction("ipone", "iphone"),)
    assert found.filters == (Equals("brand", "Apple"), Between("price_minor", None, 50_000))
    assert found.entities == (
        Entity("brand", "iphone", "Apple"),
        Entity("price", "under $500", "..50000"),
    )
    assert found.intent is Intent.ATTRIBUTE


def test_a_brand_is_searched_for_by_its_filter_and_not_by_its_words() -> None:
    found = asked("sonny headphones")

    assert found.text == "sony headphones"
    assert [alternatives(word)[0] for word in found.words] == ["headphones"]
    assert found.filters == (Equals("brand", "Sony"),)


def test_words_that_say_nothing_are_not_searched_for() -> None:
    found = asked("a case for the phone")

    assert found.text == "case phone"
    assert found.dropped == ("a", "for", "the")


def test_words_that_say_nothing_are_searched_for_if_there_are_no_others() -> None:
    assert asked("to the").text == "to the"
    assert asked("the under $5").words == ()


def test_words_that_say_nothing_stay_where_they_are_part_of_a_name() -> None:
    found = asked("the who")

    assert found.dropped == ()
    assert found.filters == (Equals("brand", "The Who"),)


def test_synonyms_and_other_forms_are_searched_for_and_count_less() -> None:
    found = asked("red lamp")

    (lamp,) = found.words[1:]
    assert {each.text: each.weight for each in lamp.alternatives} == {
        "lamp": 1.0,
        "torch": 0.8,
        "lamps": 0.9,
    }
    assert found.synonyms == (Expansion("lamp", ("torch",)), Expansion("lamp", ("lamps",)))


def test_one_word_may_stand_for_each_of_several() -> None:
    noise, cancelling, _ = asked("noise cancelling headphones").words

    assert "anc" in alternatives(noise)
    assert "anc" in alternatives(cancelling)
    (anc,) = asked("anc").words
    assert "noise cancelling" in alternatives(anc)


def test_a_space_more_or_less_finds_both() -> None:
    found = asked("head phones red")

    assert "headphones" in alternatives(found.words[0])
    assert "headphones" in alternatives(found.words[1])
    assert Expansion("head phones", ("headphones",)) in found.synonyms
    assert found.corrections == ()
    (iphone13,) = asked("iPhone13").words
    assert alternatives(iphone13) == ["iphone13", "iphone 13"]


def test_it_is_asked_whether_a_far_more_frequent_word_was_meant() -> None:
    assert asked("red lamp").did_you_mean == "red camp"
    assert asked("red phone").did_you_mean == ""


def test_the_last_word_may_be_the_beginning_of_one_if_it_is_none_itself() -> None:
    beginning = Alternative("headp", 0.5, prefix=True)

    assert beginning in asked("red headp").words[-1].alternatives
    assert beginning not in asked("headp red").words[0].alternatives
    assert not any(each.prefix for each in asked("head").words[0].alternatives)
    always = SETTINGS.model_copy(update={"prefix": "always"})
    assert any(each.prefix for each in asked("head", always).words[0].alternatives)
    never = SETTINGS.model_copy(update={"prefix": "never"})
    assert not any(each.prefix for each in asked("headp", never).words[0].alternatives)


def test_a_query_can_be_taken_as_it_is_written() -> None:
    found = asked("the ipone and Sony under $500", verbatim=True)

    assert found.text == "the ipone and sony under 500"
    assert [word.alternatives for word in found.words] == [
        (Alternative(text),) for text in found.text.split()
    ]
    assert not found.filters
    assert not found.corrections
    assert not found.dropped


def test_what_somebody_is_after_may_be_told() -> None:
    assert asked("phone").intent is Intent.CATEGORY
    assert asked("phone", intent=Intent.QUESTION).intent is Intent.QUESTION
    assert asked("phone", intent=Intent.QUESTION, verbatim=True).intent is Intent.QUESTION


def test_an_empty_query_asks_for_everything() -> None:
    for nothing in ("", " \u200b ", "!?", "🙂"):
        assert asked(nothing).words == ()


def test_words_beyond_the_limit_are_told() -> None:
    few = SETTINGS.model_copy(update={"max_words": 2})

    found = asked("red lamp case phone case", few)

    assert found.text == "red lamp"
    assert found.dropped == ("case", "phone")


def test_equal_queries_are_understood_as_equal() -> None:
    assert asked("Red  LAMP") == asked("red lamp")
    assert hash(asked("Red  LAMP")) == hash(asked("red lamp"))


def test_a_query_that_is_too_long_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="at most 1000"):
        asked("x" * 1001)
