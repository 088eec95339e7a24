"""Lists for people of whom little is known, and places for items of which little is known."""

from collections import Counter, defaultdict
from random import Random

import numpy as np
import pytest

from inferd.config.recommendation.cold_start import ColdStart as Settings
from inferd.config.recommendation.ranking import Ranking
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.cold_start import ColdStart, chance, new_places
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.profile import Profile, anonymous
from inferd.services.recommendation.ranking import Pool, RankingRules, rank
from inferd.services.recommendation.vocabulary import Act, Seen

NOW_US = 1_700_000_000_000_000
WINDOW_US = 1_800_000_000
CATEGORIES, EACH, LENGTH = 8, 20, 10
HOME = Context(page="home", device_type="phone", country="DE")
POPULARITY = np.tile(np.arange(EACH, 0, -1), CATEGORIES)


def catalogue() -> Catalogue:
    """Twenty items in each of the categories c0, c1, ...: i0 to i19, the first the most popular."""
    made = Catalogue(dimensions=2, max_items=CATEGORIES * EACH)
    items = [
        Item(id=f"c{category}i{number}", category=f"c{category}")
        for category in range(CATEGORIES)
        for number in range(EACH)
    ]
    made.upsert(items, np.ones((len(items), 2), np.float32), NOW_US)
    return made


THEM = catalogue()
TABLE = THEM.table


def scores(
    cold: ColdStart, profile: Profile, context: Context = HOME, now_us: int = NOW_US
) -> dict[str, float]:
    rows = np.arange(TABLE.size)
    given = cold.scores(TABLE, rows, POPULARITY, profile, context, now_us=now_us)
    return dict(zip(TABLE.ids, given.tolist(), strict=True))


def shown(cold: ColdStart, profile: Profile, now_us: int = NOW_US) -> list[str]:
    """Return the categories of a whole list, made by the classes that make lists."""
    rows = np.arange(TABLE.size)
    pool = Pool(
        table=TABLE,
        rows=rows,
        scores=cold.scores(TABLE, rows, POPULARITY, profile, HOME, now_us=now_us),
        reasons=["cold_start"] * len(rows),
        now_us=now_us,
        history=profile.history,
    )
    ranking = rank(pool, RankingRules(Ranking()), LENGTH)
    return [TABLE.ids[each.row][:2] for each in ranking.items]


def clicked(cold: ColdStart, category: int, clicks: int, impressions: int, answer: str) -> None:
    for number in range(impressions):
        cold.record(category, Act.IMPRESSION, NOW_US, answer)
        if number < clicks:
            cold.record(category, Act.CLICK, NOW_US, answer)


def code(category: str) -> int:
    return TABLE.categories.find(category)


def test_five_clicks_move_a_list_to_what_was_clicked() -> None:
    cold = ColdStart(Settings())
    for category in range(CATEGORIES):
        clicked(cold, code(f"c{category}"), 30, 600, "")
    clicks = [Seen(f"c5i{number}", Act.CLICK, NOW_US) for number in range(5)]
    before, after = Counter[str](), Counter[str]()
    for number in range(100):
        user = f"u{number}"
        before.update(shown(cold, Profile(user, (), known=True)))
        after.update(shown(cold, Profile(user, clicks, known=True)))

    # A list is moved, and not only here and there: from an eighth to more than half.
    assert before["c5"] / before.total() < 0.2
    assert after["c5"] / after.total() > 0.5
    # But others are still tried.
    assert len(after) == CATEGORIES


def test_a_user_nobody_knows_gets_a_list_of_what_is_popular() -> None:
    given = scores(ColdStart(Settings()), anonymous("new"))

    assert len(shown(ColdStart(Settings()), anonymous("new"))) == LENGTH
    for category in range(CATEGORIES):
        mine = [given[f"c{category}i{number}"] for number in range(EACH)]
        assert mine == sorted(mine, reverse=True)
        assert mine[0] > mine[-1] > 0


def test_who_loads_a_page_again_sees_the_same_list_whatever_others_did_meanwhile() -> None:
    cold, user = ColdStart(Settings()), anonymous("u1")
    before = scores(cold, user)

    clicked(cold, code("c3"), 500, 500, "")

    assert scores(cold, user) == before
    assert scores(cold, user, now_us=NOW_US + WINDOW_US) != before


