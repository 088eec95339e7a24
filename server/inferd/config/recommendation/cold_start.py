"""What is shown to people of whom little is known, and how new items get in."""

from typing import Annotated

from pydantic import Field

from inferd.config.resilience import Count
from inferd.config.section import Positive, Section


class ColdStart(Section):
    """New users, and new items."""

    known_after: Annotated[int, Field(ge=0)] = 5
    """Somebody is new until so many things are known that they looked at, clicked or bought. 0:
    nobody is."""
    window_s: Positive = 1800.0
    """Chance decides anew so often; in between somebody new who did nothing sees the same list."""
    prior_strength: Annotated[float, Field(gt=0, le=1e6)] = 12.0
    """What others did counts as much as so many impressions of the user's own: the less, the sooner
    a list follows its user, and the more it tries."""
    context_strength: Annotated[float, Field(gt=0, le=1e6)] = 200.0
    """So many impressions in a country, on a kind of device or page, or at a time of the day have
    half a say in what is liked there; the other half is what is liked by all."""
    half_life_s: Positive = 7 * 86_400.0
    """What others did counts half after this time."""
    parts_of_day: Annotated[int, Field(ge=1, le=24)] = 4
    max_contexts: Count = 500
    """Countries, kinds of devices and so on that are told apart, those of the last use."""
    max_answers: Count = 10_000
    """Answers of which it is remembered where they were shown, to know that of clicks. About 300
    bytes each."""
    explore_share: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """This share of the places is for new items, on average. Every place is as likely to be."""
