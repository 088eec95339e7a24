"""Candidates as ranking knows them: in columns, and in an order of their own.

The order is by worth, and of equal worth by id, so it is the same however candidates came. Whatever
depends on the order of things, such as sums in products of matrices, is done in this one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.columns import Ints, Mask, Table

Floats = npt.NDArray[np.float64]


class Contenders(NamedTuple):
    """Candidates, one a row: all arrays are [k]."""

    rows: Ints
    #: Not below zero.
    worth: Floats
    reasons: list[str]
    #: How much there is in showing it because it is new; NaN: it is not.
    new: Floats
    #: A source has found it; else it is only there to be pinned.
    found: Mask
    #: It was shown too often.
    hidden: Mask
    buried: Mask

    def taken(self, places: Ints) -> "Contenders":
        """Return those at these places, in this order."""
        return Contenders(
            self.rows[places],
            self.worth[places],
            [self.reasons[place] for place in places.tolist()],
            self.new[places],
            self.found[places],
            self.hidden[places],
            self.buried[places],
        )

    def ordered(self, table: Table) -> "Contenders":
        """Return them by worth, the best first, and of equal worth by id."""
        order = np.argsort(-self.worth)
        worth = self.worth[order]
        if (worth[1:] == worth[:-1]).any():
            ids = [table.ids[row] for row in self.rows.tolist()]
            keys = [*zip((-self.worth).tolist(), ids, strict=True)]
            order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
        return self.taken(order)

    def places(self, rows: Ints) -> Ints:
        """Return where rows are among them, int64; -1: nowhere."""
        if not len(self.rows):
            return np.full(len(rows), -1)
        order = np.argsort(self.rows)
        at = order[np.searchsorted(self.rows, rows, sorter=order).clip(max=len(order) - 1)]
        return np.where(self.rows[at] == rows, at, -1)


def contenders(
    rows: Ints,
    scores: npt.ArrayLike,
    reasons: Sequence[str],
    new: npt.ArrayLike | None,
    *,
    named: Ints,
) -> Contenders:
    """Return candidates, each once, and with them the rows that pins name.

    Of one that is there several times the one with the highest score counts. A score that is no
    number is 0, and if any is below zero, all are moved until none is.
    """
    worth = np.nan_to_num(np.asarray(scores, np.float64), nan=0.0)
    news = np.full(len(rows), np.nan) if new is None else np.asarray(new, np.float64)
    reasons = list(reasons)
    if len(np.unique(rows)) < len(rows):
        best = _best(rows, lambda at: (worth[at], reasons[at], news[at]))
        rows, worth, news = rows[best], worth[best], news[best]
        reasons = [reasons[at] for at in best.tolist()]
    if len(worth):
        worth = worth - min(worth.min(), 0.0)
    named = np.setdiff1d(named, rows)
    if len(named):
        rows = np.concatenate([rows, named])
        worth = np.pad(worth, (0, len(named)))
        news = np.pad(news, (0, len(named)), constant_values=np.nan)
        reasons += [""] * len(named)
    found = np.ones(len(rows), np.bool_)
    found[len(rows) - len(named) :] = False
    no = np.zeros(len(rows), np.bool_)
    return Contenders(rows, worth, reasons, news, found, no, no.copy())


def _best(rows: Ints, key: Callable[[int], tuple[float, str, float]]) -> Ints:
    """Return the place of each row's best candidate."""
    places = dict[int, int]()
    for at, row in enumerate(rows.tolist()):
        there = places.get(row)
        if there is None or key(at) > key(there):
            places[row] = at
    return np.array([*places.values()], np.int64)
