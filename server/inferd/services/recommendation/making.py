"""A list that was made, before there is anything of one call in it: what a cache may keep."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from inferd.resilience.degradation import Degradation


class Made(IntEnum):
    """What a list was made of. The numbers are the protocol's."""

    COMPUTED = 1
    CACHE = 2
    COLD_START = 3
    POPULAR = 4
    SIMILAR = 5
    TRENDING = 6


class Detail(NamedTuple):
    """Why an item is where it is."""

    sources: Mapping[str, float]
    features: Mapping[str, float]
    scores: Mapping[str, float]
    ranking: Sequence[str]


class Entry(NamedTuple):
    """An item of a list."""

    item_id: str
    score: float
    reason: str
    detail: Detail | None = None


class Workings(NamedTuple):
    """How a list was made, for whoever asks."""

    #: Seconds by stage, in their order.
    timings: Mapping[str, float]
    #: How many candidates each source gave.
    candidates: Mapping[str, int]
    #: How many were left after each step.
    left: Mapping[str, int]
    #: How many interactions of the user are known.
    interactions: int


class Listed(NamedTuple):
    """A list. It never changes."""

    entries: tuple[Entry, ...]
    made: Made
    #: Of the catalogue.
    epoch: int
    #: The models that scored, as "name/version".
    models: tuple[str, ...] = ()
    degradations: tuple[Degradation, ...] = ()
    workings: Workings | None = None


NOTHING_LISTED = Listed((), Made.COMPUTED, 0)
