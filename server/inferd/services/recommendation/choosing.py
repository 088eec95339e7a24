"""From candidates to a list: what they are worth, and which of them are shown.

What rankers say counts, and where none does, what stands in for it: for somebody new what others
like, and else the places at which sources found candidates.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.cold_start import ColdStart, chance, new_places
from inferd.services.recommendation.columns import Ints
from inferd.services.recommendation.ensemble import fused
from inferd.services.recommendation.gathering import NEWEST, Gathered
from inferd.services.recommendation.making import Made
from inferd.services.recommendation.ranking import Pool, Ranking, RankingRules, rank
from inferd.services.recommendation.work import Task, Work

REASONS: Final = {
    "vectors": "for_you",
    "covisits": "goes_together",
    "category": "of_your_categories",
}
"""What a source says of why an item is in a list, if it is not the source's name."""
POPULARITY: Final = np.array([0.0, 1.0, 1.0, 2.0, 3.0, 0.0], np.float32)
"""What acts say of how popular an item is, in the order of `Act`."""


class Choosing:
    """Chooses among candidates. Lives on the event loop."""

    def __init__(self, rules: RankingRules, behaviour: Behaviour, cold: ColdStart) -> None:
        self._rules = rules
        self._behaviour = behaviour
        self._cold = cold
        #: By diversity.
        self._tuned: dict[float, RankingRules] = {}

    def ranked(self, work: Work) -> Ranking:
        """Return the list, as it was tuned."""
        diversity = work.task.tuning.diversity
        return self._rank(work, self._rules if diversity is None else self._rules_with(diversity))

    def by_score(self, work: Work) -> Ranking:
        """Return the list of the best, however alike they are: that is faster."""
        return self._rank(work, self._rules_with(0.0))

    def _rules_with(self, diversity: float) -> RankingRules:
        rules = self._tuned.get(diversity)
        if rules is None:
            ranking = self._rules.settings.model_copy(update={"diversity": diversity})
            rules = self._tuned[diversity] = RankingRules(ranking)
        return rules

    def _rank(self, work: Work, rules: RankingRules) -> Ranking:
        task, gathered = work.task, work.gathered
        assert gathered is not None, "there are candidates by now"
        wish = task.wish
        pool = Pool(
            table=task.table,
            rows=gathered.rows,
            scores=self._scores(work, gathered),
            reasons=_reasons(task, gathered),
            now_us=task.now_us,
            history=task.profile.history,
            filters=wish.filters,
            page=wish.context.page,
            include_seen=wish.include_seen,
            new=gathered.scores_of("new"),
            new_places=self._new_places(task),
        )
        return rank(pool, rules, wish.count)

    def _scores(self, work: Work, gathered: Gathered) -> npt.NDArray[np.float64]:
        """Return what candidates are worth, [k]: what rankers say, or what stands in for them."""
        task = work.task
        if work.blend is not None and work.blend.scores is not None:
            return work.blend.scores
        if task.only or not self._cold.is_new(task.profile):
            return fused(_by_sources(gathered), gathered.rows)
        slots = self._behaviour.slots_of(task.table, gathered.rows)
        counts = self._behaviour.counts(slots, "7d", task.now_us)
        popularity = counts @ POPULARITY
        return self._cold.scores(
            task.table,
            gathered.rows,
            popularity,
            task.profile,
            task.wish.context,
            now_us=task.now_us,
        )

    def _new_places(self, task: Task) -> frozenset[int]:
        if task.only:
            return frozenset()
        share = task.tuning.new_share
        settings = self._cold.settings
        dice = chance(task.wish.user_id, task.now_us, settings.window_s, "places")
        return new_places(task.wish.count, settings.explore_share if share is None else share, dice)


def _reasons(task: Task, gathered: Gathered) -> list[str]:
    """Return why each candidate is one, as answers have it."""
    said = dict(REASONS)
    if task.made is Made.SIMILAR:
        said["vectors"] = f"similar_to:{task.wish.context.item_id}"
    return [said.get(source, source) for source in gathered.reasons]


def _by_sources(gathered: Gathered) -> list[Ints]:
    """Return what each source found; what is only the newest does not count beside it."""
    found = [it.rows for name, it in gathered.found.items() if name != NEWEST]
    return found if any(map(len, found)) else [gathered.rows]
