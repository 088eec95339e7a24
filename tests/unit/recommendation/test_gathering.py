from collections.abc import Mapping

import numpy as np
import pytest

from inferd.services.recommendation.filters import AnyOf, Filter
from inferd.services.recommendation.gathering import Gathering, eligible, lost, newest
from inferd.services.recommendation.sources import Found, Wanted
from support.recommendation import HOUR, NOW, filled, item, wanted


class Always:
    """A source that finds the same rows, and remembers how many were wanted."""

    def __init__(self, name: str, scores: Mapping[int, float]) -> None:
        self.name = name
        self._scores = scores
        self.counts: list[int] = []

    def find(self, wanted: Wanted, count: int) -> Found:
        self.counts.append(count)
        some = [*self._scores.items()][:count]
        rows, scores = [row for row, _ in some], [score for _, score in some]
        return Found(np.array(rows, np.int64), np.array(scores, np.float32))


class Broken:
    name = "broken"

    def find(self, wanted: Wanted, count: int) -> Found:
        raise RuntimeError("out of order")


TABLE = filled([item(str(number)) for number in range(6)]).table


def test_an_item_that_several_sources_find_is_there_once_for_the_first_of_them() -> None:
    sources = [Always("one", {3: 0.5, 1: 0.2}), Always("two", {1: 9.0, 4: 8.0})]
    gathered = Gathering(sources, {"one": 5, "two": 5}).gather(wanted(TABLE), {})
    assert gathered.rows.tolist() == [3, 1, 4]
    assert gathered.reasons == ["one", "one", "two"]
    assert gathered.sources(1) == {"one": pytest.approx(0.2), "two": 9.0}


def test_quotas_are_the_configurations_unless_told_otherwise_and_0_is_off() -> None:
    one, two = Always("one", {1: 1.0}), Always("two", {2: 1.0})
    gathering = Gathering([one, two], {"one": 5, "two": 7})
    gathering.gather(wanted(TABLE), {"one": 2})
    gathering.gather(wanted(TABLE), {"two": 0})
    assert (one.counts, two.counts) == ([2, 5], [7])


def test_only_the_sources_that_are_named_are_asked() -> None:
    one, two = Always("one", {1: 1.0}), Always("two", {2: 1.0})
    gathered = Gathering([one, two], {"one": 5, "two": 5}).gather(wanted(TABLE), {}, ["two"])
    assert [*gathered.found] == ["two"]


def test_a_source_that_fails_costs_its_own_candidates(caplog: pytest.LogCaptureFixture) -> None:
    gathering = Gathering([Broken(), Always("two", {2: 1.0})], {"broken": 5, "two": 5})
    for _ in range(3):
        gathered = gathering.gather(wanted(TABLE), {})
        assert gathered.rows.tolist() == [2]
        assert gathered.failed == ["broken"]
    assert len(caplog.records) == 1


def test_scores_of_one_source_are_told_by_candidate() -> None:
    sources = [Always("one", {3: 0.5, 1: 0.25}), Always("two", {4: 8.0})]
    gathered = Gathering(sources, {"one": 5, "two": 5}).gather(wanted(TABLE), {})
    scores = gathered.scores_of("one")
    assert scores is not None
    assert scores.tolist()[:2] == [0.5, 0.25]
    assert np.isnan(scores[2])
    assert gathered.scores_of("three") is None


def test_what_may_be_in_a_list_is_alive_to_be_had_and_out_and_why_else_is_told() -> None:
    catalogue = filled(
        [
            item("good", brand="x"),
            item("gone"),
            item("sold", stock=0),
            item("later", released_us=NOW + HOUR),
            item("other", brand="y"),
        ]
    )
    rows = {id: catalogue.table.row(id) or 0 for id in ("good", "gone", "sold", "later", "other")}
    catalogue.delete(["gone"])
    table, only_x = catalogue.table, [Filter("brand", AnyOf(("x",)))]
    may_be = np.flatnonzero(eligible(table, only_x, NOW)).tolist()
    assert may_be == [rows["good"]]
    assert {id: lost(table, only_x, row, NOW) for id, row in rows.items()} == {
        "good": "",
        "gone": "not_in_catalogue",
        "sold": "out_of_stock",
        "later": "not_released",
        "other": "filter:brand",
    }


def test_where_no_source_finds_anything_the_newest_are_candidates() -> None:
    catalogue = filled([item("old")])
    catalogue.upsert([item("new")], np.zeros((1, 2), np.float32), NOW)
    table = catalogue.table
    found = newest(table, table.alive, 5)
    assert [table.ids[row] for row in found.rows.tolist()] == ["new", "old"]
    assert found.reasons == ["newest", "newest"]
