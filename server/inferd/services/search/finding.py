"""What was found for a query, in its order for everybody: what a cache may keep."""

from typing import NamedTuple

import numpy as np

from inferd.services.search.query.understood import Understood
from inferd.services.search.text_query import Retrieved, Scores


class Scored(NamedTuple):
    """What a model says of the first hits of a window, or of all of them."""

    #: Float32 [k], of the first k hits.
    scores: Scores
    #: What it was told, float32 [k, inputs].
    told: Scores
    #: As "name/version".
    ranker: str


class Ranked(NamedTuple):
    """A window of hits, ranked for everybody. It never changes."""

    understood: Understood
    retrieved: Retrieved
    #: Places in the window, the best first.
    order: tuple[int, ...]
    #: None: no model ranked.
    scored: Scored | None
    #: The share of the window that was ranked as it should be.
    coverage: float


def ordered(retrieved: Retrieved, scored: Scored | None) -> tuple[int, ...]:
    """Return the places of a window: what was scored by score, and then the rest as it was found.

    Of equal scores, what has the better words comes first.
    """
    places = range(len(retrieved.ids))
    if scored is None:
        return tuple(places)
    count = len(scored.scores)
    best = np.lexsort((np.arange(count), -scored.scores))
    return (*best.tolist(), *places[count:])