def test_two_users_are_shown_different_things() -> None:
    cold = ColdStart(Settings())

    assert scores(cold, anonymous("u1")) != scores(cold, anonymous("u2"))


def test_what_others_click_is_shown_more() -> None:
    cold = ColdStart(Settings())
    for category in range(CATEGORIES):
        clicked(cold, code(f"c{category}"), 200 if category == 2 else 20, 1000, "")

    seen = Counter[str]()
    for number in range(100):
        seen.update(shown(cold, anonymous(f"u{number}")))

    assert seen["c2"] / seen.total() > 0.4


def test_what_is_clicked_in_one_country_is_shown_more_there() -> None:
    cold = ColdStart(Settings())
    french = HOME._replace(country="FR")
    for context, liked in ((HOME, 0), (french, 7)):
        cold.answered(context.country, context, NOW_US)
        for category in range(CATEGORIES):
            clicks = 600 if category == liked else 50
            clicked(cold, code(f"c{category}"), clicks, 1000, context.country)

    def best(context: Context) -> str:
        sums = defaultdict[str, float](float)
        for number in range(50):
            for item, score in scores(cold, anonymous(f"u{number}"), context).items():
                sums[item[:2]] += score
        return max(sums, key=sums.__getitem__)

    assert best(HOME) == "c0"
    assert best(french) == "c7"


def test_a_dislike_speaks_against_the_category() -> None:
    cold = ColdStart(Settings(prior_strength=100))
    dislikes = [Seen(f"c1i{number}", Act.DISLIKE, NOW_US) for number in range(20)]

    def mean(history: list[Seen]) -> float:
        return float(
            np.mean(
                [
                    scores(cold, Profile(f"u{number}", history, known=True))["c1i0"]
                    for number in range(100)
                ]
            )
        )

    assert mean(dislikes) < 0.7 * mean([])


def test_what_others_did_long_ago_counts_for_little() -> None:
    cold = ColdStart(Settings(half_life_s=1.0, context_strength=5))
    clicked(cold, code("c0"), 1000, 1000, "")
    clicked(cold, code("c1"), 0, 1000, "")

    def means(now_us: int) -> tuple[float, float]:
        given = [scores(cold, anonymous(f"u{n}"), now_us=now_us) for n in range(100)]
        first, second = np.mean([(each["c0i0"], each["c1i0"]) for each in given], axis=0)
        return float(first), float(second)

    liked, not_liked = means(NOW_US)
    cold.record(code("c2"), Act.IMPRESSION, NOW_US + 60_000_000)
    no_more, no_less = means(NOW_US + WINDOW_US)

    assert liked > 10 * not_liked
    assert no_more == pytest.approx(no_less, rel=0.5)


def test_somebody_is_new_until_five_things_are_known_of_them() -> None:
    cold = ColdStart(Settings())
    history = [Seen("a", Act.VIEW, 0)] * 4 + [Seen("a", Act.IMPRESSION, 0)] * 10

    assert cold.is_new(Profile("u", history, known=True))
    assert not cold.is_new(Profile("u", [*history, Seen("b", Act.CLICK, 0)], known=True))


class TestNewPlaces:
    """Places for new items."""

    @pytest.mark.parametrize(("count", "share"), [(10, 0.1), (10, 0.05), (20, 0.12), (3, 0.5)])
    def test_they_are_the_share_on_average_and_each_is_as_likely(
        self, count: int, share: float
    ) -> None:
        dice, lists = Random(1), 5_000
        places = Counter[int]()
        for _ in range(lists):
            places.update(new_places(count, share, dice))

        each = [places[place] / lists for place in range(count)]

        assert each == pytest.approx([share] * count, abs=0.02)

    def test_there_are_none_where_there_is_no_share_or_no_list(self) -> None:
        assert new_places(10, 0.0, Random(1)) == new_places(0, 0.5, Random(1)) == frozenset()

    def test_they_are_the_same_while_the_window_lasts(self) -> None:
        first, second = (chance("u1", NOW_US, 1800.0, "new") for _ in range(2))

        assert new_places(10, 0.3, first) == new_places(10, 0.3, second)
