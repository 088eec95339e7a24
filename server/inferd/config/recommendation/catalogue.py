"""What can be recommended: how many items, where they are kept, and what makes their vectors."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from inferd.config.journal import Count
from inferd.config.section import NotNegative, Positive, Section


class ItemVectors(Section):
    """The model that says of an item where it is in the space of users' vectors: a content tower.

    It is asked when an item is added or replaced, unless the item brings a vector.
    """

    model: Annotated[str, Field(min_length=1)]
    """Its name in the repository."""
    version: str = ""
    """A number or a label. Empty: the highest."""
    inputs: Annotated[tuple[Literal["content", "identity"], ...], Field(min_length=1)] = (
        "content",
        "identity",
    )
    """What it is told of each item, by the names of its inputs: words and the price, and a number
    by which it may know the item."""
    output: str = "vector"
    """Its output, float32 of as many elements as `dimensions`."""
    timeout_ms: Positive = 2000.0
    """For all items of one request."""


class Catalogue(Section):
    """The items."""

    path: Path | None = None
    """A directory, made when it is not there, where items are kept over restarts. None: nowhere.
    One server writes it."""
    seed: Path | None = None
    """A file of items, one JSON object a line, with the fields of `inferd.v1.Item`. It is read at
    a start at which there are no items."""
    max_items: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    """Each takes about 1 KB, with a description of some 200 bytes."""
    dimensions: Annotated[int, Field(ge=1, le=4096)] = 32
    """Of items' and users' vectors."""
    vectors: ItemVectors | None = None
    """None: items have the vectors that they come with, or none."""
    snapshot_changes: Count = 20_000
    """After so many changes all items are written to a new file, so that a start does not have to
    read all changes there ever were."""


class Behaviour(Section):
    """What all users do with items: what is in demand, and what goes together."""

    path: Path | None = None
    """A file where it is kept over restarts. None: nowhere."""
    snapshot_s: Positive = 60.0
    """How often it is written. What came after is lost in a crash."""
    ctr_clicks: NotNegative = 1.0
    ctr_impressions: Positive = 20.0
    """An item's rate of clicks is taken to be (`ctr_clicks` + clicks) / (`ctr_impressions` +
    impressions), so that one click of one impression is no 100 %."""
    neighbours: Annotated[int, Field(ge=1, le=512)] = 48
    """Items that go together with one: the strongest are remembered."""
    covisits_half_life_s: Positive = 14 * 86_400.0
    """After this time, going together counts half."""
    session_s: Positive = 1800.0
    """What a user does within this time goes together."""
    session_items: Annotated[int, Field(ge=1, le=50)] = 6
    """Of which the newest so many."""
    max_users: Count = 50_000
    """Whose sessions are remembered; of more, the most recent."""
