"""How good recommendations are, on days that no model has learnt from: each way alone, and all.

    PYTHONPATH=examples .venv/bin/python -m shop.evaluate_recommendation --write

Nobody asks what was clicked: the shop knows how likely each user is to like each item
(`relevance`), and against that lists are held. They are made by the parts that serve, of what was
known just then.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, NamedTuple

import numpy as np

from inferd.app import settings
from inferd.config.recommendation import Recommendation
from inferd.config.recommendation.rankers import Ranker
from inferd.services.recommendation.choosing import POPULARITY
from inferd.services.recommendation.cold_start import ColdStart
from inferd.services.recommendation.columns import Mask
from inferd.services.recommendation.content import user_inputs
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.ensemble import Ensemble
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.gathering import Gathered, Gathering, eligible
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.ranking import Pool, RankingRules, rank
from inferd.services.recommendation.sources import Wanted
from inferd.services.recommendation.sources_declared import made, quotas
from shop.browsing import relevance
from shop.clock import BEGIN, DAY
from shop.dice import Floats, Ints
from shop.recommending import Model, Moment, Past, offers, stocked
from shop.world import DAYS, SEED, World

MODELS: Final = ("rec_items", "rec_users", "rec_trees", "rec_network")
REPOSITORY: Final = Path(__file__).parents[2] / "model_repository"
CONFIG: Final = Path(__file__).parents[2] / "configs" / "shop" / "recommendation.yaml"
README: Final = Path(__file__).parent / "README.md"
BEGINS, ENDS = "<!-- recommendations -->\n", "<!-- end of recommendations -->\n"

HELD_OUT: Final = 0.75
"""The share of the days that models know."""
SHORT, LONG = 10, 50
"""Items in a list, by which its order is judged, and what is found at all."""
NEW_DAYS: Final = 14.0
"""An item is new so long."""
FEW_ACTS: Final = 10
"""A user is new of whom no more is known: five items that were clicked."""
CASCADE: Final = "cascade"
EVERYBODY, NEW_USERS, NEW_ITEMS = "everybody", "new users", "new items"
_GAINS: Final = 1 / np.log2(np.arange(SHORT) + 2)


class Quality(NamedTuple):
    """How good lists are."""

    who: str
    ndcg: float
    """Of the first `SHORT`; what counts is how likely items are to be liked."""
    recall: float
    """Of the `LONG` items that a user would like best, how many are among `LONG`."""
    coverage: float
    """The share of all items that is among anybody's first `SHORT`."""
    novelty: float
    """Bits: how surprising it is to be shown such an item, by what was shown so far."""


@dataclass(slots=True)
class _Tally:
    ndcg: list[float] = field(default_factory=list)
    recall: list[float] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)

    def add(self, rows: Ints, liked: Floats, may_be: Mask) -> None:
        """Hold a list against how likely each item is to be liked."""
        best = np.flatnonzero(may_be)
        best = best[np.argsort(-liked[best], kind="stable")[:LONG]]
        first = rows[:SHORT]
        ideal = (liked[best[:SHORT]] * _GAINS[: len(best)]).sum()
        self.ndcg.append(float((liked[first] * _GAINS[: len(first)]).sum() / ideal))
        self.recall.append(len(np.intersect1d(rows, best)) / len(best))
        self.shown += first.tolist()

    def quality(self, who: str, seen: Ints) -> Quality:
        """Return how good it was; `seen` is how often each item was shown before."""
        rarity = -np.log2((seen + 1) / (seen.sum() + len(seen)))
        return Quality(
            who,
            float(np.mean(self.ndcg)),
            float(np.mean(self.recall)),
            len(set(self.shown)) / len(seen),
            float(rarity[self.shown].mean()),
        )


