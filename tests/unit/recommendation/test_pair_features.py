"""What rankers are told of a user and an item."""

import math
from typing import Any

import numpy as np
import pytest

from inferd.config.recommendation.catalogue import Behaviour as BehaviourSettings
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.pair_columns import COLUMNS
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.vocabulary import Act, Seen

HOUR_US = 3_600_000_000
NOW_US = 1_700_000_000_000_000
"""A Tuesday, 22:13 UTC."""
VECTORS = np.array([[1, 0], [0, 2], [3, 3], [0, 0]], np.float32)
ITEMS = [
    Item(id="red", category="shoes", brand="a", price_minor=1000, stock=4, released_us=NOW_US),
    Item(id="blue", category="shoes", brand="b", price_minor=4000, attributes={"size": 42.0}),
    Item(id="hat", category="hats", brand="a", price_minor=500, attributes={"colour": "red"}),
    Item(id="thing"),
]


def catalogue() -> Catalogue:
    made = Catalogue(dimensions=2, max_items=10)
    made.upsert(ITEMS, VECTORS, NOW_US)
    return made


class Told:
    """A user, a catalogue and behaviour, and what is made of them."""

    def __init__(self, *history: Seen, **context: Any) -> None:
        self.catalogue = catalogue()
        self.behaviour = Behaviour(BehaviourSettings(), max_items=10)
        values: dict[str, float | str | None] = {"spent": 12.5, "segment": "gold", "none": None}
        self.profile = Profile("u1", history, values, 1, known=True)
        self.context = Context(**context)

    def rows(self, *names: str, missing: float = -1.0, **changes: Any) -> Any:
        features = PairFeatures(names, missing=missing)
        return features.rows(
            self.profile,
            self.catalogue.table,
            np.arange(4),
            self.behaviour,
            self.context,
            **{"now_us": NOW_US, **changes},
        )

    def column(self, name: str, **changes: Any) -> list[float]:
        return [round(float(each), 4) for each in self.rows(name, **changes)[:, 0]]


def test_every_feature_has_a_column_and_columns_are_in_the_order_of_their_names() -> None:
    told = Told(Seen("red", Act.CLICK, NOW_US))
    told.behaviour.record("u2", "hat", Act.VIEW, NOW_US)

    rows = told.rows("context.weekday", "item.price", "user.spent")
    everything = told.rows(*COLUMNS)

    assert rows.dtype == np.float32
    assert rows.tolist() == [[1, 1000, 12.5], [1, 4000, 12.5], [1, 500, 12.5], [1, 0, 12.5]]
    assert everything.shape == (4, len(COLUMNS))
    assert np.isfinite(everything).all()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("item.price", [1000, 4000, 500, 0]),
        ("log(item.price)", [6.9088, 8.2943, 6.2166, 0.0]),
        ("item.stock", [4, -1, -1, -1]),
        ("item.age_days", [0, -1, -1, -1]),
        ("item.category_price", [-0.6931, 0.6931, 0.0, -1]),
        ("item.category=shoes", [1, 1, 0, 0]),
        ("item.brand=nobody", [0, 0, 0, 0]),
        ("item.attributes.size", [-1, 42, -1, -1]),
        ("item.attributes.colour", [-1, -1, -1, -1]),
        ("item.attributes.colour=red", [0, 0, 1, 0]),
        ("user.spent", [12.5] * 4),
        ("user.segment", [-1] * 4),
        ("user.segment=gold", [1] * 4),
        ("user.none", [-1] * 4),
        ("user.nothing", [-1] * 4),
        ("user.known", [0] * 4),
        ("pair.vector_dot", [-1] * 4),
        ("pair.price_ratio", [-1] * 4),
        ("pair.category_affinity", [0] * 4),
        ("context.hour", [22.2222] * 4),
        ("context.weekday", [1] * 4),
    ],
)
def test_of_items_and_of_a_user_without_history(name: str, expected: list[float]) -> None:
    assert Told().column(name) == expected


def test_a_history_is_weighed_by_what_was_done_and_how_many_acts_ago() -> None:
    told = Told(
        Seen("hat", Act.PURCHASE, NOW_US),
        Seen("red", Act.VIEW, NOW_US),
        Seen("blue", Act.IMPRESSION, NOW_US),
        Seen("gone", Act.VIEW, NOW_US),
    )
    hat, red = 4 / 4.95, 0.95 / 4.95

    assert told.column("pair.category_affinity") == pytest.approx([red, red, hat, 0], abs=1e-4)
    assert told.column("pair.brand_affinity") == pytest.approx([1, 0, 1, 0], abs=1e-4)
    usual = hat * math.log(500) + red * math.log(1000)
    assert told.column("pair.price_ratio")[:3] == pytest.approx(
        [math.log(price) - usual for price in (1000, 4000, 500)], abs=1e-3
    )
    spent = red * math.log(1000 / 2000)
    assert told.column("pair.spend_ratio")[:3] == pytest.approx(
        [math.log(0.5) - spent, math.log(2) - spent, -spent], abs=1e-3
    )


