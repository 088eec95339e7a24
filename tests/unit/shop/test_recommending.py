"""What is known of the shop's past at a moment, and the towers that learn from it."""

import numpy as np
import pytest

from inferd.services.recommendation.codes import Vocabulary
from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.content import CONTENT_WIDTH, item_inputs, user_inputs
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.vocabulary import Act, Seen
from shop import recommending_graphs, towers
from shop.clock import BEGIN
from shop.recommending import Impressions, Model, Past, offers, stocked
from shop.recommending_graphs import DIMENSIONS, ODDS
from shop.towers import FACTORS, Factors, Shown
from shop.world import World

ITEMS = 40


@pytest.fixture(scope="module")
def small() -> World:
    return World.generate(3, 10, users=100, items=1000)


@pytest.fixture(scope="module")
def factors() -> Factors:
    dice = np.random.default_rng(5)
    own = np.zeros((ITEMS, FACTORS + 1))
    own[: ITEMS // 2] = dice.normal(size=(ITEMS // 2, FACTORS + 1)) * 0.3
    words = np.zeros((CONTENT_WIDTH, FACTORS + 1))
    return Factors(words, dice.normal(size=FACTORS + 1) * 0.3, own)


@pytest.fixture(scope="module")
def wares() -> list[Item]:
    return [Item(id=f"i{each}", title=f"thing {each}", price_minor=100) for each in range(ITEMS)]


@pytest.fixture(scope="module")
def tower(factors: Factors, wares: list[Item]) -> Model:
    identity = item_inputs(wares)["identity"][:, 0]
    return Model(recommending_graphs.item_tower(factors, identity))


def test_vectors_have_a_length_of_one_and_their_product_is_that_of_the_factors(
    factors: Factors, wares: list[Item], tower: Model
) -> None:
    told = item_inputs(wares)
    history = np.eye(3, 9, dtype=np.float32)
    weights, offsets = np.full((9, FACTORS), 0.2), np.full(FACTORS, 0.1)

    items = tower(told)
    users = Model(recommending_graphs.user_tower(weights, offsets))({"history": history})

    of = factors.of(told["content"])
    odds = (history @ weights + offsets) @ of[:, :-1].T + of[:, -1]
    assert items.shape == (ITEMS, DIMENSIONS)
    assert np.linalg.norm(items, axis=1) == pytest.approx(1, abs=1e-5)
    assert np.linalg.norm(users, axis=1) == pytest.approx(1, abs=1e-5)
    assert users @ items.T * ODDS == pytest.approx(odds, abs=1e-4)


def test_an_id_that_is_given_to_another_thing_is_not_known(wares: list[Item], tower: Model) -> None:
    known, other = wares[0], Item(id="i0", title="something else", price_minor=100)
    new = Item(id="never seen", title="thing 0", price_minor=100)

    vectors = tower(item_inputs([known, other, new]))

    assert not np.allclose(vectors[0], vectors[1])
    assert vectors[1] == pytest.approx(vectors[2])


def test_factors_find_what_is_liked_through_what_is_looked_at() -> None:
    dice = np.random.default_rng(1)
    content = np.zeros((60, CONTENT_WIDTH), np.float32)
    content[np.arange(60), np.arange(60) % 3] = 1  # a word of three
    content[:, -1] = dice.normal(size=60)
    user, item = dice.integers(90, size=30_000), dice.integers(60, size=30_000)
    likes = np.where(user % 3 == item % 3, 0.6, 0.1)
    examined = np.where(item % 2 == 0, 1.0, 0.3)  # odd items are always at a bad place
    clicked = dice.random(30_000) < likes * examined

    found = towers.factorised(
        Shown(user=user, item=item, clicked=clicked, examined=examined), content, 90
    ).of(content)

    even, odd = found[::2, -1], found[1::2, -1]
    assert even.mean() == pytest.approx(odd.mean(), abs=0.3)
    same = found[0, :-1] @ found[3, :-1]
    assert same > found[0, :-1] @ found[1, :-1] + 0.5


def test_propensities_are_rates_against_the_first_place() -> None:
    position = np.repeat([0, 1], 100)
    clicked = np.concatenate([np.arange(100) < 40, np.arange(100) < 10])

    assert towers.propensities(clicked, position) == pytest.approx([1.0, 0.25])


def test_a_moment_knows_what_was_before_it_and_nothing_later(small: World) -> None:
    wares = offers(small)
    words = np.zeros((CONTENT_WIDTH, FACTORS + 1))
    nothing = Factors(words, np.ones(FACTORS + 1), np.zeros((len(wares), FACTORS + 1)))
    nothing.own[0] = 1.0
    identity = item_inputs(wares)["identity"][:, 0]
    past = Past(small, stocked(wares, Model(recommending_graphs.item_tower(nothing, identity))))
    clicks = small.browsing.clicks
    known = 0

    for moment in past.moments(5):
        assert all(each.at_us < moment.time_us for each in moment.profile.history)
        earlier = (clicks.time_us >= BEGIN) & (clicks.time_us < moment.time_us)
        of_user = small.browsing.sessions.user[clicks.session] == moment.user
        clicked = [each for each in moment.profile.history if each.type is Act.CLICK]
        if len(moment.profile.history) < 100:
            assert len(clicked) == np.count_nonzero(earlier & of_user)
            known += len(clicked)

    assert known


def test_what_was_shown_is_told_as_it_was(small: World) -> None:
    shown = Impressions.of(small)

    assert shown.clicked.sum() == len(small.browsing.clicks.item)
    assert shown.item[:10].tolist() == small.browsing.lists.items[0].tolist()
    assert shown.position[:12].tolist() == [*range(10), 0, 1]


def test_what_a_user_did_with_nothing_known_is_nothing() -> None:
    table = Table(4, 3, Vocabulary())

    assert not user_inputs([], table)["history"].any()
    assert not user_inputs([Seen("gone", Act.CLICK, 1)], table)["history"].any()


def test_where_a_word_is_depends_on_the_word_and_its_field_alone() -> None:
    shoe = Item(id="a", title="Red shoe", brand="Tarn", tags=("shoes",), price_minor=4_990)
    boot = Item(id="b", title="boot, red", brand="Tarn", attributes={"size": 43.0})

    first, second = item_inputs([shoe, boot])["content"]

    alone = item_inputs([boot])["content"][0]
    assert (second == alone).all()
    assert first[-1] == pytest.approx(np.log(4_991), abs=1e-4)
    both = np.flatnonzero(first[:-1] * second[:-1])
    assert len(both) == 4  # no category, no merchant, the brand, and "red"


def test_what_is_disliked_is_told_apart_and_is_not_among_the_newest() -> None:
    table = Table(4, 2, Vocabulary())
    for name, vector in (("liked", (1.0, 0.0)), ("disliked", (0.0, 1.0))):
        table.append(Item(id=name), b"", np.array(vector, np.float32), 0)
    history = [Seen("disliked", Act.DISLIKE, 3), Seen("liked", Act.CLICK, 2)]

    [told] = user_inputs([*history, Seen("liked", Act.VIEW, 1)], table)["history"]

    means = told[:10].reshape(5, 2)  # looked at, in the cart, bought, disliked; the newest
    third = pytest.approx(1 / 3)
    assert means[:4].tolist() == [[third, 0], [0, 0], [0, 0], [0, third]]
    assert means[4].tolist() == [0.5, 0]
    assert told[10:] == pytest.approx([np.log(2), 0, 0, np.log(2)])
