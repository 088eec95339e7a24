"""A list on its way: what is to be made, and what is known of it so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from inferd.services.recommendation.columns import Table
from inferd.services.recommendation.ensemble import Blend
from inferd.services.recommendation.gathering import Gathered
from inferd.services.recommendation.items import Vectors
from inferd.services.recommendation.making import NOTHING_LISTED, Listed, Made
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.ranking import Ranking
from inferd.services.recommendation.tuning import UNTUNED, Tuning
from inferd.services.recommendation.vocabulary import Seen
from inferd.services.recommendation.wishes import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A list that is to be made."""

    wish: Wish
    profile: Profile
    #: What there is to be recommended, and which of its changes that is.
    table: Table
    epoch: int
    tuning: Tuning = UNTUNED
    #: Only these sources; empty: all.
    only: Sequence[str] = ()
    #: What is told of an answer that has all it needs.
    made: Made = Made.COMPUTED
    now_us: int
    random: Random

    @property
    def history(self) -> Sequence[Seen]:
        """What the user did, newest first, with this session's items."""
        return self.profile.history


@dataclass(slots=True)
class Work:
    """What is known of a list while it is made."""

    task: Task
    vector: Vectors | None = None
    gathered: Gathered | None = None
    blend: Blend | None = None
    #: Of rankers, by name: who is asked.
    versions: dict[str, str] = field(default_factory=dict)
    #: What rankers were told, by what they have in common.
    told: dict[object, Vectors] = field(default_factory=dict)
    ranking: Ranking | None = None
    #: Seconds by stage, in their order.
    timings: dict[str, float] = field(default_factory=dict)
    listed: Listed = NOTHING_LISTED
