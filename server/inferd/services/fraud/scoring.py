"""One risk out of what several models and rules say.

Each model's score becomes a probability by a curve that was fitted to how often it was right
(isotonic, its knots joined by lines). What the models say is averaged by weight; those that did
not answer count for nothing, and the weights of the others are scaled to 1. Rules that matched
raise it as independent causes do (noisy-OR): p becomes 1 - (1 - p)(1 - s).

The result never falls when a model says more, or when one more rule matches: rounding included,
because every step is a rounding of something that does not fall. `fsum` rounds once.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, NamedTuple

from pydantic import Field, model_validator

from inferd.config.section import Section
from inferd.services.fraud.declared_rules import Declared
from inferd.services.fraud.vocabulary import Reason

Raw = Annotated[float, Field(ge=-1e9, le=1e9)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Knot = tuple[Raw, Probability]

_LEAST = 1e-12
"""Of a chance that it is no fraud, when shares of the risk are told: certainty has no end."""


class Model(Section):
    """What a model's score is worth."""

    weight: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    calibration: Annotated[tuple[Knot, ...], Field(min_length=1, max_length=1000)] = (
        (0.0, 0.0),
        (1.0, 1.0),
    )
    """What it says, and how likely fraud is then. Beyond its ends it is flat."""

    @model_validator(mode="after")
    def _rises(self) -> "Model":
        for (low, less), (high, more) in pairwise(self.calibration):
            if low >= high:
                raise ValueError(f"calibration: {high} comes after {low}, and scores are to rise")
            if less > more:
                raise ValueError(f"calibration: at {high} it falls from {less} to {more}")
        return self

    def calibrated(self, raw: float) -> float:
        """Return the probability of fraud when the model says so. It never falls."""
        knots = self.calibration
        at = bisect_right(knots, raw, key=_score)
        if at == 0:
            return knots[0][1]
        if at == len(knots):
            return knots[-1][1]
        (low, less), (high, more) = knots[at - 1], knots[at]
        return min(less + (raw - low) / (high - low) * (more - less), more)


class Weighed(NamedTuple):
    """What one model says."""

    model: str
    raw: float
    calibrated: float
    weight: float
    """Its share, 0 to 1."""


class Risk(NamedTuple):
    """How likely it is fraud, and what says so."""

    score: float
    """0 to 1."""
    models: tuple[Weighed, ...]
    reasons: tuple[Reason, ...]
    """Those that contribute, the largest first. Together 1, unless there are none."""


def risk(
    models: Mapping[str, Model], raw: Mapping[str, float], violations: Sequence[Declared]
) -> Risk:
    """Return the risk, by what models said that answered: finite numbers, of models that are known.

    Without any, the rules speak alone.
    """
    total = math.fsum(models[name].weight for name in raw)
    said = [(name, models[name], score) for name, score in sorted(raw.items())]
    weighed = tuple(
        Weighed(name, score, model.calibrated(score), model.weight / total)
        for name, model, score in said
    )
    weights = [models[each.model].weight for each in weighed]
    parts = [w * each.calibrated for w, each in zip(weights, weighed, strict=True)]
    blend = min(math.fsum(parts) / total, 1.0) if weighed else 0.0
    harmless = 1.0 - blend
    for rule in violations:
        harmless *= 1.0 - rule.score
    return Risk(1.0 - harmless, weighed, _reasons(blend, weighed, violations))


def _reasons(
    blend: float, weighed: Iterable[Weighed], violations: Iterable[Declared]
) -> tuple[Reason, ...]:
    """Return who has which share in the risk: chances of no harm multiply, so logarithms add."""
    by_models = _log_harm(blend)
    told = [(each, each.weight * each.calibrated) for each in weighed]
    said = math.fsum(share for _, share in told)
    shares = [
        Reason(
            f"model.{each.model}",
            f"{each.model} says {each.calibrated:.2f}",
            by_models * share / said,
        )
        for each, share in told
        if share
    ]
    shares += [
        Reason(f"rule.{rule.id}", rule.description or rule.id, _log_harm(rule.score))
        for rule in violations
    ]
    whole = math.fsum(each.contribution for each in shares)
    if not whole:
        return tuple(shares)
    shares = [each._replace(contribution=each.contribution / whole) for each in shares]
    return tuple(sorted(shares, key=lambda each: (-each.contribution, each.code)))


def _log_harm(probability: float) -> float:
    return abs(math.log(max(1.0 - probability, _LEAST)))


def _score(knot: Knot) -> float:
    return knot[0]
