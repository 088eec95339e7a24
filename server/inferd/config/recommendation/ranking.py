"""How a list is made of items with scores: what is left out, moved, spread and pinned."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from inferd.config.resilience import Count, Name
from inferd.config.section import Positive, Section

Factor = Annotated[float, Field(gt=0, le=1)]
ActName = Literal["impression", "view", "click", "cart", "purchase", "dislike"]
ItemId = Annotated[str, Field(min_length=1, max_length=512)]
Value = bool | float | str


class Condition(Section):
    """What must be true of an item: one of `equals`, `any_of`, or a range."""

    field: Annotated[str, Field(min_length=1)]
    """As filters of requests have it, e.g. `brand`, `price_minor` or `attributes.colour`."""
    equals: Value | None = None
    any_of: tuple[Value, ...] = ()
    at_least: float | None = None
    at_most: float | None = None
    negate: bool = False
    """It must not be true."""

    @model_validator(mode="after")
    def _one(self) -> "Condition":
        is_range = self.at_least is not None or self.at_most is not None
        if (self.equals is not None) + bool(self.any_of) + is_range != 1:
            raise ValueError(
                f"{self.field}: there must be one of equals, any_of, and at_least or at_most"
            )
        return self


class Rule(Section):
    """What is done with items, whatever models think of them: one of `boost`, `bury` and `pin`."""

    name: Name
    """For whoever asks why."""
    where: tuple[Condition, ...] = ()
    """All must be true of the item."""
    items: tuple[ItemId, ...] = ()
    """It is one of these. For pins they need not have been found by any source."""
    pages: tuple[str, ...] = ()
    """Only in lists on these pages. Empty: on all."""
    boost: Positive | None = None
    """Its score is multiplied by this; below 1 it falls."""
    bury: bool = False
    """It comes after all others."""
    pin: Annotated[int, Field(ge=0)] | None = None
    """The best of these items is at this place, from 0. Of two pins at one place the first counts.
    What the user bought or does not want is not pinned, nor what filters leave out."""

    @model_validator(mode="after")
    def _one(self) -> "Rule":
        if (self.boost is not None) + self.bury + (self.pin is not None) != 1:
            raise ValueError(f"{self.name}: there must be one of boost, bury and pin")
        if not (self.where or self.items):
            raise ValueError(f"{self.name}: there must be where, or items")
        return self


class SeenItems(Section):
    """What becomes of items that the user has dealt with before."""

    never: tuple[ActName, ...] = ("purchase",)
    """After that an item is not shown again, unless the request asks for what was seen. What was
    disliked never is."""
    shown_factor: Factor = 0.93
    """By which a score is multiplied each time that the item was shown lately."""
    looked_factor: Factor = 0.8
    """The same, each time that it was looked at or clicked."""
    hide_shown: Count = 8
    """What was shown so often lately, and looked at never, is left out while there is other."""
    lately_s: Positive = 7 * 86_400.0
    """How long ago is lately. What of it is not known when it was is taken to be."""


class Ranking(Section):
    """The ranking of candidates that have scores."""

    seen: SeenItems = SeenItems()
    max_per_brand: Count | None = 3
    """In one list; also below, and not of items that say none. Absent: there is no limit. Limits
    give way where a list would be too short."""
    max_per_category: Count | None = None
    max_per_merchant: Count | None = None
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.2
    """How much a list should be of things that differ, against its being of the best. 0: the best
    only. It tells by items' vectors (maximal marginal relevance)."""
    rules: Annotated[tuple[Rule, ...], Field(max_length=200)] = ()

    @model_validator(mode="after")
    def _told_apart(self) -> "Ranking":
        names = [each.name for each in self.rules]
        if len(set(names)) < len(names):
            raise ValueError(f"rules: names must differ: {', '.join(names)}")
        return self
