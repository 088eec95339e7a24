"""Where candidates come from: each source finds items in its own way, at once, on the event loop.

A source neither waits nor fails for want of anything: it finds what it can, which may be nothing.
Which items are worth finding is the same for all (`Wanted.eligible`), so that a narrow filter
leaves as many candidates as a wide one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple, Protocol

import numpy as np

from inferd.services.recommendation.columns import Ints, Mask, Table
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.vocabulary import Seen

__all__ = ["NOTHING", "Found", "Seen", "Source", "Wanted", "best"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """For whom candidates are sought, and among which items."""

    table: Table
    #: Float32 [d], of any length. None: not known.
    user_vector: Vectors | None = None
    #: What the user did, newest first.
    history: Sequence[Seen] = ()
    #: What is known of the page: "item_id", "category", ...
    context: Mapping[str, str] = field(default_factory=dict)
    #: Microseconds since 1970.
    now_us: int
    random: Random
    #: Bool [n]: rows worth finding. None: all that are alive.
    eligible: Mask | None = None

    def may_be(self, rows: Ints) -> Mask:
        """Return which of these rows are worth finding, bool [k]."""
        alive = self.table.alive[rows]
        return alive if self.eligible is None else alive & self.eligible[rows]

    def all(self) -> Mask:
        """Return which of all rows are worth finding, bool [n]."""
        return self.table.alive if self.eligible is None else self.table.alive & self.eligible


class Found(NamedTuple):
    """Candidates, the best first. No row is there twice."""

    rows: Ints
    #: Float32 [k]; larger is better. Comparable within one source only.
    scores: Vectors


NOTHING = Found(np.zeros(0, np.int64), np.zeros(0, np.float32))


class Source(Protocol):
    """Finds candidates in one way."""

    @property
    def name(self) -> str:
        """Of the source, in answers and in metrics."""

    def find(self, wanted: Wanted, count: int) -> Found:
        """Return at most so many candidates."""


def best(rows: Ints, scores: Vectors, count: int) -> Found:
    """Return the rows with the highest scores; of equal scores, the lowest rows.

    Linear in the number of rows: only those that are returned are sorted.
    """
    if len(rows) > count:
        kept = np.argpartition(-scores, count - 1)[:count] if count else np.zeros(0, np.int64)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))
    return Found(rows[order], scores[order].astype(np.float32, copy=False))
