"""A question on its way to a page: what it is taken for, and what is known of it so far."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from inferd.experiments.plan import Assignments
from inferd.services.search.curations import Curated
from inferd.services.search.engine import Work
from inferd.services.search.finding import Ranked
from inferd.services.search.personal import Affinity
from inferd.services.search.query.understood import Understood
from inferd.services.search.questions import Question


class Meant(NamedTuple):
    """What a query is taken for, on all pages of an answer. It can be hashed."""

    understood: Understood
    curated: Curated
    #: Whether a model is to rank.
    learnt: bool

    @property
    def number(self) -> int:
        """What tokens call it, from 0 to 2^64 - 1."""
        return hash(self) % (1 << 64)


@dataclass(slots=True, kw_only=True)
class Asked:
    """A question on its way to a page."""

    question: Question
    meant: Meant
    assigned: Assignments
    ranked: Ranked
    work: Work
    #: Whether the ranking was cached.
    cached: bool
    affinity: Affinity
    #: Places in the window in their order for this user, and of interleaved ones whose each is.
    order: Sequence[int]
    teams: Mapping[int, str]
