"""One score out of what several rankers say.

Each ranker's scores are made probabilities of being liked, and these are averaged by weight. (The
other way to make scores comparable is to standardise them within a request. But then an item's
score depends on its company, scores that are all alike become noise, and a list would change its
order with every candidate that comes or goes.) A probability is the same whoever answers: when a
ranker is missing, the weights of the others are scaled to 1, and rules that multiply scores mean
what they did before.

A ranker that says something that is no number, or no probability, of any one candidate has failed
for the request: what it says of the others is not trusted either.

Where no ranker answers, the places at which sources found candidates stand in (`fused`).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inferd.config.recommendation.rankers import Ranker
from inferd.errors import DependencyFailed, InferdError
from inferd.resilience.degradation import ABSENT, Degradation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDING = 1e-4
"""By so much a probability may be out of its range: models compute with few digits."""
FUSION = 60.0
"""Of reciprocal rank fusion: the larger, the less the first places are better than the next."""

_AS_CONFIGURED: Mapping[str, float] = {}


class Blend(NamedTuple):
    """What rankers say together."""

    #: Float64 [k], 0 to 1. None: none of them has said anything.
    scores: Floats | None
    #: What each said, as probabilities, [k].
    said: Mapping[str, Floats]
    #: Shares, adding up to 1.
    weights: Mapping[str, float]
    #: Of rankers that are missing.
    degradations: tuple[Degradation, ...]


class Ensemble:
    """Puts together what rankers say. Pure."""

    def __init__(self, rankers: Sequence[Ranker]) -> None:
        self._rankers = {each.name: each for each in rankers}

    def blend(
        self,
        said: Mapping[str, npt.ArrayLike | InferdError],
        count: int,
        weights: Mapping[str, float] = _AS_CONFIGURED,
    ) -> Blend:
        """Return the scores of so many candidates.

        `said` has by a ranker's name what its model answered, [count] or [count, classes], or why
        it did not. `weights` go over those of the configuration.
        """
        heard, degradations = dict[str, Floats](), list[Degradation]()
        for name, answer in said.items():
            ranker = self._rankers[name]
            try:
                if isinstance(answer, InferdError):
                    raise answer
                heard[name] = probabilities(ranker, answer, count)
            except InferdError as error:
                degradations.append(Degradation(name, ABSENT, error.reason))
        if not heard:
            return Blend(None, {}, {}, tuple(degradations))
        parts = {name: weights.get(name, self._rankers[name].weight) for name in heard}
        total = sum(parts.values())
        shares = {name: part / total for name, part in parts.items()}
        scores = np.zeros(count)
        for name, share in shares.items():
            scores += share * heard[name]
        return Blend(scores, heard, shares, tuple(degradations))


def probabilities(ranker: Ranker, answer: npt.ArrayLike, count: int) -> Floats:
    """Return how likely candidates are to be liked if a ranker says so, float64 [count].

    Raises `DependencyFailed` for an answer that cannot be meant.
    """
    raw = np.asarray(answer, np.float64)
    if len(raw) != count or raw.size < count:
        raise DependencyFailed(f"{ranker.name} answered {raw.shape} for {count} candidates")
    raw = raw.reshape(count, -1)[:, -1] if count else raw.reshape(0)
    if not np.isfinite(raw).all():
        raise DependencyFailed(f"{ranker.name} says what is no number")
    if ranker.calibration:
        said, likely = zip(*ranker.calibration, strict=True)
        calibrated: Floats = np.interp(raw, said, likely)
        return calibrated
    if ranker.says == "logit":
        return 0.5 * (1.0 + np.tanh(0.5 * raw))
    if count and (raw.min() < -ROUNDING or raw.max() > 1.0 + ROUNDING):
        raise DependencyFailed(f"{ranker.name} says what is no probability")
    return np.clip(raw, 0.0, 1.0)


def fused(found: Sequence[Ints], rows: Ints) -> Floats:
    """Return scores by the places at which sources found candidates, float64 [k], 0 to 1.

    Reciprocal rank fusion (Cormack et al. 2009): scores of sources cannot be compared, places can.
    `found` has the rows of each source, the best first; `rows` are candidates, each once.
    """
    order = np.argsort(rows)
    scores = np.zeros(len(rows))
    for each in found:
        if not len(rows):
            break
        places = order[np.searchsorted(rows, each, sorter=order).clip(max=len(rows) - 1)]
        there = rows[places] == each  # others are no candidates any more
        scores[places[there]] += (FUSION + 1.0) / (FUSION + 1.0 + np.flatnonzero(there))
    return scores / max(len(found), 1)
