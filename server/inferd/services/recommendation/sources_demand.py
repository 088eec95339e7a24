"""Items in demand: now, for long, and of the categories that somebody had to do with lately.

What is in demand is the same for everybody, so it is found out every few seconds and not for every
answer. Where only few items are eligible these are compared, and not those at the top of all.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np

from inferd.config.recommendation.sources import (
    CategorySource,
    PopularSource,
    TrendingSource,
    Weights,
)
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.sources import NOTHING, Found, Wanted, best
from inferd.services.recommendation.vocabulary import Act

#: So many of the items in demand are remembered, and so few eligible ones are compared.
_TOP: Final = 4096
_US: Final = 1_000_000


class Demand:
    """What is in demand, by one half-life. Lives on the event loop."""

    def __init__(
        self, behaviour: Behaviour, *, weights: Weights, half_life: str, refresh_s: float
    ) -> None:
        """Find it out at most every so many seconds."""
        self._behaviour, self._half_life = behaviour, half_life
        self._weights = np.array([getattr(weights, act.name.lower()) for act in Act], np.float32)
        self._refresh_us = refresh_s * _US
        self._table: Table | None = None
        self._at_us = 0
        #: By slot.
        self._demand = np.zeros(0, np.float32)
        self._numbering: object = None
        self._top = NOTHING
        #: Whether that is all that is in demand.
        self._is_all = True
        #: Of categories, by their codes.
        self._of: dict[int, Found] = {}

    def top(self, wanted: Wanted, count: int) -> Found:
        """Return what is most in demand. An item that nobody wants is not there."""
        self._refresh(wanted)
        eligible = wanted.eligible
        if self._is_all or eligible is None or np.count_nonzero(eligible) > _TOP:
            return _those(self._top, wanted, count)
        return self._among(wanted.table, np.flatnonzero(wanted.all()), count)

    def of(self, category: int, wanted: Wanted, count: int) -> Found:
        """Return what is most in demand of a category, by its code."""
        self._refresh(wanted)
        found = self._of.get(category)
        if found is None:
            table = wanted.table
            rows = np.flatnonzero(table.alive & (table.category == category))
            found = self._of[category] = self._among(table, rows, _TOP)
        return _those(found, wanted, count)

    def _refresh(self, wanted: Wanted) -> None:
        behaviour, table, now_us = self._behaviour, wanted.table, wanted.now_us
        is_of_these = table is self._table and behaviour.numbering is self._numbering
        if is_of_these and abs(now_us - self._at_us) < self._refresh_us:
            return
        self._table, self._at_us, self._of = table, now_us, {}
        self._numbering = behaviour.numbering
        self._demand = behaviour.demand(self._weights, self._half_life, now_us)
        some = np.flatnonzero(self._demand > 0)
        self._is_all = len(some) <= _TOP
        slots = best(some, self._demand[some], _TOP)
        rows = table.rows(behaviour.ids[slot] for slot in slots.rows.tolist())
        there = rows >= 0
        self._top = Found(rows[there], slots.scores[there])

    def _among(self, table: Table, rows: Ints, count: int) -> Found:
        slots = self._behaviour.slots_of(table, rows)
        # What somebody did something with since it was found out has to wait.
        known = (slots > 0) & (slots < len(self._demand))
        demand = self._demand[slots[known]]
        return best(rows[known][demand > 0], demand[demand > 0], count)


class Trending:
    """A source: items in demand now."""

    name = "trending"

    def __init__(self, settings: TrendingSource, behaviour: Behaviour) -> None:
        """Go by what everybody does."""
        self.demand = Demand(
            behaviour,
            weights=settings.weights,
            half_life=settings.half_life,
            refresh_s=settings.refresh_s,
        )

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return items of the category that was asked for, if one was; else of all.

        That is the context's "trending_category".
        """
        category = wanted.context.get("trending_category", "")
        if not category:
            return self.demand.top(wanted, count)
        code = wanted.table.categories.find(category)
        return self.demand.of(code, wanted, count) if code > 0 else NOTHING


class SameCategory:
    """A source: items in demand, of the page's category and of those of what the user did."""

    name = "category"

    def __init__(self, settings: CategorySource, demand: Demand) -> None:
        """Go by what is in demand."""
        self._settings, self._demand = settings, demand

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return about as many items of each category, by their places there."""
        categories = self._categories(wanted)
        if not categories:
            return NOTHING
        each = -(-count // len(categories))
        found = [self._demand.of(category, wanted, each) for category in categories]
        rows = np.concatenate([one.rows for one in found])
        places = np.concatenate([np.arange(1, 1 + len(one.rows)) for one in found])
        return best(rows, (1 / places).astype(np.float32), count)

    def _categories(self, wanted: Wanted) -> Sequence[int]:
        """Return codes of categories: the page's, then the user's, the most frequent first."""
        table, context = wanted.table, wanted.context
        page = [table.categories.find(context.get("category", ""))]
        ids = [context.get("item_id", ""), *(each.item_id for each in wanted.history)]
        rows = table.rows(ids)
        codes = np.where(rows >= 0, table.category[rows], 0) if table.size else rows * 0
        page.append(int(codes[0]))
        frequent = [code for code, _ in Counter(codes[1:].tolist()).most_common()]
        known = dict.fromkeys(code for code in (*page, *frequent) if code > 0)
        return [*known][: self._settings.categories]


class Popular:
    """A source: items in demand for long. It always finds something, if anything is eligible."""

    name = "popular"

    def __init__(self, settings: PopularSource, behaviour: Behaviour) -> None:
        """Go by what everybody does."""
        self._demand = Demand(
            behaviour, weights=settings.weights, half_life="7d", refresh_s=settings.refresh_s
        )

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return what is in demand, and then what is newest, with a score of 0."""
        found = self._demand.top(wanted, count)
        if len(found.rows) == count:
            return found
        others = wanted.all().copy()
        others[found.rows] = False
        newest = np.flatnonzero(others)[::-1][: count - len(found.rows)]
        return Found(
            np.concatenate((found.rows, newest)),
            np.concatenate((found.scores, np.zeros(len(newest), np.float32))),
        )


def _those(found: Found, wanted: Wanted, count: int) -> Found:
    """Return the best that are still there, and eligible."""
    places = np.flatnonzero(wanted.may_be(found.rows))[:count]
    return Found(found.rows[places], found.scores[places])
