"""Where candidates come from, and how many from each source. A quota of 0 turns a source off."""

from typing import Annotated

from pydantic import Field

from inferd.config.section import Positive, Section

Quota = Annotated[int, Field(ge=0, le=10_000)]
Rate = Annotated[float, Field(ge=0, le=1)]


class Weights(Section):
    """How much it says that a user did something with an item."""

    impression: float = 0.0
    view: float = 1.0
    click: float = 1.0
    cart: float = 3.0
    purchase: float = 5.0
    dislike: float = -5.0


class VectorSource(Section):
    """Items whose vectors are near the user's."""

    quota: Quota = 200
    exact_up_to: Annotated[int, Field(ge=0)] = 20_000
    """Up to so many items, every one is looked at. Of more, an index finds most of the nearest
    (HNSW; extra `ann`)."""
    rebuild_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The index is made anew, in the background, when this share of the items has changed. Until
    then, what is new is looked at beside it."""
    links: Annotated[int, Field(ge=4, le=128)] = 16
    """Of each item in the index (M): more find more, and take more memory."""
    build_effort: Annotated[int, Field(ge=10, le=2000)] = 200
    """Candidates for an item's links (ef_construction)."""
    search_effort: Annotated[int, Field(ge=10, le=10_000)] = 400
    """Items that a search looks at, at least as many as it finds (ef)."""


class CovisitSource(Section):
    """Items that others had to do with who had to do with the same as this user."""

    quota: Quota = 100
    history: Annotated[int, Field(ge=1, le=100)] = 20
    """The newest so many things that the user did."""
    fade: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Each counts this much of the next newer."""
    weights: Weights = Weights()


class TrendingSource(Section):
    """Items in demand now."""

    quota: Quota = 60
    half_life: Annotated[str, Field(pattern="^(1h|1d|7d)$")] = "1d"
    """After this time, what somebody did counts half."""
    refresh_s: Positive = 2.0
    """How often it is found out anew."""
    weights: Weights = Weights()


class CategorySource(Section):
    """Items in demand, of the categories that the user had to do with lately, or of the page."""

    quota: Quota = 60
    categories: Annotated[int, Field(ge=1, le=20)] = 3
    """At most so many."""


class NewSource(Section):
    """New items that hardly anybody has seen: what they are worth is found out by showing them."""

    quota: Quota = 20
    newer_than_s: Positive = 14 * 86_400.0
    """Items that came in this time are new."""
    least_shown: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Among so many of them, those that were shown least, chance decides, by how often they were
    clicked (Thompson sampling)."""


class PopularSource(Section):
    """Items in demand for long: for whoever nothing else is known for."""

    quota: Quota = 100
    refresh_s: Positive = 10.0
    """How often it is found out anew."""
    weights: Weights = Weights()


class Sources(Section):
    """All sources."""

    vectors: VectorSource = VectorSource()
    covisits: CovisitSource = CovisitSource()
    trending: TrendingSource = TrendingSource()
    category: CategorySource = CategorySource()
    new: NewSource = NewSource()
    popular: PopularSource = PopularSource()