def test_acts_with_the_very_item_are_counted_and_those_of_the_history() -> None:
    told = Told(
        Seen("red", Act.VIEW, 0),
        Seen("red", Act.VIEW, 0),
        Seen("hat", Act.VIEW, 0),
        Seen("gone", Act.VIEW, 0),
        Seen("hat", Act.DISLIKE, 0),
    )

    assert told.column("pair.views") == [2, 0, 1, 0]
    assert told.column("pair.dislikes") == [0, 0, 1, 0]
    assert told.column("pair.clicks") == [0, 0, 0, 0]
    assert told.column("history.views") == [4, 4, 4, 4]
    assert told.column("history.length") == [5, 5, 5, 5]


def test_likeness_is_a_cosine_to_the_user_to_the_history_and_to_the_page() -> None:
    half = round(math.sqrt(0.5), 4)
    told = Told(Seen("red", Act.VIEW, 0), Seen("blue", Act.VIEW, 0), item_id="hat")
    mean = np.array([1, 0.95]) / math.hypot(1, 0.95)

    assert told.column("pair.vector_dot", user_vector=np.array([5, 0], np.float32)) == [
        *(1, 0, half, 0)
    ]
    assert told.column("pair.history_dot") == pytest.approx(
        [mean[0], mean[1], half * (mean[0] + mean[1]), 0], abs=1e-3
    )
    assert told.column("pair.history_nearest") == [1, 1, half, 0]
    assert told.column("pair.page_dot") == [half, half, 1, 0]


def test_what_everybody_does_counts_less_after_a_while() -> None:
    told = Told(Seen("red", Act.VIEW, NOW_US))
    for user in range(4):
        told.behaviour.record(f"u{user}", "red", Act.VIEW, NOW_US - HOUR_US)
        told.behaviour.record(f"u{user}", "hat", Act.CLICK, NOW_US - HOUR_US)

    assert told.column("item.views_1h") == [2, 0, 0, 0]
    assert told.column("item.clicks_1h") == [0, 0, 2, 0]
    assert told.column("item.clicks_7d")[2] == pytest.approx(3.98, abs=0.01)
    ctr = told.column("item.ctr_1h")
    assert ctr[2] > ctr[0] == ctr[3] > 0
    covisits = told.column("pair.covisits")
    assert covisits[2] > 0
    assert covisits[1] == covisits[3] == 0


def test_the_context_is_told() -> None:
    told = Told(page="cart", category="hats", device_type="phone", recent_items=("red", "hat"))

    assert told.column("context.page=cart") == [1] * 4
    assert told.column("context.page=home") == [0] * 4
    assert told.column("context.device_type=phone") == [1] * 4
    assert told.column("pair.page_category") == [0, 0, 1, 0]
    assert told.column("context.session") == [2] * 4


def test_items_of_the_session_are_history_from_then_on() -> None:
    profile = Profile("u", [Seen("red", Act.CLICK, 5)], {"spent": 1.0}, 7, known=True)

    joined = profile.in_session(("blue", "red", "hat", "blue"))

    assert [each[:2] for each in joined.history] == [
        ("blue", Act.VIEW),
        ("hat", Act.VIEW),
        ("red", Act.CLICK),
    ]
    assert (joined.stamp, joined.values, joined.known) == (7, {"spent": 1.0}, True)
    assert profile.in_session(("red",)) is profile


def test_usual_prices_follow_the_catalogue() -> None:
    told = Told()
    features = PairFeatures(("item.category_price",))

    def hat() -> float:
        table = told.catalogue.table
        rows = np.array([table.row("hat")])
        arguments = (told.profile, table, rows, told.behaviour, told.context)
        return float(features.rows(*arguments, now_us=NOW_US)[0, 0])

    assert hat() == 0.0
    told.catalogue.upsert([Item(id="dear", category="hats", price_minor=2000)], VECTORS[:1], NOW_US)
    assert hat() == pytest.approx(math.log(500 / 1000))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("item.prize", "item.price"),
        ("log(item.views_2d)", "item.views_1d"),
        ("pair.vectordot", "pair.vector_dot"),
        ("context.city=Rome", "context has no text city"),
        ("item.title=x", "item has no text title"),
        ("user.", "is no feature"),
    ],
)
def test_a_name_that_is_none_is_refused_with_the_nearest_one(name: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=nearest):
        PairFeatures((name,))
