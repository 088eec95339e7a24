"""What holds of every list, whatever the candidates, the rules and the user's history."""

from collections import Counter
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from inferd.config.recommendation.ranking import Ranking as Settings
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.filters import Between, Filter
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.ranking import Pool, Ranking, RankingRules, rank
from inferd.services.recommendation.vocabulary import Act, Seen

ITEMS = 30
NOW_US = 1_000_000_000_000_000
CHEAP = Filter("price_minor", Between(at_most=500))


def catalogue(seed: int) -> Catalogue:
    """Make one of a kind: drawing every field would take most of the time."""
    dice = np.random.default_rng(seed)
    made = Catalogue(dimensions=4, max_items=2 * ITEMS)
    items = [
        Item(
            id=f"i{number:02}",
            brand=str(dice.choice(["", "a", "b", "c"])),
            category=str(dice.choice(["x", "y"])),
            price_minor=int(dice.integers(1, 1000)),
            stock=dice.choice(np.array([None, 0, 1, 1])),
            released_us=int(dice.choice([0, NOW_US, NOW_US + 1])),
        )
        for number in range(ITEMS)
    ]
    made.upsert(items, dice.normal(size=(ITEMS, 4)).astype(np.float32), NOW_US)
    made.delete([f"i{number:02}" for number in dice.integers(0, ITEMS, 3)])
    return made


names = st.integers(0, ITEMS - 1).map(lambda number: f"i{number:02}")
histories = st.lists(
    st.builds(Seen, names, st.sampled_from(Act), st.sampled_from([0, NOW_US])), max_size=30
)
candidates = st.lists(
    st.tuples(st.integers(0, ITEMS - 1), st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.9])),
    unique_by=lambda each: each[0],
)
rules = st.fixed_dictionaries(
    {
        "max_per_brand": st.sampled_from([None, 1, 2]),
        "max_per_category": st.sampled_from([None, 3]),
        "diversity": st.sampled_from([0.0, 0.3, 1.0]),
        "seen": st.just({"hide_shown": 2}),
        "rules": st.sampled_from(
            [
                [],
                [
                    {"name": "first", "pin": 0, "where": [{"field": "brand", "equals": "a"}]},
                    {"name": "third", "pin": 2, "items": ["i05", "i06"]},
                    {"name": "up", "boost": 3, "where": [{"field": "category", "equals": "x"}]},
                    {"name": "down", "bury": True, "items": ["i07", "i08"]},
                ],
            ]
        ),
    }
)


class Case:
    """One list, and all that it was made of."""

    def __init__(self, data: st.DataObject) -> None:
        self.table = catalogue(data.draw(st.integers(0, 10_000))).table
        self.candidates = data.draw(candidates)
        self.history = data.draw(histories)
        self.settings = Settings.model_validate(data.draw(rules))
        self.rules = RankingRules(self.settings)
        self.filters = data.draw(st.sampled_from([(), (CHEAP,)]))
        self.include_seen = data.draw(st.booleans())
        self.new_places = data.draw(st.frozensets(st.integers(0, 9)))
        self.count = data.draw(st.integers(0, 12))

    def pool(self, order: list[int] | None = None, **changes: Any) -> Pool:
        chosen = [self.candidates[at] for at in order or range(len(self.candidates))]
        return Pool(
            **{
                "table": self.table,
                "rows": np.array([row for row, _ in chosen], np.int64),
                "scores": [score for _, score in chosen],
                "reasons": [f"found:{row}" for row, _ in chosen],
                "now_us": NOW_US,
                "history": self.history,
                "filters": self.filters,
                "include_seen": self.include_seen,
                "new": [float(row) if row % 3 == 0 else np.nan for row, _ in chosen],
                "new_places": self.new_places,
                **changes,
            }
        )

    def rank(self) -> Ranking:
        return rank(self.pool(), self.rules, self.count)

    def may_be(self, row: int) -> bool:
        """Say, item by item, what may be in a list."""
        table = self.table
        never = {Act.DISLIKE} if self.include_seen else {Act.DISLIKE, Act.PURCHASE}
        done = {each.type for each in self.history if each.item_id == table.ids[row]}
        return bool(
            table.alive[row]
            and table.stock[row] != 0
            and table.released_us[row] <= NOW_US
            and (not self.filters or table.price_minor[row] <= 500)
            and not done & never
        )

    def is_pinned(self, at: int, row: int) -> bool:
        """Say whether a rule has something to say of a row at a place."""
        return bool(self.settings.rules) and (
            (at == 0 and self.table.brands.texts[self.table.brand[row]] == "a")
            or (at == 2 and self.table.ids[row] in ("i05", "i06"))
        )


