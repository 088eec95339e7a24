"""What each feature added to a model's score, for any model: by leaving it out.

The model is asked again about what is on record, once for each of its inputs with that one as if
nothing were known of it. What the score is lower by then, in log-odds, is what the input added.
Inputs that only tell something together share nothing: it is what each would change by itself.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import InferdError
from inferd.services.fraud.models import Scorer
from inferd.services.fraud.rules import Values
from inferd.v1 import fraud_pb2 as pb

MOST_ROWS = 16
"""In one request to a model: others want it, too."""
_LEAST = 1e-6
"""A score of 0 or 1 is as good as this far from it: certainty has no end."""


async def contributions(
    call: Call, deadline: Deadline, scorer: Scorer, values: Values, version: str
) -> list[pb.FeatureContribution]:
    """Return what each input added to a score; nothing where it cannot be told any more.

    `version` is the one that said it; another would say something else.
    """
    inputs = scorer.settings.inputs
    if any(name not in values for name in inputs):
        return []
    rows = [scorer.row(values)]
    rows += [scorer.row({**values, name: None}) for name in inputs]
    scores: list[float] = []
    try:
        for begin in range(0, len(rows), MOST_ROWS):
            part = np.concatenate(rows[begin : begin + MOST_ROWS])
            said, _ = await scorer.scores(call, deadline, part, version)
            scores += said
    except InferdError:
        return []  # it is there no more, or has too much to do
    return _contributions(scorer.name, inputs, scores)


def in_order_of_weight(
    told: Iterable[pb.FeatureContribution], weights: Mapping[str, float]
) -> list[pb.FeatureContribution]:
    """Return what inputs added, model by model, those first that the decision heeded most.

    Within a model the inputs that added most are first. Log-odds of different models are not in one
    order: a model whose scores are no probabilities would always be first, or last.
    """
    return sorted(
        told, key=lambda it: (-weights.get(it.model, 0.0), it.model, -abs(it.contribution))
    )


def _contributions(
    model: str, inputs: Sequence[str], scores: Sequence[float]
) -> list[pb.FeatureContribution]:
    if not all(map(math.isfinite, scores)):
        return []
    whole, *without = map(_log_odds, scores)
    return [
        pb.FeatureContribution(model=model, feature=name, contribution=whole - each)
        for name, each in zip(inputs, without, strict=True)
        if whole != each
    ]


def _log_odds(score: float) -> float:
    probability = min(max(score, _LEAST), 1 - _LEAST)
    return math.log(probability / (1 - probability))
