"""The order of hits for somebody: near everybody's, and nothing that is everybody's changes."""

from typing import Any

import pytest

from inferd.config.search.ranking import SearchPersonal
from inferd.services.search.personal import Tastes
from inferd.services.search.text_query import StoredDocument


def tastes(**settings: Any) -> Tastes:
    return Tastes(SearchPersonal(**{"fields": {"brand": 2, "tags": 1}, **settings}))


def document(number: int, brand: str = "", *tags: str) -> StoredDocument:
    return StoredDocument(number, f"d{number}", {"brand": brand, "tags": tags})


HITS = [document(each, "liked" if each % 4 == 3 else "other", "new") for each in range(12)]
EVERYBODYS = tuple(range(12))


def test_hits_like_what_was_clicked_rise_by_no_more_than_they_may() -> None:
    known = tastes()
    known.clicked("ann", document(99, "liked"))
    for shift in range(8):
        mine = known.order(HITS, EVERYBODYS, known.of("ann"), shift)
        moved = [mine.index(place) - place for place in EVERYBODYS]
        assert sorted(mine) == [*EVERYBODYS]
        assert max(map(abs, moved)) <= shift
        assert all(moved[place] <= 0 for place in EVERYBODYS if place % 4 == 3)


def test_nobody_in_particular_has_everybodys_order() -> None:
    known = tastes()
    known.clicked("ann", document(99, "liked"))
    known.clicked("", document(99, "liked"))

    for user in ("", "bob"):
        assert known.of(user) == {}
        assert known.order(HITS, EVERYBODYS, known.of(user), 5) == EVERYBODYS


def test_a_hit_is_worth_its_share_of_the_clicks_by_weight_of_the_fields() -> None:
    known = tastes()
    for brand, tag in (("a", "x"), ("a", "y"), ("b", "y"), ("b", "z")):
        known.clicked("ann", document(1, brand, tag))
    affinity = known.of("ann")

    assert known.worth(document(2, "a", "y", "z"), affinity) == pytest.approx((2 * 0.5 + 0.5) / 3)
    assert known.worth(document(3, "c"), affinity) == 0


def test_what_was_clicked_in_a_session_counts_besides() -> None:
    known = tastes()
    known.clicked("ann", document(1, "a"))
    affinity = known.of("ann", [document(2, "b")])

    assert affinity["brand", "a"] == affinity["brand", "b"] == 0.5


def test_only_the_newest_clicks_count_and_only_of_those_who_clicked_last() -> None:
    known = tastes(clicks=2, max_users=3)
    for brand in ("a", "b", "c"):
        known.clicked("ann", document(1, brand))
    assert {brand for _, brand in known.of("ann")} == {"b", "c"}
    for user in ("u1", "u2", "ann", "u3"):
        known.clicked(user, document(1, "a"))
    assert len(known) == 3
    assert known.of("ann")
    assert not known.of("u1")


def test_without_fields_nothing_is_personal() -> None:
    known = tastes(fields={})
    known.clicked("ann", HITS[3])

    assert known.of("ann", [HITS[3]]) == {}
    assert len(known) == 0
