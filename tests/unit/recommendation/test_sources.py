from collections import Counter
from random import Random
from unittest import mock

import numpy as np

from inferd.config.recommendation.sources import (
    CategorySource,
    CovisitSource,
    NewSource,
    PopularSource,
    Sources,
    TrendingSource,
    VectorSource,
)
from inferd.services.recommendation import sources_demand
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.sources import Seen, Wanted, best
from inferd.services.recommendation.sources_declared import made, quotas
from inferd.services.recommendation.sources_demand import Popular, SameCategory, Trending
from inferd.services.recommendation.sources_history import GoesTogether
from inferd.services.recommendation.sources_new import Newcomers
from inferd.services.recommendation.vocabulary import Act
from support.recommendation import DAY, HOUR, NOW, S, filled, ids, item, nobody_did_anything, wanted


def shop() -> Catalogue:
    categories = {"a": "home", "b": "home", "c": "tech", "d": "tech", "e": "toys"}
    return filled([item(name, category=of) for name, of in categories.items()])


def clicked(behaviour: Behaviour, times: dict[str, int], at_us: int = NOW) -> None:
    for name, count in times.items():
        for number in range(count):
            behaviour.record(f"u{name}{number}", name, Act.CLICK, at_us)


def trending(behaviour: Behaviour) -> Trending:
    return Trending(TrendingSource(), behaviour)


def seen(*names: str, type: Act = Act.CLICK) -> list[Seen]:
    return [Seen(name, type, NOW) for name in names]


def test_the_best_are_sorted_and_ties_go_to_the_lower_row() -> None:
    rows = np.array([5, 3, 9, 1])
    scores = np.array([1, 2, 1, 2], np.float32)
    assert best(rows, scores, 3).rows.tolist() == [1, 3, 5]
    assert best(rows, scores, 9).rows.tolist() == [1, 3, 5, 9]
    assert best(rows, scores, 0).rows.tolist() == []


def test_what_is_in_demand_now_is_trending_and_old_fame_fades() -> None:
    behaviour, table = nobody_did_anything(), shop().table
    clicked(behaviour, {"a": 8, "b": 1}, NOW - 5 * DAY)
    clicked(behaviour, {"c": 3, "d": 1})
    assert ids(table, trending(behaviour).find(wanted(table), 3)) == ["c", "d", "a"]
    assert ids(table, Popular(PopularSource(), behaviour).find(wanted(table), 2)) == ["a", "c"]


def test_trends_of_a_category_are_of_it() -> None:
    behaviour, table = nobody_did_anything(), shop().table
    clicked(behaviour, {"a": 1, "b": 2, "c": 3, "e": 4})
    source = trending(behaviour)
    asked = wanted(table, context={"trending_category": "home"})
    assert ids(table, source.find(asked, 5)) == ["b", "a"]
    unknown = wanted(table, context={"trending_category": "cars"})
    assert ids(table, source.find(unknown, 5)) == []


def test_what_is_in_demand_is_found_out_again_after_a_while() -> None:
    behaviour, table = nobody_did_anything(), shop().table
    source = Trending(TrendingSource(refresh_s=2), behaviour)
    clicked(behaviour, {"a": 1})
    assert ids(table, source.find(wanted(table), 1)) == ["a"]
    clicked(behaviour, {"b": 5})
    assert ids(table, source.find(wanted(table), 1)) == ["a"]
    assert ids(table, source.find(wanted(table, now_us=NOW + 2 * S), 1)) == ["b"]


def test_nothing_deleted_is_in_demand_even_before_it_is_found_out_again() -> None:
    behaviour, catalogue = nobody_did_anything(), shop()
    clicked(behaviour, {"a": 3, "b": 2, "c": 1})
    sources = made(Sources(), catalogue, behaviour)
    asked = wanted(catalogue.table, context={"category": "home"}, history=seen("b"))
    for source in sources:
        source.find(asked, 5)
    catalogue.delete(["a"])
    for source in sources:
        assert "a" not in ids(catalogue.table, source.find(asked, 5))


def test_every_source_finds_only_what_is_eligible() -> None:
    behaviour, catalogue = nobody_did_anything(), shop()
    for name in "bcd":
        for number in range(4):
            behaviour.record(f"u{name}{number}", "a", Act.VIEW, NOW)
            behaviour.record(f"u{name}{number}", name, Act.VIEW, NOW + 1)
    catalogue.upsert([item("f", category="home")], np.ones((1, 2), np.float32), NOW)
    table = catalogue.table
    for mask in (table.alive, ~table.alive, np.arange(6) % 2 == 1):
        asked = Wanted(
            table=table,
            user_vector=np.ones(2, np.float32),
            history=seen("a"),
            context={"category": "home"},
            now_us=NOW + S,
            random=Random(1),
            eligible=mask,
        )
        for source in made(Sources(), catalogue, behaviour):
            rows = source.find(asked, 10).rows
            assert mask[rows].all(), source.name
            assert len({*rows.tolist()}) == len(rows), source.name
            assert len(rows) > 0 or not mask.all(), source.name


def test_of_few_eligible_items_those_in_demand_are_found_however_many_are_more() -> None:
    catalogue, behaviour = filled([item(f"i{n}") for n in range(40)]), nobody_did_anything()
    for number in range(40):
        clicked(behaviour, {f"i{number}": 1 if number < 8 else 2})
    clicked(behaviour, {"i3": 1})
    eligible = np.arange(40) < 8
    with mock.patch.object(sources_demand, "_TOP", 8):
        found = trending(behaviour).find(wanted(catalogue.table, eligible=eligible), 3)
    assert ids(catalogue.table, found) == ["i3", "i0", "i1"]


