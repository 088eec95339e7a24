"""Which of what is cached is computed again before its time is over."""

from typing import Annotated

from pydantic import Field, model_validator

from inferd.config.section import Positive, Section

Share = Annotated[float, Field(gt=0, le=1)]


class Precompute(Section):
    """Refresh-ahead: the computed views of the hottest entities are kept from ever expiring."""

    enabled: bool = True
    top: Annotated[int, Field(ge=1)] = 1000
    """How many are refreshed: the most frequently read pairs of entity and view."""
    tracked: Annotated[int, Field(ge=1)] = 4096
    """How many are counted, for each view. A pair that has more than one read in so many is
    counted for certain; a few times `top` gives a clear order. 4096 take about 1 MiB."""
    lead_s: Positive = 10.0
    """How long before the end of an entry it may be refreshed; of views with a short
    `cache_ttl_s`, a fifth of that."""
    max_cpu_share: Share = 0.1
    """What it may take of the event loop's thread."""
    max_busy: Share = 0.8
    """Nothing is refreshed while the event loop's thread is busier than this."""
    interval_s: Positive = 1.0
    """How often it is looked up what is due."""
    half_life_s: Positive = 600.0
    """A read this long ago counts for half as much as one of now."""

    @model_validator(mode="after")
    def _counts_what_it_refreshes(self) -> "Precompute":
        if self.tracked < self.top:
            raise ValueError("tracked must be at least top")
        return self