@given(st.data())
def test_no_item_is_there_twice_and_none_that_may_not_be(data: st.DataObject) -> None:
    case = Case(data)

    rows = [each.row for each in case.rank().items]

    assert len(set(rows)) == len(rows)
    assert all(case.may_be(row) for row in rows)


@given(st.data())
def test_a_list_is_as_long_as_asked_or_has_all_there_is(data: st.DataObject) -> None:
    case = Case(data)

    ranking = case.rank()

    found = {row for row, _ in case.candidates if case.may_be(row)}
    listed = {each.row for each in ranking.items}
    if len(found) >= case.count:
        assert len(listed) == case.count
    else:
        assert found <= listed
    assert all(bool(ranking.fate(row)) != (row in listed) for row, _ in case.candidates)


@given(st.data())
def test_limits_hold_but_for_pins_and_where_it_is_said(data: st.DataObject) -> None:
    case = Case(data)

    ranking = case.rank()

    table, settings = case.table, case.settings
    for column, most in (
        (table.brand, settings.max_per_brand),
        (table.category, settings.max_per_category),
    ):
        bound = [
            each
            for each in ranking.items
            if not {"caps relaxed", "seen relaxed"} & {*each.notes} and column[each.row]
        ]
        counts = Counter(int(column[each.row]) for each in bound)
        pinned = Counter(int(column[each.row]) for each in bound if each.reason == "pinned")
        assert most is None or all(n <= max(most, pinned[code]) for code, n in counts.items())


@given(st.data())
def test_nothing_gives_way_where_there_is_enough(data: st.DataObject) -> None:
    case = Case(data)

    ranking = case.rank()

    lost = {why for why, rows in ranking.lost if len(rows)}
    if ranking.relaxed:
        assert "ranked_below" not in lost
    if "seen" in ranking.relaxed:
        assert not {"brand_cap", "category_cap"} & lost
    said = {note for each in ranking.items for note in each.notes if "relaxed" in note}
    assert said == {f"{each} relaxed" for each in ranking.relaxed}


@given(st.data())
def test_pins_stand_at_their_places(data: st.DataObject) -> None:
    case = Case(data)

    ranking = case.rank()

    items = [each.row for each in ranking.items]
    if not case.settings.rules:
        assert all(each.reason != "pinned" for each in ranking.items)
        return
    eligible = {row for row in range(ITEMS) if case.may_be(row)}
    found = {row for row, _ in case.candidates}
    for at, named in ((0, False), (2, True)):
        meant = {row for row in eligible if case.is_pinned(at, row) and (named or row in found)}
        others = {row for row in eligible if case.is_pinned(2 - at, row)}
        if at < len(items) and meant - others:
            assert case.is_pinned(at, items[at])
            assert ranking.items[at].reason == "pinned"


@given(st.data())
def test_the_order_of_candidates_changes_nothing(data: st.DataObject) -> None:
    case = Case(data)
    order = data.draw(st.permutations(range(len(case.candidates))))

    assert rank(case.pool([*order]), case.rules, case.count).items == case.rank().items


@given(st.data())
def test_the_same_candidates_twice_are_the_same_list(data: st.DataObject) -> None:
    case = Case(data)
    order = [*range(len(case.candidates))] * 2

    assert rank(case.pool(order), case.rules, case.count).items == case.rank().items
