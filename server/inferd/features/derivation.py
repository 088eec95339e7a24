"""How features are declared that nobody writes: from events, from other features, from tables.

A feature is named as `view.feature`, and what the caller says in the request as `request.name`.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, InstanceOf, model_validator

from inferd.config.section import Positive, Section
from inferd.features.kinds import MAX_TEXTS, Kind

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Reference = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$", max_length=129)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Typed = Annotated[InstanceOf[Kind], BeforeValidator(Kind.named)]

US = 1_000_000
_DURATION = re.compile(r"([1-9][0-9]{0,5})(s|m|h|d)")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
MAX_WINDOW_S = 90 * 86_400


def duration_us(text: object) -> int:
    """Return the microseconds of `90s`, `10m`, `1h` or `7d`. Raises `ValueError`."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match:
        seconds = int(match[1]) * _UNIT_S[match[2]]
        if seconds <= MAX_WINDOW_S:
            return seconds * US
    raise ValueError("a duration is 1s to 90d, written like 90s, 10m, 1h or 7d")


def _written(us: int) -> str:
    """Return a duration as one writes it."""
    for unit, seconds in reversed(_UNIT_S.items()):
        if us % (seconds * US) == 0:
            return f"{us // (seconds * US)}{unit}"
    raise AssertionError("durations are of whole seconds")


EVENT_FIELDS = {"event.name": Kind("string"), "event.time_us": Kind("int64")}
"""What every event says, besides its fields: what it is called, and when it happened."""

Duration = Annotated[int, BeforeValidator(duration_us)]
"""In microseconds."""


class EventField(Section):
    """One thing that an event says."""

    name: Name
    type: Typed
    """`int64`, `float64`, `bool`, `string` or `bytes`."""
    required: bool = False
    """An event without it is refused."""

    @model_validator(mode="after")
    def _no_list(self) -> "EventField":
        if self.type.is_list:
            raise ValueError("type: an event has no lists")
        return self


class Event(Section):
    """Something that happens, at a point in time, once."""

    name: Name
    fields: tuple[EventField, ...]
    description: str = ""


