"""A user and the candidates for a list: what is worked out of both, for all candidates at once.

What several numbers need is worked out once, when the first of them asks.
"""

import math
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.codes import TEXT
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.filters import Filter
from inferd.services.recommendation.prices import CategoryPrices
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.vocabulary import Act, Seen

Floats = npt.NDArray[np.float32]
Column = npt.NDArray[Any] | float
"""[k], or one number for all; NaN: not known."""

WEIGHTS: Final = {Act.VIEW: 1.0, Act.CLICK: 1.0, Act.CART: 2.0, Act.PURCHASE: 4.0}
"""What an act says of what somebody likes. Others say nothing of it."""
FADING: Final = 0.95
"""Each act counts so much less than the next newer one."""
NEWEST: Final = 16
"""What is compared one by one: more cost more, and say little more."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """A user and candidates, and all that columns are made of."""

    profile: Profile
    table: Table
    rows: Ints
    behaviour: Behaviour
    context: Context
    now_us: int
    user_vector: Floats | None
    prices: CategoryPrices
    _counts: dict[str, Floats] = field(default_factory=dict, init=False)

    @cached_property
    def acts(self) -> Counter[Act]:
        """How often the user did what."""
        return Counter(each.type for each in self.profile.history)

    @cached_property
    def liked(self) -> tuple[Seen, ...]:
        """What the user was interested in, the newest first."""
        return tuple(each for each in self.profile.history if each.type in WEIGHTS)

    @cached_property
    def history(self) -> tuple[Ints, Floats]:
        """The rows of what the user was interested in, and how much, adding up to 1."""
        liked = self.liked
        rows = self.table.rows(each.item_id for each in liked)
        weights = np.array([WEIGHTS[each.type] for each in liked]) * FADING ** np.arange(len(liked))
        there = rows >= 0
        weights = weights[there]
        return rows[there], (weights / max(weights.sum(), 1e-9)).astype(np.float32)

    @cached_property
    def vectors(self) -> Floats:
        """Of the candidates, float32 [k, d]."""
        return self.table.vectors[self.rows]

    @cached_property
    def log_prices(self) -> npt.NDArray[np.float64]:
        """Of the candidates; NaN: not known."""
        return self._log_prices(self.rows)

    @cached_property
    def log_usual(self) -> npt.NDArray[np.float64]:
        """Of the candidates' categories."""
        return self.prices.logs(self.table)[self.table.category[self.rows]]

    @cached_property
    def slots(self) -> Ints:
        """Where the candidates are in what everybody does."""
        return self.behaviour.slots_of(self.table, self.rows)

    def counts(self, window: str, act: Act) -> Column:
        """Return how often everybody did that with candidates."""
        found = self._counts.get(window)
        if found is None:
            found = self._counts[window] = self.behaviour.counts(self.slots, window, self.now_us)
        return found[:, act - 1]

    def ctr(self, window: str) -> Column:
        """Return how many of their impressions are clicked."""
        return self.behaviour.ctr(self.slots, window, self.now_us)

    def _log_prices(self, rows: Ints) -> npt.NDArray[np.float64]:
        prices = self.table.price_minor[rows]
        return np.log(np.where(prices > 0, prices, np.nan))

    def affinity(self, name: str) -> Column:
        """Return the share of the history that is the same in a field, by its name."""
        rows, weights = self.history
        codes = getattr(self.table, name)
        mine = codes[self.rows]
        return np.where(mine > 0, looked_up(mine, codes[rows], weights), 0.0)

    def history_dot(self) -> Column:
        """Return the likeness of candidates to the history as a whole."""
        rows, weights = self.history
        likeness: Floats = self.vectors @ unit(weights @ self.table.vectors[rows])
        return likeness

    def history_nearest(self) -> Column:
        """Return the likeness of candidates to what of the history is most like them."""
        rows = self.history[0][:NEWEST]
        if not len(rows):
            return 0.0
        likeness: Floats = np.max(self.table.vectors[rows] @ self.vectors.T, axis=0)
        return likeness

    def vector_dot(self) -> Column:
        """Return how near candidates are to the user."""
        if self.user_vector is None:
            return math.nan
        likeness: Floats = self.vectors @ unit(self.user_vector)
        return likeness

    def price_ratio(self, *, in_category: bool) -> Column:
        """Return ln of how dear candidates are, compared with the history."""
        rows, weights = self.history
        theirs, mine = self._log_prices(rows), self.log_prices
        if in_category:
            theirs = theirs - self.prices.logs(self.table)[self.table.category[rows]]
            mine = mine - self.log_usual
        known = np.isfinite(theirs)
        total = weights[known].sum()
        return mine - weights[known] @ theirs[known] / total if total else math.nan

    def times_done(self, act: Act) -> Column:
        """Return how often the user did something with each candidate."""
        if not self.acts[act]:
            return 0.0
        done = self.table.rows(each.item_id for each in self.profile.history if each.type is act)
        return looked_up(self.rows, done, np.ones(len(done)))

    def page_dot(self) -> Column:
        """Return the likeness of candidates to the item of the page."""
        row = self.table.row(self.context.item_id)
        if row is None:
            return math.nan
        likeness: Floats = self.vectors @ self.table.vectors[row]
        return likeness

    def attribute(self, name: str) -> Column:
        """Return an attribute of candidates that is a number or a flag."""
        found = self.table.attributes.get(name)
        if found is None:
            return math.nan
        kinds = found.kinds[self.rows]
        return np.where((kinds == 0) | (kinds == TEXT), np.nan, found.values[self.rows])

    def has(self, condition: Filter) -> Column:
        """Return which candidates fulfil a condition."""
        return condition.mask(self.table, self.rows)

    def covisits(self) -> Column:
        """Return how much of what was seen with the history's items candidates are."""
        newest = [each.item_id for each in self.liked[:NEWEST]]
        shares = np.float32(FADING) ** np.arange(len(newest), dtype=np.float32)
        near = self.behaviour.near(newest, shares, self.now_us)
        return self.behaviour.covisits(near, self.slots)

    def value(self, name: str) -> Column:
        """Return a feature of the user."""
        value = self.profile.values.get(name)
        return math.nan if value is None or isinstance(value, str) else float(value)


def unit(vector: Floats) -> Floats:
    """Return a vector with a length of 1; one of length 0 as it is."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length else vector


def looked_up(wanted: Ints, keys: Ints, amounts: npt.NDArray[Any]) -> Column:
    """Return the sum of the amounts of equal keys for each that is wanted, [k]; 0: there is none.

    Keys are few, and what is wanted is much.
    """
    if not len(keys):
        return 0.0
    known, places = np.unique(keys, return_inverse=True)
    sums = np.bincount(places, amounts)
    found = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return np.where(known[found] == wanted, sums[found], 0.0)
