"""From candidates with scores to a list."""

from typing import Any

import numpy as np
import pytest

from inferd.config.recommendation.ranking import Ranking as Settings
from inferd.errors import InvalidRequest
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.filters import AnyOf, Filter
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.ranking import Pool, Ranking, RankingRules, rank
from inferd.services.recommendation.vocabulary import Act, Seen

NOW_US = 1_700_000_000_000_000
DAY_US = 86_400_000_000
PLAIN: dict[str, Any] = {"max_per_brand": None, "diversity": 0.0}


def catalogue(*items: Item) -> Catalogue:
    made = Catalogue(dimensions=2, max_items=100)
    made.upsert(items, np.tile(np.array([1, 0], np.float32), (len(items), 1)), NOW_US)
    return made


def items(count: int, **fields: Any) -> list[Item]:
    """Items i0, i1, ..."""
    return [Item(id=f"i{number}", **fields) for number in range(count)]


def ranked(catalogue: Catalogue, count: int = 10, **changes: Any) -> Ranking:
    """Rank all items, the first the best, by settings and with changes to the pool."""
    settings = Settings.model_validate({**PLAIN, **changes.pop("settings", {})})
    size = catalogue.table.size
    pool = {
        "table": catalogue.table,
        "rows": np.arange(size),
        "scores": 1.0 / np.arange(1, size + 1),
        "reasons": ["for_you"] * size,
        "now_us": NOW_US,
    }
    return rank(Pool(**{**pool, **changes}), RankingRules(settings), count)


def ids(catalogue: Catalogue, ranking: Ranking) -> str:
    return " ".join(catalogue.table.ids[each.row] for each in ranking.items)


def notes(ranking: Ranking) -> dict[int, tuple[str, ...]]:
    return {each.row: each.notes for each in ranking.items}


def test_the_best_come_first_and_of_equals_the_lower_id() -> None:
    them = catalogue(*(Item(id=name) for name in "dbca"))

    assert ids(them, ranked(them, scores=[0.5, 0.5, 0.9, 0.5])) == "c a b d"


def test_what_was_deleted_sold_out_or_is_not_out_yet_is_left_out_and_it_is_said_why() -> None:
    them = catalogue(
        Item(id="gone"),
        Item(id="sold_out", stock=0),
        Item(id="later", released_us=NOW_US + 1),
        Item(id="red", brand="red"),
        Item(id="fine", stock=3, released_us=NOW_US),
    )
    them.delete(["gone"])

    ranking = ranked(them, filters=[Filter("brand", AnyOf(("red",)), negate=True)])

    assert ids(them, ranking) == "fine"
    assert [ranking.fate(row) for row in range(5)] == [
        "not_in_catalogue",
        "out_of_stock",
        "not_released",
        "filter:brand",
        "",
    ]


def test_a_score_that_is_no_number_is_the_least() -> None:
    them = catalogue(*items(3))

    assert ids(them, ranked(them, scores=[np.nan, 0.1, 0.2])) == "i2 i1 i0"


def test_scores_below_zero_rise_when_something_is_boosted() -> None:
    them = catalogue(*items(3))
    boost = {"name": "up", "boost": 3, "items": ["i2"]}

    ranking = ranked(them, scores=[-1, -3, -1.5], settings={"rules": [boost]})

    assert ids(them, ranking) == "i2 i0 i1"


def test_of_a_candidate_that_is_there_twice_the_better_counts() -> None:
    them = catalogue(*items(2))

    ranking = ranked(
        them,
        rows=np.array([0, 1, 0]),
        scores=[0.1, 0.5, 0.9],
        reasons=["trending", "popular", "for_you"],
    )

    assert [each[:3] for each in ranking.items] == [(0, 0.9, "for_you"), (1, 0.5, "popular")]


