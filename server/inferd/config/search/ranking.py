"""How what was found is ranked: by a learnt model for everybody, and then for the user who asks."""

from typing import Annotated

from pydantic import Field

from inferd.config.search.index import FieldName
from inferd.config.section import Positive, Section

Feature = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(gt=0, le=1)]


class SearchRanker(Section):
    """A model that scores hits: nothing that it is told is about the user who asks."""

    model: Annotated[str, Field(min_length=1)]
    """Its name in the repository."""
    version: str = ""
    """A number or a label. Empty: the highest."""
    inputs: Annotated[tuple[Feature, ...], Field(min_length=1)]
    """What it is told of each hit, in this order; docs/search.md has all names."""
    tensor: str = "features"
    """Its input, float32 [hits, inputs]."""
    output: str = "score"
    """Its output, of which the last element counts. The larger the better."""
    timeout_ms: Positive = 30.0
    """How long it may take for all hits. Later is as good as failed."""
    missing: float = -1.0
    """What it is told where nothing is known. `.nan`, if it was trained so."""
    window: Annotated[int, Field(ge=1, le=1000)] = 100
    """The best hits by words that are ranked. Behind them hits stay in the order of the words."""
    at_once: Annotated[int, Field(ge=1, le=1000)] = 50
    """So many hits are ranked before it is looked whether there is time for more."""
    soft_timeout: Share = 0.7
    """When this share of the time is over, ranking stops where it is (as in Vespa)."""


class SearchPersonal(Section):
    """What is known of the user who asks: hits that are like what they clicked come earlier."""

    fields: dict[FieldName, Positive] = Field(default_factory=dict)
    """Keywords by which hits are like each other, and what each counts, e.g. `{brand: 2}`. Empty:
    nothing is personal."""
    max_shift: Annotated[int, Field(ge=0, le=1000)] = 5
    """By at most so many places a hit rises or falls for it."""
    clicks: Annotated[int, Field(ge=1, le=1000)] = 30
    """The newest so many clicks of a user count."""
    max_users: Annotated[int, Field(ge=1)] = 20_000
    """Users whose clicks are kept at hand; those of the last click."""


class SearchCache(Section):
    """Rankings are kept for whoever asks the same: nothing personal is in them."""

    ttl_s: Annotated[float, Field(ge=0)] = 600.0
    """How long. 0: never. What changes the index ends them at once, and so does a click on what was
    found for the query."""
    max_entries: Annotated[int, Field(ge=1)] = 5_000
    stale_s: Annotated[float, Field(ge=0)] = 3600.0
    """While the index does not answer, rankings of before are given, as old as this."""
