"""All sources of candidates, as they are configured."""

from typing import NamedTuple

from inferd.config.recommendation.sources import Sources as Settings
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.sources_demand import Popular, SameCategory, Trending
from inferd.services.recommendation.sources_history import GoesTogether
from inferd.services.recommendation.sources_new import Newcomers
from inferd.services.recommendation.vectors import NearUser


class Sources(NamedTuple):
    """All sources."""

    vectors: NearUser
    covisits: GoesTogether
    trending: Trending
    category: SameCategory
    new: Newcomers
    popular: Popular


def made(settings: Settings, catalogue: Catalogue, behaviour: Behaviour) -> Sources:
    """Return the sources. `vectors.run()` is for whoever owns tasks."""
    trending = Trending(settings.trending, behaviour)
    return Sources(
        NearUser(settings.vectors, catalogue),
        GoesTogether(settings.covisits, behaviour),
        trending,
        SameCategory(settings.category, trending.demand),
        Newcomers(settings.new, behaviour),
        Popular(settings.popular, behaviour),
    )


def quotas(settings: Settings) -> dict[str, int]:
    """Return how many candidates are wanted of each source, by its name."""
    return {name: getattr(settings, name).quota for name in Settings.model_fields}