class _Serving:
    """What serves, at a moment of the past."""

    def __init__(self, world: World, models: Mapping[str, bytes], declared: Recommendation) -> None:
        self._models = {name: Model(file) for name, file in models.items()}
        self._cold = ColdStart(declared.cold_start)
        self.catalogue = stocked(offers(world), self._models["rec_items"])
        self.past = Past(world, self.catalogue, cold=self._cold)
        self._sources = made(declared.sources, self.catalogue, self.past.behaviour)
        self._gathering = Gathering(self._sources, quotas(declared.sources))
        self._rankers = declared.rankers
        self._features = PairFeatures(self._rankers[0].inputs)
        self._rules = RankingRules(declared.ranking)

    def lists(self, moment: Moment, *, only_new: bool) -> Iterator[tuple[str, Ints, Mask]]:
        """Yield by each way the list that is made, and what could be in it."""
        table = self.catalogue.table
        may_be = eligible(table, (), moment.time_us)
        # Lists are to be of what the user has not found yet; ranking would push the rest down.
        may_be[table.rows(each.item_id for each in moment.profile.history)] = False
        if only_new:
            may_be &= table.released_us > moment.time_us - NEW_DAYS * DAY
        told = user_inputs(moment.profile.history, table)
        wanted = Wanted(
            table=table,
            user_vector=self._models["rec_users"](told)[0] if moment.profile.history else None,
            history=moment.profile.history,
            now_us=moment.time_us,
            random=Random(moment.list),
            eligible=may_be,
        )
        popular = self._sources.popular.find(wanted, LONG).rows
        together = self._sources.covisits.find(wanted, LONG).rows
        near = self._sources.vectors.find(wanted, LONG).rows
        yield "popularity", popular, may_be
        yield "co-visitation", _filled(together, popular), may_be
        yield "vectors", _filled(near, popular), may_be
        gathered = self._gathering.gather(wanted, {})
        if self._cold.is_new(moment.profile):
            cold = self._cold_scores(moment, gathered)
            for each in self._rankers:
                yield f"{each.name} alone", self._ranked(moment, gathered, cold), may_be
            yield CASCADE, self._ranked(moment, gathered, cold), may_be
            return
        said = self._said(moment, gathered, wanted.user_vector)
        for each in self._rankers:
            alone = _blended([each], said, len(gathered.rows))
            yield f"{each.name} alone", self._ranked(moment, gathered, alone), may_be
        both = _blended(self._rankers, said, len(gathered.rows))
        yield CASCADE, self._ranked(moment, gathered, both), may_be

    def _said(
        self, moment: Moment, gathered: Gathered, user_vector: Vectors | None
    ) -> dict[str, Vectors]:
        told = self._features.rows(
            moment.profile,
            self.catalogue.table,
            gathered.rows,
            self.past.behaviour,
            Context(),
            now_us=moment.time_us,
            user_vector=user_vector,
        )
        return {each.name: self._models[each.model]({each.tensor: told}) for each in self._rankers}

    def _cold_scores(self, moment: Moment, gathered: Gathered) -> Floats:
        table, behaviour = self.catalogue.table, self.past.behaviour
        counts = behaviour.counts(behaviour.slots_of(table, gathered.rows), "7d", moment.time_us)
        return self._cold.scores(
            table,
            gathered.rows,
            counts @ POPULARITY,
            moment.profile,
            Context(),
            now_us=moment.time_us,
        )

    def _ranked(self, moment: Moment, gathered: Gathered, scores: Floats) -> Ints:
        pool = Pool(
            table=self.catalogue.table,
            rows=gathered.rows,
            scores=scores,
            reasons=gathered.reasons,
            now_us=moment.time_us,
            history=moment.profile.history,
        )
        items = rank(pool, self._rules, LONG).items
        return np.array([each.row for each in items], np.int64)


def _blended(rankers: Sequence[Ranker], said: Mapping[str, Vectors], count: int) -> Floats:
    blend = Ensemble(rankers).blend({each.name: said[each.name] for each in rankers}, count)
    assert blend.scores is not None, "all rankers answer"
    return blend.scores


def _filled(rows: Ints, others: Ints) -> Ints:
    """Return rows, and then others, until there are enough."""
    both: Ints = np.concatenate([rows, others[~np.isin(others, rows)]])[:LONG]
    return both


def measured(
    world: World, models: Mapping[str, bytes], *, every: int = 25, config: Path = CONFIG
) -> dict[str, list[Quality]]:
    """Return how good lists are for everybody, for new users, and of new items alone.

    One in `every` lists of the days that are held out is made; of new users five times as many.
    """
    declared = settings.load(config, {}, {}).recommendation
    serving = _Serving(world, models, declared)
    first_day, count = HELD_OUT * world.days, len(world.items)
    lists = world.browsing.lists
    before = lists.items[lists.time_us < BEGIN + first_day * DAY]
    seen = np.bincount(before.reshape(-1), minlength=count)
    tallies = {whom: defaultdict[str, _Tally](_Tally) for whom in (EVERYBODY, NEW_USERS, NEW_ITEMS)}
    for moment in serving.past.moments(first_day):
        whom = list[str]()
        if moment.list % every == 0:
            whom.append(EVERYBODY)
        if 5 * moment.list % every == 0 and len(moment.profile.history) <= FEW_ACTS:
            whom.append(NEW_USERS)
        if not whom:
            continue
        liked = relevance(world.people, world.items, np.full(count, moment.user), np.arange(count))
        for who, rows, may_be in serving.lists(moment, only_new=False):
            for each in whom:
                tallies[each][who].add(rows, liked, may_be)
        if EVERYBODY in whom:
            for who, rows, may_be in serving.lists(moment, only_new=True):
                tallies[NEW_ITEMS][who].add(rows, liked, may_be)
    return {
        whom: [tally.quality(who, seen) for who, tally in of.items()]
        for whom, of in tallies.items()
    }


def tabled(found: Mapping[str, Sequence[Quality]]) -> str:
    """Return qualities for people."""
    lines = [
        f"| for | by | NDCG@{SHORT} | recall@{LONG} | coverage | novelty, bits |",
        "|---|---|---|---|---|---|",
        *(
            f"| {whom} | {it.who} | {it.ndcg:.3f} | {it.recall:.3f} | {it.coverage:.1%}"
            f" | {it.novelty:.1f} |"
            for whom, of in found.items()
            for it in of
        ),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the table, and with `--write` put it where people look."""
    parser = argparse.ArgumentParser(description="Measure recommendations.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--write", action="store_true", help="into the README of the shop")
    asked = parser.parse_args()
    models = {name: (REPOSITORY / name / "1" / "model.onnx").read_bytes() for name in MODELS}
    text = tabled(measured(World.generate(asked.seed, asked.days), models))
    print(text)
    if asked.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGINS)
        after = rest.partition(ENDS)[2]
        README.write_text(f"{before}{BEGINS}{text}{ENDS}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
