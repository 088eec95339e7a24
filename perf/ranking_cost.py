"""What it costs to make a list of candidates, and what leads up to it.

    python perf/ranking_cost.py

Candidates are of 20,000 items with vectors of 64 dimensions; the user has a history of 100. Ways
take turns, and what is printed is the median of rounds. Nothing is waited for, so it is the time of
the thread: other processes on the machine take none of it.
"""

import statistics
import time
from collections.abc import Callable, Mapping

import numpy as np

from inferd.config.recommendation.cache import AnswerCache as CacheSettings
from inferd.config.recommendation.catalogue import Behaviour as BehaviourSettings
from inferd.config.recommendation.cold_start import ColdStart as ColdStartSettings
from inferd.config.recommendation.rankers import Ranker
from inferd.config.recommendation.ranking import Ranking
from inferd.services.recommendation.answer_cache import AnswerCache, Key
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.cold_start import ColdStart
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.ensemble import Ensemble
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.making import Entry, Listed, Made
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.ranking import Pool, RankingRules, rank
from inferd.services.recommendation.tuning import UNTUNED
from inferd.services.recommendation.vocabulary import Act, Seen

ITEMS, DIMENSIONS, HISTORY = 20_000, 64, 100
NOW_US = 1_700_000_000_000_000
CALLS, ROUNDS = 20, 15
FEATURES = (
    *("item.ctr_1d", "item.ctr_7d", "log(item.views_1d)", "log(item.clicks_7d)", "log(item.price)"),
    *("item.category_price", "item.age_days", "pair.vector_dot", "pair.history_dot"),
    *("pair.history_nearest", "pair.category_affinity", "pair.brand_affinity", "pair.price_ratio"),
    *("pair.spend_ratio", "pair.covisits", "pair.views", "pair.clicks", "pair.page_category"),
    *("history.length", "context.hour", "context.page=home", "user.count_1d"),
)


def ways() -> Mapping[str, Callable[[], object]]:
    """Return what is measured."""
    dice = np.random.default_rng(1)
    catalogue = Catalogue(dimensions=DIMENSIONS, max_items=ITEMS)
    vectors = dice.normal(size=(ITEMS, DIMENSIONS)).astype(np.float32)
    catalogue.upsert([_item(number) for number in range(ITEMS)], vectors, NOW_US)
    behaviour = Behaviour(BehaviourSettings(), max_items=ITEMS)
    for number, item in enumerate(dice.integers(0, ITEMS, 20_000).tolist()):
        behaviour.record(
            f"u{number % 500}", f"i{item}", Act(1 + number % 5), NOW_US - 20_000 + number
        )
    acts = [Act.IMPRESSION, Act.IMPRESSION, Act.VIEW, Act.CLICK]
    seen = dice.integers(0, ITEMS, HISTORY).tolist()
    history = [Seen(f"i{item}", acts[at % 4], NOW_US) for at, item in enumerate(seen)]
    profile = Profile("u1", history, {"count_1d": 3.0}, 1, known=True)
    user_vector, context = vectors[0], Context(page="home", device_type="phone", country="DE")
    features, table = PairFeatures(FEATURES), catalogue.table
    cold = ColdStart(ColdStartSettings())
    boost = {"name": "up", "boost": 2, "where": [{"field": "brand", "equals": "b3"}]}
    pin = {"name": "hero", "pin": 2, "items": ["i17"]}
    rules = RankingRules(Ranking.model_validate({"rules": [boost, pin], "max_per_category": 6}))

    def pool(size: int) -> Pool:
        rows = dice.choice(ITEMS, size, replace=False)
        scores, reasons = dice.random(size), ["for_you"] * size
        return Pool(
            table=table, rows=rows, scores=scores, reasons=reasons, now_us=NOW_US, history=history
        )

    small, large = pool(200), pool(500)

    def told() -> object:
        return features.rows(
            profile,
            table,
            large.rows,
            behaviour,
            context,
            now_us=NOW_US,
            user_vector=user_vector,
        )

    rankers = [Ranker(name=name, model=name, inputs=("item.price",)) for name in ("a", "b")]
    ensemble = Ensemble(rankers)
    said = {each.name: dice.random((500, 1)) for each in rankers}
    cache = AnswerCache(CacheSettings())
    key = Key("u1", 1, tuple(context), (), 20, UNTUNED, ("a/1", "b/1"), 7)
    entries = tuple(Entry(f"i{number}", 0.5, "for_you") for number in range(20))
    now = time.monotonic()
    cache.put(key, Listed(entries, Made.COMPUTED, 7), begun=now, now=now)

    def newcomers() -> object:
        return cold.scores(table, large.rows, large.scores, profile, context, now_us=NOW_US)

    return {
        "rank 20 of 200": lambda: rank(small, rules, 20),
        "rank 20 of 500": lambda: rank(large, rules, 20),
        "rank 100 of 500": lambda: rank(large, rules, 100),
        f"{len(FEATURES)} features of 500": told,
        "2 rankers made one, of 500": lambda: ensemble.blend(said, 500),
        "a new user's scores of 500": newcomers,
        "an answer from the cache": lambda: cache.get(key, now),
    }


def _item(number: int) -> Item:
    return Item(
        id=f"i{number}",
        category=f"c{number % 40}",
        brand=f"b{number % 200}",
        price_minor=100 + number,
    )


def seconds(way: Callable[[], object]) -> float:
    """Return what one call takes."""
    began = time.thread_time()
    for _ in range(CALLS):
        way()
    return (time.thread_time() - began) / CALLS


def main() -> None:
    """Measure, and print."""
    all_ways = ways()
    taken: dict[str, list[float]] = {name: [] for name in all_ways}
    for _ in range(ROUNDS):
        for name, way in all_ways.items():
            taken[name].append(seconds(way))
    for name, each in taken.items():
        print(f"{name:<32}{1e6 * statistics.median(each):>9.1f} us")


if __name__ == "__main__":
    main()
