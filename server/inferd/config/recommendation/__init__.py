"""Recommendations: candidates, rankers, rules, and what is known of users."""

from typing import Annotated

from pydantic import Field, model_validator

from inferd.config.journal import Count
from inferd.config.recommendation.cache import AnswerCache
from inferd.config.recommendation.catalogue import Behaviour, Catalogue
from inferd.config.recommendation.cold_start import ColdStart
from inferd.config.recommendation.interactions import Interactions
from inferd.config.recommendation.profile import Profile
from inferd.config.recommendation.rankers import Ranker
from inferd.config.recommendation.ranking import Ranking
from inferd.config.recommendation.sources import Sources
from inferd.config.recommendation.users import UserVectors
from inferd.config.section import Positive, Section

STAGES = frozenset({"profile", "user_vector", "candidates", "scoring", "ranking"})


class Recommendation(Section):
    """Recommendations, and `inferd.v1.RecommendationService`."""

    enabled: bool = False
    """Needs `features.definitions`, with what users do among them; docs/recommendation.md says
    how."""
    deadline_ms: Positive = 100.0
    """Of a call whose caller named none."""
    max_count: Annotated[int, Field(ge=1, le=1000)] = 100
    """Items of one list."""
    max_interactions: Count = 1000
    """In one request."""
    max_items: Count = 1000
    """Items in one request that adds, deletes or reads them."""
    catalogue: Catalogue = Catalogue()
    behaviour: Behaviour = Behaviour()
    interactions: Interactions = Interactions()
    profile: Profile = Profile()
    user_vectors: UserVectors | None = None
    """None: nobody has a vector, and the source `vectors` finds nothing."""
    sources: Sources = Sources()
    rankers: tuple[Ranker, ...] = ()
    """They are asked at the same time. Without any, the places at which sources find items are
    their scores."""
    ranking: Ranking = Ranking()
    cold_start: ColdStart = ColdStart()
    cache: AnswerCache = AnswerCache()

    @model_validator(mode="after")
    def _told_apart(self) -> "Recommendation":
        names = [each.name for each in self.rankers]
        if len(set(names)) < len(names) or STAGES & {*names}:
            raise ValueError(
                f"rankers: names must differ, and be none of {', '.join(sorted(STAGES))};"
                f" not {', '.join(names)}"
            )
        return self
