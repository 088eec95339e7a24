"""How a policy is written: bands of amounts, each with the scores from which something is done.

Together the bands have to say exactly one thing about every transaction. So for each merchant
category and each segment, those that apply must cover all amounts, and no amount twice.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise, product
from typing import Annotated

from pydantic import Field, model_validator

from inferd.config.section import Section
from inferd.features.derivation import Name
from inferd.features.suggestions import nearest
from inferd.services.fraud.scoring import Model

OTHER = "other"
"""The category, or segment, of whatever is not declared."""

MOST_CELLS = 10_000

Amount = Annotated[int, Field(ge=0, strict=True)]
Threshold = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Rate = Annotated[Decimal, Field(gt=0, lt=1_000_000, allow_inf_nan=False)]


class Band(Section):
    """What is done about some transactions."""

    name: Name
    at_least_minor: Amount = 0
    """Amounts from here, in minor units of the policy's currency."""
    below_minor: Amount | None = None
    """Amounts below. None: there is no end."""
    merchant_categories: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """None: all, those included that are not declared."""
    segments: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """As of categories."""
    challenge: Threshold | None = None
    """From this score on, the user has to prove who they are. None: nobody has to."""
    review: Threshold | None = None
    block: Threshold | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Band":
        if self.below_minor is not None and self.below_minor <= self.at_least_minor:
            raise ValueError(f"below_minor: it is not above at_least_minor, {self.at_least_minor}")
        given = [each for each in (self.challenge, self.review, self.block) if each is not None]
        if any(low >= high for low, high in pairwise(given)):
            raise ValueError("challenge, review, block: each is to be higher than the one before")
        return self


class Levels(Section):
    """From which score on a risk is what."""

    medium: Threshold = 0.3
    high: Threshold = 0.65
    critical: Threshold = 0.9

    @model_validator(mode="after")
    def _in_order(self) -> "Levels":
        if not self.medium < self.high < self.critical:
            raise ValueError("medium, high, critical: each is to be higher than the one before")
        return self


class Scoring(Section):
    """How much what the models say is worth."""

    models: Mapping[str, Model] = {}
    """By name."""


class DeclaredPolicy(Section):
    """All that a file declares."""

    currency: Currency
    """Of the amounts of bands."""
    exchange: Mapping[Currency, Rate] = {}
    """Other currencies: what one minor unit is worth in minor units of the policy's. Amounts in
    currencies that are not here count as larger than any other."""
    merchant_categories: tuple[Name, ...] = ()
    segments: tuple[Name, ...] = ()
    levels: Levels = Levels()
    scoring: Scoring = Scoring()
    bands: Annotated[tuple[Band, ...], Field(min_length=1, max_length=1000)]


def contradictions(declared: DeclaredPolicy, models: Collection[str]) -> Iterator[str]:
    """Yield what cannot be."""
    yield from _doubled(declared)
    yield from _unknown(declared, models)
    cells = (len(declared.merchant_categories) + 1) * (len(declared.segments) + 1)
    if cells > MOST_CELLS:
        yield f"merchant_categories, segments: there are {cells} pairs, and {MOST_CELLS} at most"
    else:
        yield from _gaps_and_overlaps(declared)


def cells(declared: DeclaredPolicy) -> Iterator[tuple[tuple[str, str], list[Band]]]:
    """Yield each category with each segment, and the bands for it, by their amounts."""
    categories = dict.fromkeys((*declared.merchant_categories, OTHER))
    segments = dict.fromkeys((*declared.segments, OTHER))
    bands = sorted(declared.bands, key=lambda each: each.at_least_minor)
    for category, segment in product(categories, segments):
        yield (
            (category, segment),
            [
                each
                for each in bands
                if category in (each.merchant_categories or categories)
                and segment in (each.segments or segments)
            ],
        )


def _doubled(declared: DeclaredPolicy) -> Iterator[str]:
    for where, names in (
        ("bands", [each.name for each in declared.bands]),
        ("merchant_categories", declared.merchant_categories),
        ("segments", declared.segments),
    ):
        for name, times in Counter(names).items():
            if times > 1:
                yield f"{where}.{name}: declared {times} times"
    if declared.currency in declared.exchange:
        yield f"exchange.{declared.currency}: it is the policy's own currency"


def _unknown(declared: DeclaredPolicy, models: Collection[str]) -> Iterator[str]:
    known = (*declared.merchant_categories, OTHER), (*declared.segments, OTHER)
    for band in declared.bands:
        for names, key, these in (
            (band.merchant_categories, "merchant_categories", known[0]),
            (band.segments, "segments", known[1]),
        ):
            for name in names or ():
                if name not in these:
                    yield f"bands.{band.name}.{key}: {name!r:.80} is not declared"
    weights = declared.scoring.models
    for name in weights:
        if name not in models:
            told = nearest(name, models) if models else "there are none"
            yield f"scoring.models.{name}: there is no such model; {told}"
    for name in models:
        if name not in weights:
            yield f"scoring.models: {name} is asked, and has no weight"


def _gaps_and_overlaps(declared: DeclaredPolicy) -> Iterator[str]:
    """Yield each gap and overlap once, with the first category and segment that it is in."""
    told: set[str] = set()
    for (category, segment), bands in cells(declared):
        for problem in _between(bands):
            if problem not in told:
                told.add(problem)
                yield f"bands: {problem} (merchant category {category}, segment {segment})"


def _between(bands: list[Band]) -> Iterator[str]:
    reached: int | None = 0  # None: all amounts
    last: Band | None = None
    for band in bands:
        begins = band.at_least_minor
        if last is not None and (reached is None or begins < reached):
            yield f"{band.name} overlaps {last.name} from {begins} on"
        elif reached is not None and begins > reached:
            yield f"nothing is said of amounts from {reached} to {begins}"
        if reached is not None and (band.below_minor is None or band.below_minor > reached):
            reached, last = band.below_minor, band
    if reached is not None:
        yield f"nothing is said of amounts from {reached} on"
