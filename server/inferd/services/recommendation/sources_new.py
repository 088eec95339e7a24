"""New items: what nobody has seen nobody can have clicked, so some are shown to find out."""

from typing import Final

import numpy as np

from inferd.config.recommendation.sources import NewSource
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.sources import NOTHING, Found, Wanted, best
from inferd.services.recommendation.vocabulary import Act

_US: Final = 1_000_000
#: How often it is looked which items are new.
_REFRESH_US: Final = 10 * _US
#: The newest so many are new, be there ever so many.
_MOST: Final = 1000


class Newcomers:
    """A source: items that came lately. Lives on the event loop.

    Of those that were shown least, each is given a rate of clicks drawn from what its clicks and
    impressions leave possible (Thompson, 1933: the Beta distribution), and the highest are found.
    So every new item gets its chance, and those that are clicked get more.
    """

    name = "new"

    def __init__(self, settings: NewSource, behaviour: Behaviour) -> None:
        """Go by what everybody does."""
        self._settings, self._behaviour = settings, behaviour
        self._table: Table | None = None
        self._size = 0
        self._at_us = 0
        self._new: Ints = NOTHING.rows

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return new items, drawn by `wanted.random`. Scores are rates of clicks."""
        rows = self._recent(wanted)
        rows = rows[wanted.may_be(rows)]
        if not len(rows):
            return NOTHING
        slots = self._behaviour.slots_of(wanted.table, rows)
        counts = self._behaviour.counts(slots, "7d", wanted.now_us)
        shown = counts[:, Act.IMPRESSION - 1]
        least = best(np.arange(len(rows)), -shown, self._settings.least_shown).rows
        clicks = np.minimum(counts[least, Act.CLICK - 1], shown[least])
        random = np.random.default_rng(wanted.random.getrandbits(64))
        rates = random.beta(1 + clicks, 1 + shown[least] - clicks).astype(np.float32)
        return best(rows[least], rates, count)

    def _recent(self, wanted: Wanted) -> Ints:
        """Return the rows that came, or came out, in the time that is new."""
        table, now_us = wanted.table, wanted.now_us
        is_known = table is self._table and table.size == self._size
        if not (is_known and abs(now_us - self._at_us) < _REFRESH_US):
            since_us = now_us - self._settings.newer_than_s * _US
            came_us = np.maximum(table.added_us, table.released_us)
            is_new = table.alive & (came_us >= since_us) & (table.released_us <= now_us)
            new = np.flatnonzero(is_new)
            if len(new) > _MOST:
                new = new[np.argpartition(came_us[new], -_MOST)[-_MOST:]]
            self._new = new
            self._table, self._size, self._at_us = table, table.size, now_us
        return self._new
