"""All sources of candidates, as they are configured."""

from collections.abc import Sequence
from typing import NamedTuple

from inferd.config.recommendation.sources import Sources as Settings
from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.sources import Source
from inferd.services.recommendation.sources_demand import Popular, SameCategory, Trending
from inferd.services.recommendation.sources_history import GoesTogether
from inferd.services.recommendation.sources_new import Newcomers
from inferd.services.recommendation.vectors import NearUser


class Declared(NamedTuple):
    """A source, and how many candidates are wanted of it."""

    source: Source
    quota: int


class Sources(NamedTuple):
    """All sources. Those without a quota are there, too: other calls than the usual ask them."""

    vectors: NearUser
    covisits: GoesTogether
    trending: Trending
    category: SameCategory
    new: Newcomers
    popular: Popular
    #: Those with a quota.
    usual: Sequence[Declared]


def made(settings: Settings, catalogue: Catalogue, behaviour: Behaviour) -> Sources:
    """Return the sources. `vectors.run()` is for whoever owns tasks."""
    trending = Trending(settings.trending, behaviour)
    every = (
        NearUser(settings.vectors, catalogue),
        GoesTogether(settings.covisits, behaviour),
        trending,
        SameCategory(settings.category, trending.demand),
        Newcomers(settings.new, behaviour),
        Popular(settings.popular, behaviour),
    )
    declared = (Declared(source, getattr(settings, source.name).quota) for source in every)
    return Sources(*every, [each for each in declared if each.quota])