class TestSeen:
    """Items that the user has dealt with before."""

    def test_what_was_bought_or_disliked_is_not_shown_again(self) -> None:
        them = catalogue(*items(3))
        history = [Seen("i0", Act.PURCHASE, NOW_US), Seen("i1", Act.DISLIKE, NOW_US)]

        ranking = ranked(them, history=history)

        assert ids(them, ranking) == "i2"
        assert ranking.fate(0) == ranking.fate(1) == "seen"

    def test_who_asks_for_what_was_seen_gets_it_but_nothing_disliked(self) -> None:
        them = catalogue(*items(3))
        history = [Seen("i0", Act.PURCHASE, NOW_US), Seen("i1", Act.DISLIKE, NOW_US)]

        assert ids(them, ranked(them, history=history, include_seen=True)) == "i0 i2"

    def test_what_was_shown_comes_back_lower_each_time(self) -> None:
        them = catalogue(*items(3))
        history = [Seen("i0", Act.IMPRESSION, NOW_US)] * 3

        ranking = ranked(them, history=history, scores=[1.0, 0.85, 0.5])

        assert ids(them, ranking) == "i1 i0 i2"
        assert ranking.items[1].score == pytest.approx(0.93**3)
        assert notes(ranking) == {1: (), 0: ("seen 0.8",), 2: ()}

    def test_what_was_shown_long_ago_is_as_if_it_had_not_been(self) -> None:
        them = catalogue(*items(2))
        history = [Seen("i0", Act.IMPRESSION, NOW_US - 8 * DAY_US)] * 20

        assert ids(them, ranked(them, history=history)) == "i0 i1"

    def test_what_was_shown_too_often_is_shown_only_if_there_is_nothing_else(self) -> None:
        them = catalogue(*items(3))
        history = [Seen("i0", Act.IMPRESSION, NOW_US)] * 8

        enough, short = (ranked(them, count, history=history) for count in (2, 3))

        assert ids(them, enough) == "i1 i2"
        assert (enough.fate(0), enough.relaxed) == ("seen", ())
        assert ids(them, short) == "i1 i2 i0"
        assert short.relaxed == ("seen",)
        assert "seen relaxed" in notes(short)[0]

    def test_what_was_looked_at_is_not_taken_for_unwanted_however_often_it_was_shown(self) -> None:
        them = catalogue(*items(2))
        shown = [Seen("i0", Act.IMPRESSION, NOW_US)] * 9

        ranking = ranked(them, 2, history=[*shown, Seen("i0", Act.CLICK, NOW_US)])

        assert ranking.relaxed == ()


class TestLimits:
    """Limits per brand and so on."""

    def test_at_most_so_many_of_a_brand(self) -> None:
        them = catalogue(*items(3, brand="a"), Item(id="other", brand="b"))

        ranking = ranked(them, 3, settings={"max_per_brand": 2})

        assert ids(them, ranking) == "i0 i1 other"
        assert ranking.fate(2) == "brand_cap"

    def test_items_of_no_brand_are_not_of_one(self) -> None:
        them = catalogue(*items(5))

        assert len(ranked(them, 5, settings={"max_per_brand": 1}).items) == 5

    def test_they_give_way_where_the_list_would_be_too_short_and_it_is_said_so(self) -> None:
        them = catalogue(*items(3, brand="a", category="x"), Item(id="other", brand="b"))
        caps = {"max_per_brand": 2, "max_per_category": 1}

        ranking = ranked(them, 4, settings=caps)

        assert ids(them, ranking) == "i0 other i1 i2"
        assert ranking.relaxed == ("caps",)
        assert [each for each in notes(ranking).values() if each] == [("caps relaxed",)] * 2

    def test_they_give_way_before_what_was_shown_too_often_comes_back(self) -> None:
        them = catalogue(*items(2, brand="a"), Item(id="worn", brand="b"))
        history = [Seen("worn", Act.IMPRESSION, NOW_US)] * 8

        ranking = ranked(them, 2, settings={"max_per_brand": 1}, history=history)

        assert ids(them, ranking) == "i0 i1"


