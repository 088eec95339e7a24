"""Items near a user, in the space that two towers share: one of users, one of items.

Up to some size every item is looked at. It is one pass over the matrix, by NumPy's own loop and not
by BLAS: that one starts threads for it, and waits for all of them on a machine that has better to
do. Beyond that size an index finds most of the nearest (HNSW; Malkov, Yashunin, 2016; `voyager`).
It is made in a thread, from rows that never change, and takes the place of the one before at once.
What has come since is looked at beside it, and what has gone is left out: more are asked for than
are wanted. Where only few items are eligible, these are looked at instead.
"""

import asyncio
import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from inferd.config.recommendation.sources import VectorSource as Settings
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.columns import Ints, Mask, Table
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.sources import NOTHING, Found, Wanted, best

if TYPE_CHECKING:
    from voyager import Index

#: How often it is looked whether the index should be made anew.
_LOOK_S: Final = 0.5
_AFTER_FAILURE_S: Final = 30.0
#: So many times as many are asked for as should do; but at most four times as many as are wanted.
_MORE: Final = 1.25

log = logging.getLogger(__name__)


class _Built(NamedTuple):
    """An index of the living rows of a table that had so many rows."""

    index: "Index"
    table: Table
    size: int
    rows: Ints


class NearUser:
    """A source: items whose vectors are near the user's. Lives on the event loop."""

    name = "vectors"

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        """Find items of a catalogue."""
        self._settings, self._catalogue = settings, catalogue
        self._built: _Built | None = None
        self._can_index = find_spec("voyager") is not None
        #: How many indexes were made.
        self.builds = 0

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return the nearest items that have vectors. Scores are cosines."""
        user = wanted.user_vector
        length = 0.0 if user is None else float(np.linalg.norm(user))
        if user is None or not 0 < length < np.inf or not count:
            return NOTHING
        user = (user / length).astype(np.float32)
        built = self._built
        eligible = wanted.all()
        few = self._are_few(int(np.count_nonzero(eligible)))
        if few or built is None or built.table is not wanted.table:
            return _nearest(wanted.table, np.flatnonzero(eligible), user, count)
        fresh = built.size + np.flatnonzero(eligible[built.size :])
        share = np.count_nonzero(eligible[: built.size]) / max(1, len(built.rows))
        indexed = self._indexed(built, wanted, user, count, share)
        if indexed is None:
            return _nearest(wanted.table, np.flatnonzero(eligible), user, count)
        beside = _nearest(wanted.table, fresh, user, count)
        return best(
            np.concatenate((indexed.rows, beside.rows)),
            np.concatenate((indexed.scores, beside.scores)),
            count,
        )

    async def run(self) -> None:
        """Make the index anew whenever it should be. Until it is cancelled."""
        if not self._can_index:
            log.warning("vectors: every item is looked at, however many: voyager is not installed")
            return
        while True:
            try:
                if self._is_due():
                    await self.rebuild()
                wait_s = _LOOK_S
            except Exception:
                log.exception("vectors: no index could be made")
                wait_s = _AFTER_FAILURE_S
            await asyncio.sleep(wait_s)

    async def rebuild(self) -> None:
        """Make the index, and use it from then on."""
        table = self._catalogue.table
        alive = table.alive.copy()
        index, rows = await asyncio.to_thread(_index, table.vectors, alive, self._settings)
        self._built = _Built(index, table, len(alive), rows)
        self.builds += 1
        log.info("vectors: %d items are indexed", len(rows))

    def _is_due(self) -> bool:
        table, built = self._catalogue.table, self._built
        if self._are_few(table.living):
            self._built = None
            return False
        if built is None or built.table is not table:
            return True
        gone = len(built.rows) - int(np.count_nonzero(table.alive[built.rows]))
        changed = gone + table.size - built.size
        return changed > self._settings.rebuild_share * table.living

    def _are_few(self, items: int) -> bool:
        return items <= self._settings.exact_up_to

    def _indexed(
        self, built: _Built, wanted: Wanted, user: Vectors, count: int, share: float
    ) -> Found | None:
        """Return what the index finds, of which about that share is eligible.

        None: of what is near the user it is much less.
        """
        asked = min(int(_MORE * count / max(share, _MORE / 4)), len(built.rows))
        if not asked:
            return NOTHING
        effort = max(self._settings.search_effort, asked)
        labels, _ = built.index.query(user, k=asked, num_threads=1, query_ef=effort)
        rows = labels.astype(np.int64)
        rows = rows[wanted.may_be(rows)]
        if len(rows) < min(count, asked):
            return None
        return _nearest(wanted.table, rows, user, count)


def _nearest(table: Table, rows: Ints, user: Vectors, count: int) -> Found:
    """Return the nearest of these rows by looking at each."""
    if 2 * len(rows) > table.size:  # to take most rows out would take longer than all of them
        cosines = np.einsum("nd,d->n", table.vectors, user)[rows]
    else:
        cosines = np.einsum("nd,d->n", table.vectors[rows], user)
    is_known = cosines != 0  # of an item without a vector it is 0, and of no other
    return best(rows[is_known], cosines[is_known], count)


def _index(vectors: Vectors, alive: Mask, settings: Settings) -> "tuple[Index, Ints]":
    """Return an index of the living rows with vectors, and which those are.

    Takes about 0.2 ms for each.
    """
    from voyager import Index, Space

    rows = np.flatnonzero(alive & vectors.any(axis=1))
    index = Index(
        Space.InnerProduct,
        num_dimensions=vectors.shape[1],
        M=settings.links,
        ef_construction=settings.build_effort,
        max_elements=max(1, len(rows)),
    )
    if len(rows):
        index.add_items(vectors[rows], rows.tolist(), num_threads=1)
    return index, rows