def test_what_goes_with_the_newest_that_a_user_did_comes_first() -> None:
    behaviour, table = nobody_did_anything(), shop().table
    for number in range(5):
        for pair in ("ac", "bd"):
            for name in pair:
                behaviour.record(f"u{pair}{number}", name, Act.VIEW, NOW)
    source = GoesTogether(CovisitSource(), behaviour)
    assert ids(table, source.find(wanted(table, history=seen("a", "b")), 5)) == ["c", "d"]
    assert ids(table, source.find(wanted(table, history=seen("b", "a")), 5)) == ["d", "c"]
    assert ids(table, source.find(wanted(table, history=seen("b", "a", "c")), 5)) == ["d"]


def test_what_goes_with_what_was_disliked_is_not_found() -> None:
    behaviour, table = nobody_did_anything(), shop().table
    for number in range(5):
        for name in "ac":
            behaviour.record(f"u{number}", name, Act.VIEW, NOW)
    source = GoesTogether(CovisitSource(), behaviour)
    disliked = wanted(table, history=seen("a", type=Act.DISLIKE))
    assert ids(table, source.find(disliked, 5)) == []
    assert ids(table, source.find(wanted(table, context={"item_id": "a"}), 5)) == ["c"]
    assert ids(table, source.find(wanted(table), 5)) == []


def same_category(behaviour: Behaviour, categories: int = 3) -> SameCategory:
    return SameCategory(CategorySource(categories=categories), trending(behaviour).demand)


def test_the_category_of_the_page_and_of_what_the_user_did_are_found() -> None:
    behaviour, table = nobody_did_anything(), shop().table
    clicked(behaviour, {"a": 1, "b": 5, "c": 2, "d": 3, "e": 9})
    source = same_category(behaviour)
    assert ids(table, source.find(wanted(table, context={"category": "home"}), 9)) == ["b", "a"]
    assert ids(table, source.find(wanted(table, context={"item_id": "c"}), 9)) == ["d", "c"]
    both = wanted(table, context={"category": "home"}, history=seen("d", "x"))
    assert sorted(ids(table, source.find(both, 4))) == ["a", "b", "c", "d"]
    one = same_category(behaviour, categories=1).find(both, 4)
    assert ids(table, one) == ["b", "a"]
    assert ids(table, source.find(wanted(table), 4)) == []


def test_something_is_popular_when_nobody_did_anything() -> None:
    catalogue = shop()
    popular = Popular(PopularSource(), nobody_did_anything())
    assert ids(catalogue.table, popular.find(wanted(catalogue.table), 3)) == ["e", "d", "c"]
    nothing = filled([])
    assert ids(nothing.table, popular.find(wanted(nothing.table), 3)) == []


def newcomers(catalogue: Catalogue, behaviour: Behaviour, **said: int) -> list[str]:
    source = Newcomers(NewSource(newer_than_s=7 * 86_400, **said), behaviour)
    return ids(catalogue.table, source.find(wanted(catalogue.table), 10))


def test_new_is_what_came_or_came_out_lately() -> None:
    catalogue = filled(
        [
            item("old"),
            item("out", released_us=NOW - DAY),
            item("later", released_us=NOW + DAY),
            item("long out", released_us=NOW - 8 * DAY),
        ]
    )
    catalogue.upsert([item("came")], np.zeros((1, 2), np.float32), NOW - HOUR)
    catalogue.upsert([item("old", title="again")], np.zeros((1, 2), np.float32), NOW)
    assert sorted(newcomers(catalogue, nobody_did_anything())) == ["came", "out"]


def test_new_items_that_were_shown_least_have_their_chance_first() -> None:
    catalogue = filled([item(f"i{number}", released_us=NOW) for number in range(6)])
    behaviour = nobody_did_anything()
    for number in range(3):
        for _ in range(50):
            behaviour.record("u", f"i{number}", Act.IMPRESSION, NOW)
    assert sorted(newcomers(catalogue, behaviour, least_shown=3)) == ["i3", "i4", "i5"]


def test_new_items_that_are_clicked_more_are_found_more() -> None:
    catalogue = filled([item(name, released_us=NOW) for name in ("good", "bad", "fresh")])
    behaviour = nobody_did_anything()
    for number in range(40):
        for name in ("good", "bad"):
            behaviour.record("u", name, Act.IMPRESSION, NOW)
        if number % 2:
            behaviour.record("u", "good", Act.CLICK, NOW)
    source, chance = Newcomers(NewSource(), behaviour), Random(1)
    firsts = Counter(
        ids(catalogue.table, source.find(wanted(catalogue.table, random=chance), 1))[0]
        for _ in range(200)
    )
    assert firsts["good"] > 50
    assert firsts["fresh"] > 50
    assert firsts["bad"] < 20


def test_the_same_chance_finds_the_same() -> None:
    catalogue = filled([item(f"i{number}", released_us=NOW) for number in range(50)])
    source = Newcomers(NewSource(), nobody_did_anything())
    first, again = (source.find(wanted(catalogue.table, random=Random(7)), 9) for _ in "12")
    assert first.rows.tolist() == again.rows.tolist()


def test_sources_have_the_names_and_quotas_of_the_configuration() -> None:
    settings = Sources(vectors=VectorSource(quota=7))
    sources = made(settings, shop(), nobody_did_anything())
    assert [each.name for each in sources] == [*quotas(settings)]
    assert quotas(settings)["vectors"] == 7
