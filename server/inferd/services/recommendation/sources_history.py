"""Items that go together with what the user did."""

import numpy as np

from inferd.config.recommendation.sources import CovisitSource
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.sources import NOTHING, Found, Wanted, best
from inferd.services.recommendation.vocabulary import Act


class GoesTogether:
    """A source: what others had to do with who had to do with the same."""

    name = "covisits"

    def __init__(self, settings: CovisitSource, behaviour: Behaviour) -> None:
        """Go by what everybody does."""
        self._settings, self._behaviour = settings, behaviour
        self._weights = {act: getattr(settings.weights, act.name.lower()) for act in Act}

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return what goes together most with the newest that the user did, and none of that.

        Without a history, that is the item of the page.
        """
        shares = self._shares(wanted)
        if not shares:
            return NOTHING
        ids = [*shares]
        near = self._behaviour.near(ids, np.array([*shares.values()], np.float32), wanted.now_us)
        own = np.isin(near.slots, self._behaviour.slots(ids))
        of = self._behaviour.ids
        strongest = best(near.slots[~own], near.strength[~own], 2 * count)
        rows = wanted.table.rows(of[slot] for slot in strongest.rows.tolist())
        good = (strongest.scores > 0) & (rows >= 0)
        good[good] = wanted.may_be(rows[good])
        return Found(rows[good][:count], strongest.scores[good][:count])

    def _shares(self, wanted: Wanted) -> dict[str, float]:
        """Return how much each item of the history counts."""
        shares: dict[str, float] = {}
        share = 1.0
        if item := wanted.context.get("item_id"):
            shares[item] = share
        for seen in wanted.history[: self._settings.history]:
            weight = share * self._weights[seen.type]
            shares[seen.item_id] = shares.get(seen.item_id, 0.0) + weight
            share *= self._settings.fade
        return {item: weight for item, weight in shares.items() if weight > 0}
