"""The models that say how likely a user is to like an item, and what each is worth."""

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from inferd.config.resilience import Name
from inferd.config.section import Positive, Section

Said = Annotated[float, Field(ge=-1e9, le=1e9)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Feature = Annotated[str, Field(min_length=1, max_length=200)]


class Ranker(Section):
    """A model that scores candidates: all of a request in one batch of rows."""

    name: Name
    """Its name here: of its scores, its guard (`recommendation_<name>`) and its stage."""
    model: Annotated[str, Field(min_length=1)]
    """Its name in the repository."""
    version: str = ""
    """A number or a label. Empty: the highest."""
    inputs: Annotated[tuple[Feature, ...], Field(min_length=1)]
    """What it is told of each user and item, in this order, e.g. `item.ctr_1d` or
    `log(item.price)`; docs/recommendation.md has all names."""
    tensor: str = "features"
    """Its input."""
    output: str = "score"
    """Its output, of which the last element counts: of two classes, the second."""
    says: Literal["probability", "logit"] = "probability"
    """What its output is: of being liked, 0 to 1; or the logarithm of the odds of that."""
    calibration: Annotated[tuple[tuple[Said, Probability], ...], Field(max_length=1000)] = ()
    """What it says, and how likely items are to be liked then; between them it is a line, beyond
    their ends it is flat. Empty: it is right as it is."""
    weight: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    """Its share, compared with the others'."""
    timeout_ms: Positive = 20.0
    """How long it may take. Later is as good as failed."""
    missing: float = 0.0
    """What it is told where nothing is known. `.nan`, if it was trained so."""

    @model_validator(mode="after")
    def _rises(self) -> "Ranker":
        for (low, less), (high, more) in pairwise(self.calibration):
            if low >= high or less > more:
                raise ValueError(
                    f"calibration: ({high}, {more}) comes after ({low}, {less}), and what it says"
                    " is to rise, and how likely that is not to fall"
                )
        return self