class Aggregation(Section):
    """What became of the events of an entity within a window that ends now."""

    function: Literal[
        "count",
        "sum",
        "mean",
        "variance",
        "min",
        "max",
        "last",
        "distinct",
        "quantile",
        "rate",
        "ewma",
        "newest",
    ]
    """`rate` is events per second; `variance` is of the population; `ewma` is weighted by age;
    `newest` is the list of the last values, the newest first."""
    of: Name | Literal["event.name", "event.time_us"] | None = None
    """The event's field; or what it is called, or when it happened. `rate` has none; `count` may,
    and then counts the events that have it."""
    window: Duration
    """`10m`, `24h`, `7d`: up to 90 days."""
    q: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of `quantile`: 0.5 is the median."""
    half_life: Duration | None = None
    """Of `ewma`: what is older by this counts half as much."""
    count: Annotated[int, Field(ge=1, le=MAX_TEXTS)] | None = None
    """Of `newest`: the list is no longer."""

    @property
    def described(self) -> str:
        """What it is, for people: `sum of amount over 1h`."""
        function: str = f"{self.q} quantile" if self.q is not None else self.function
        if self.count is not None:
            function = f"newest {self.count}"
        of = f" of {self.of}" if self.of else ""
        fading = "" if self.half_life is None else f", halved every {_written(self.half_life)}"
        return f"{function}{of} over {_written(self.window)}{fading}"

    @model_validator(mode="after")
    def _whole(self) -> "Aggregation":
        if self.of is not None and self.function == "rate":
            raise ValueError("of: a rate is of no field")
        if self.of is None and self.function not in ("count", "rate"):
            raise ValueError(f"of: which field is {self.function} of?")
        if (self.q is not None) != (self.function == "quantile"):
            raise ValueError("q: a quantile has one, and nothing else does")
        if (self.half_life is not None) != (self.function == "ewma"):
            raise ValueError("half_life: an ewma has one, and nothing else does")
        if (self.count is not None) != (self.function == "newest"):
            raise ValueError("count: the newest have one, and nothing else does")
        return self


class OneHot(Section):
    """One float for each category; all are zero for what is none of them."""

    function: Literal["one_hot"]
    of: Reference
    categories: Annotated[tuple[str | int | bool, ...], Field(min_length=1, max_length=4096)]

    @model_validator(mode="after")
    def _all_different(self) -> "OneHot":
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("categories: one is there twice")
        return self


class Hashed(Section):
    """Into which of so many buckets a value falls, by its hash: int64, from 0."""

    function: Literal["hash"]
    of: Reference
    buckets: Annotated[int, Field(ge=1, le=2**31)]


class Bucketise(Section):
    """How many of the bounds a number has reached: int64, from 0."""

    function: Literal["bucketise"]
    of: Reference
    bounds: Annotated[tuple[Finite, ...], Field(min_length=1, max_length=4096)]

    @model_validator(mode="after")
    def _rising(self) -> "Bucketise":
        if any(low >= high for low, high in pairwise(self.bounds)):
            raise ValueError("bounds: each is larger than the one before")
        return self


class Log(Section):
    """The natural logarithm of 1 + x; of -|x|, its negative."""

    function: Literal["log1p"]
    of: Reference


class Standardise(Section):
    """(x - mean) / deviation, within so many deviations."""

    function: Literal["standardise"]
    of: Reference
    mean: Finite
    deviation: Annotated[Finite, Field(gt=0)]
    within: Annotated[Finite, Field(gt=0)] | None = None


class Cross(Section):
    """Into which of so many buckets several values fall together: int64, from 0."""

    function: Literal["cross"]
    of: Annotated[tuple[Reference, ...], Field(min_length=2, max_length=8)]
    buckets: Annotated[int, Field(ge=1, le=2**31)]


class Distance(Section):
    """How far apart two places on Earth are, along a great circle: float64, in km.

    Of latitude and longitude of the one, then of the other, in degrees.
    """

    function: Literal["distance_km"]
    of: Annotated[tuple[Reference, ...], Field(min_length=4, max_length=4)]


class TextLength(Section):
    """How many characters a text has: int64."""

    function: Literal["text_length"]
    of: Reference


Transform = Annotated[
    OneHot | Hashed | Bucketise | Log | Standardise | Cross | Distance | TextLength,
    Field(discriminator="function"),
]


class LookedUp(Section):
    """A column of the row that a table has for a key."""

    table: Name
    key: Reference
    column: Name


class Column(Section):
    """What a table says."""

    name: Name
    type: Typed


class Table(Section):
    """Rows that are looked up by a key. One source."""

    name: Name
    key: Column
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]
    file: Path | None = None
    """A `.csv` with a header, or `.jsonl`, read when the server starts."""
    redis_hash: str | None = None
    """A key of Redis with `{}` for the row's key; it is a hash, whose fields are the columns."""
    sqlite: Path | None = None
    """A file of SQLite, which is only read."""
    query: str | None = None
    """Of `sqlite`: it selects columns, in any order, with `?` for the key."""
    function: str | None = None
    """`module:function` of Python, synchronous or not: it takes a list of keys, and returns a list
    of mappings by column, None for what is not there."""
    timeout_ms: Positive = 10.0

    def relative_to(self, directory: Path) -> "Table":
        """Return the same table, with its files in a directory unless their paths are absolute."""
        files = {"file": self.file, "sqlite": self.sqlite}
        return self.model_copy(
            update={key: directory / path for key, path in files.items() if path is not None}
        )

    @model_validator(mode="after")
    def _one_source(self) -> "Table":
        sources = (self.file, self.redis_hash, self.sqlite, self.function)
        if sum(each is not None for each in sources) != 1:
            raise ValueError("there must be one of file, redis_hash, sqlite, function")
        if (self.query is None) != (self.sqlite is None):
            raise ValueError("query: sqlite has one, and nothing else does")
        if self.redis_hash is not None and self.redis_hash.count("{}") != 1:
            raise ValueError("redis_hash: {} stands for the key, once")
        return self


class Request(Section):
    """What the caller says in the request, to compute with."""

    name: Name
    type: Typed


def references(transform: Transform) -> Sequence[str]:
    """Return what a transform is of."""
    return transform.of if isinstance(transform.of, tuple) else (transform.of,)
