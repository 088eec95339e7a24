"""Candidates of all sources together: each gives up to its quota, and an item counts once.

Which items are worth finding at all is worked out once, for all sources: what is alive, can be had,
is out, and passes the filters.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inferd.services.recommendation.columns import Ints, Mask, Table
from inferd.services.recommendation.filters import Filter, mask_of
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.sources import Found, Source, Wanted, best

log = logging.getLogger(__name__)

NEWEST: Final = "newest"
"""What stands in where no source finds anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Candidates."""

    #: Int64 [k], each row once; in the order in which sources gave them.
    rows: Ints
    #: What each source found, by its name, in the order of the sources.
    found: Mapping[str, Found]
    #: Of each candidate, the first source that has it.
    reasons: Sequence[str]
    #: Sources that failed.
    failed: Sequence[str] = ()

    def sources(self, row: int) -> dict[str, float]:
        """Return which sources found an item, and their scores."""
        return {
            name: float(it.scores[at[0]])
            for name, it in self.found.items()
            if len(at := np.flatnonzero(it.rows == row))
        }

    def scores_of(self, source: str) -> Vectors | None:
        """Return what a source says of each candidate, float32 [k]; NaN: it did not find it."""
        found = self.found.get(source)
        if found is None:
            return None
        scores = dict(zip(found.rows.tolist(), found.scores.tolist(), strict=True))
        return np.array([scores.get(row, np.nan) for row in self.rows.tolist()], np.float32)


def eligible(table: Table, filters: Sequence[Filter], now_us: int) -> Mask:
    """Return which rows may be in a list, bool [n]."""
    mask: Mask = table.alive & (table.stock != 0) & (table.released_us <= now_us)
    if not filters:
        return mask
    rows = np.flatnonzero(mask)
    passed = np.zeros(table.size, np.bool_)
    passed[rows[mask_of(filters, table, rows)]] = True
    return passed


class Gathering:
    """Asks every source. Lives on the event loop."""

    def __init__(self, sources: Sequence[Source], quotas: Mapping[str, int]) -> None:
        """`quotas` has how many each source gives, unless told otherwise."""
        self._sources = sources
        self._quotas = quotas
        #: Sources whose failures have been written down.
        self._written: set[str] = set()

    def gather(
        self, wanted: Wanted, quotas: Mapping[str, int], only: Sequence[str] = ()
    ) -> Gathered:
        """Return candidates of these sources; of all, if none is named.

        `quotas` go over those of the configuration. A source that fails gives nothing.
        """
        found, failed = dict[str, Found](), list[str]()
        for source in self._sources:
            name = source.name
            quota = quotas.get(name, self._quotas[name])
            if not quota or (only and name not in only):
                continue
            try:
                found[name] = source.find(wanted, quota)
            except Exception as error:  # the others have candidates, too
                failed.append(name)
                self._write_down(name, error)
        return _together(found, failed)

    def _write_down(self, name: str, error: Exception) -> None:
        if name not in self._written:  # once: it happens as often as there are calls
            self._written.add(name)
            log.error("unforeseen error in source %s", name, exc_info=error)


def newest(table: Table, mask: Mask, count: int) -> Gathered:
    """Return the newest of these rows, for want of anything better."""
    rows = np.flatnonzero(mask)
    return _together({NEWEST: best(rows, table.added_us[rows].astype(np.float32), count)}, [])


def lost(table: Table, filters: Sequence[Filter], row: int, now_us: int) -> str:
    """Return why a row may not be in a list; empty: it may."""
    at = np.array([row])
    if not table.alive[row]:
        return "not_in_catalogue"
    if table.stock[row] == 0:
        return "out_of_stock"
    if table.released_us[row] > now_us:
        return "not_released"
    failed = (each.field for each in filters if not each.mask(table, at)[0])
    return next((f"filter:{field}" for field in failed), "")


def _together(found: Mapping[str, Found], failed: Sequence[str]) -> Gathered:
    reasons = dict[int, str]()
    for name, each in found.items():
        for row in each.rows.tolist():
            reasons.setdefault(row, name)
    rows = np.fromiter(reasons, np.int64, len(reasons))
    return Gathered(rows=rows, found=found, reasons=[*reasons.values()], failed=failed)
