"""Judged queries, typing errors, and what is learnt from searches."""

from itertools import pairwise

import numpy as np
import pytest

from inferd.config.search.behaviour import SearchBehaviour as BehaviourSettings
from inferd.config.search.index import SearchIndex
from shop.browsing import EXAMINED
from shop.judged_search import ANOTHER, judged, ndcg, searches
from shop.search_lessons import NAMES, lesson
from shop.search_typos import misspelt
from shop.searching import FIELDS, Asked, Found, Past, documents, examined, indexed, items_of
from shop.world import World


@pytest.fixture(scope="module")
def small() -> World:
    return World.generate(5, 12, users=300, items=1000)


def test_the_best_order_has_the_gain_one_and_others_less() -> None:
    worth = np.array([0.1, 0.9, 0.0, 0.5])

    assert ndcg(worth, [1, 3, 0, 2]) == pytest.approx(1.0)
    assert 0.5 < ndcg(worth, [3, 1, 0, 2]) < 1.0
    assert ndcg(worth, [2]) == 0
    assert ndcg(np.zeros(4), [0, 1]) == 0


def test_what_was_asked_for_is_worth_most(small: World) -> None:
    by_query = {each.query: each.worth for each in judged(small, on_day=12)}
    coloured = next(query for query in by_query if query.endswith(" tent") and "black" in query)
    plain, black = by_query["tent"], by_query[coloured]
    is_black = small.items.colour == 0

    np.testing.assert_allclose(black[is_black], plain[is_black])
    np.testing.assert_allclose(black[~is_black], plain[~is_black] * ANOTHER)
    fits = [small.items.title(item).endswith(" tent") for item in np.flatnonzero(plain).tolist()]
    assert fits
    assert all(fits)


def test_searches_are_judged_for_who_made_them(small: World) -> None:
    lists = small.browsing.lists
    for each in searches(small, from_day=9, count=20):
        shown = lists.items[each.list]
        liked = small.relevance()[each.list]
        if " " not in each.query:
            np.testing.assert_allclose(each.worth[shown], liked)


def test_places_are_looked_at_as_lists_in_random_order_tell(world: World) -> None:
    places = examined(world, 45)

    assert places == pytest.approx(EXAMINED, abs=0.06)
    assert all(one >= other for one, other in pairwise(places))


def test_a_typing_error_makes_another_query_and_the_same_for_the_same_seed() -> None:
    draws = np.random.default_rng(1)
    queries = [misspelt("black running shoes", draws) for _ in range(200)]

    again = np.random.default_rng(1)
    assert queries == [misspelt("black running shoes", again) for _ in range(200)]
    assert "black running shoes" not in queries
    assert len(set(queries)) > 30
    assert misspelt("a red hat", draws) == "a red hat"


def test_the_past_knows_nothing_of_what_comes_later(small: World) -> None:
    lists = small.browsing.lists
    past = Past(small, BehaviourSettings())
    wanted = np.ones(len(lists.time_us), np.bool_)

    seen, last_us = 0, 0
    for moment in past.moments(wanted):
        if not seen:
            ids = [id for id, _ in documents(small)]
            slots = past.behaviour.slots(ids)
            assert not past.behaviour.counts(slots, "30d", moment.time_us).any()
        assert moment.time_us >= last_us
        seen, last_us = seen + 1, moment.time_us
    assert seen == len(lists.time_us)


def test_what_is_not_out_yet_is_not_found(small: World) -> None:
    found = Found(indexed(documents(small), SearchIndex(fields=FIELDS)))
    out_us = np.array([fields["released_us"] for _, fields in documents(small)])
    middle_us = int(np.median(out_us))

    hits = found.at(Asked.of("tent"), middle_us)

    assert len(hits.ids) > 0
    assert (out_us[items_of(hits)] <= middle_us).all()


def test_a_lesson_has_what_was_looked_at_and_what_does_not_fit(small: World) -> None:
    told = lesson(small, EXAMINED, until_day=12)

    assert told.rows.shape == (len(told.labels), len(NAMES)) == (told.groups.sum(), len(NAMES))
    assert np.isfinite(told.rows).all()
    assert set(np.unique(told.labels)) == {0, 1, 2, 3}
    best = [labels.max() for labels in np.split(told.labels, np.cumsum(told.groups)[:-1])]
    assert min(best) > 0
    match = told.rows[:, NAMES.index("match.any")]
    assert match[told.labels > 0].mean() > match[told.labels == 0].mean()