class TestRules:
    """Boosts, burials and pins."""

    def test_a_boost_multiplies_and_says_so(self) -> None:
        them = catalogue(Item(id="a"), Item(id="b", tags=("winter",)))
        boost = {"name": "winter", "boost": 3, "where": [{"field": "tags", "equals": "winter"}]}

        ranking = ranked(them, settings={"rules": [boost]})

        assert ids(them, ranking) == "b a"
        assert ranking.items[0][1:] == (1.5, "for_you", ("boost 3 (winter)",))

    def test_what_is_buried_comes_after_all_others(self) -> None:
        them = catalogue(*items(3, price_minor=500))
        rule = {"name": "down", "bury": True, "items": ["i0"]}

        assert ids(them, ranked(them, settings={"rules": [rule]})) == "i1 i2 i0"

    def test_a_pin_stands_at_its_place_whether_a_source_has_found_it_or_not(self) -> None:
        them = catalogue(*items(4))
        pin = {"name": "hero", "pin": 1, "items": ["i3"]}

        ranking = ranked(
            them,
            3,
            settings={"rules": [pin]},
            rows=np.array([0, 1, 2]),
            scores=[0.9, 0.8, 0.7],
            reasons=["for_you"] * 3,
        )

        assert ids(them, ranking) == "i0 i3 i1"
        assert [each.reason for each in ranking.items] == ["for_you", "pinned", "for_you"]

    def test_of_what_a_pin_means_the_best_is_pinned_and_the_others_are_as_ever(self) -> None:
        them = catalogue(*items(4, brand="a"))
        pin = {"name": "p", "pin": 2, "where": [{"field": "brand", "equals": "a"}]}

        assert ids(them, ranked(them, settings={"rules": [pin]})) == "i1 i2 i0 i3"

    def test_of_two_pins_at_one_place_the_first_counts(self) -> None:
        them = catalogue(*items(3))
        pins = [{"name": f"p{n}", "pin": 0, "items": [f"i{n}"]} for n in (2, 1)]

        assert ids(them, ranked(them, settings={"rules": pins})) == "i2 i0 i1"

    def test_what_is_only_there_to_be_pinned_is_not_in_the_list_otherwise(self) -> None:
        them = catalogue(*items(4))
        pins = [{"name": f"p{n}", "pin": 0, "items": [f"i{n}"]} for n in (2, 3)]

        ranking = ranked(
            them,
            settings={"rules": pins},
            rows=np.array([0, 1]),
            scores=[0.9, 0.8],
            reasons=["for_you"] * 2,
        )

        assert ids(them, ranking) == "i2 i0 i1"

    def test_a_pin_beyond_the_end_of_a_short_list_is_its_last(self) -> None:
        them = catalogue(*items(2))
        pin = {"name": "p", "pin": 7, "items": ["i0"]}

        assert ids(them, ranked(them, settings={"rules": [pin]})) == "i1 i0"

    def test_limits_count_pins(self) -> None:
        them = catalogue(*items(3, brand="a"), Item(id="z", brand="b"))
        pin = {"name": "p", "pin": 0, "items": ["i2"]}
        settings = {"rules": [pin], "max_per_brand": 1}

        assert ids(them, ranked(them, 2, settings=settings)) == "i2 z"

    def test_a_filter_leaves_out_what_is_pinned(self) -> None:
        them = catalogue(Item(id="a", brand="x"), Item(id="b", brand="y"))
        pin = {"name": "p", "pin": 0, "items": ["a"]}

        ranking = ranked(them, settings={"rules": [pin]}, filters=[Filter("brand", AnyOf(("y",)))])

        assert ids(them, ranking) == "b"

    def test_a_rule_for_one_page_means_nothing_on_another(self) -> None:
        them = catalogue(*items(2))
        rule = {"name": "p", "bury": True, "items": ["i0"], "pages": ["cart"]}

        assert ids(them, ranked(them, settings={"rules": [rule]}, page="home")) == "i0 i1"
        assert ids(them, ranked(them, settings={"rules": [rule]}, page="cart")) == "i1 i0"

    def test_a_field_that_there_is_not_is_named_with_its_key(self) -> None:
        rule = {"name": "up", "boost": 2, "where": [{"field": "colour", "equals": "red"}]}

        with pytest.raises(InvalidRequest) as error:
            RankingRules(Settings.model_validate({"rules": [rule]}))

        assert error.value.violations[0].field == "ranking.rules.up.where[0].field"

    @pytest.mark.parametrize(
        "rule",
        [
            {"name": "p", "items": ["a"]},
            {"name": "p", "items": ["a"], "boost": 2, "pin": 1},
            {"name": "p", "boost": 2},
            {"name": "p", "boost": 2, "where": [{"field": "brand"}]},
            {"name": "p", "boost": 2, "where": [{"field": "brand", "equals": "a", "at_most": 1}]},
        ],
    )
    def test_a_rule_that_says_too_little_or_too_much_is_refused(self, rule: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="there must be"):
            Settings.model_validate({"rules": [rule]})


class TestNewItems:
    """Places for new items."""

    def test_they_get_theirs_the_most_promising_first(self) -> None:
        them = catalogue(*items(5))

        ranking = ranked(
            them, 4, new=[np.nan, np.nan, np.nan, 0.1, 0.3], new_places=frozenset({0, 2})
        )

        assert ids(them, ranking) == "i4 i0 i3 i1"
        assert [each.reason for each in ranking.items] == ["new", "for_you", "new", "for_you"]

    def test_where_there_are_none_the_best_takes_the_place(self) -> None:
        them = catalogue(*items(2))

        assert ids(them, ranked(them, new_places=frozenset({0}))) == "i0 i1"

    def test_limits_are_theirs_too(self) -> None:
        them = catalogue(*items(2, brand="a"), Item(id="b", brand="b"))

        ranking = ranked(
            them,
            2,
            settings={"max_per_brand": 1},
            new=[np.nan, 1.0, np.nan],
            new_places=frozenset({1}),
        )

        assert ids(them, ranking) == "i0 b"


def test_diversity_is_told_of_those_it_moved() -> None:
    them = Catalogue(dimensions=2, max_items=10)
    vectors = np.array([[1, 0], [1, 0.01], [0, 1]], np.float32)
    them.upsert(items(3), vectors, NOW_US)

    ranking = ranked(them, scores=[1.0, 0.99, 0.8], settings={"diversity": 0.5})

    assert ids(them, ranking) == "i0 i2 i1"
    assert notes(ranking) == {0: (), 2: ("diversity +1",), 1: ("diversity -1",)}


def test_no_candidates_are_no_list() -> None:
    them = catalogue(*items(1))

    assert ranked(them, rows=np.zeros(0, np.int64), scores=[], reasons=[]).items == []
