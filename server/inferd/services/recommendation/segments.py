"""How often categories are clicked: by all, and in one place.

A place is a country, a kind of device or page, or a time of the day. Counts fade. What is known of
a category in one place is little, so it is drawn to what is known of it everywhere, and that to
what is known of all categories; with more impressions, the less. What several things about a place
say is multiplied, as if they were independent (naive Bayes).
"""

from collections import OrderedDict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from inferd.config.recommendation.cold_start import ColdStart as Settings
from inferd.services.recommendation.context import Context, part_of_day
from inferd.services.recommendation.vocabulary import Act

Floats = npt.NDArray[np.float64]
Segment = tuple[str, str]
"""What is told apart, and which: ("country", "DE")."""

EVERYWHERE: Segment = ("", "")
CLICKS, SHOWN = 0, 1
_PRIOR_CLICKS, _PRIOR_SHOWN = 1.0, 20.0
"""What is taken to have happened before anything did: one impression in twenty is clicked."""
_MOST_LIFT = 5.0
"""A place makes a category at most so many times better, or worse."""
_LIKELIEST = 0.95


class Counts:
    """Clicks and impressions by category, faded to a point in time."""

    def __init__(self) -> None:
        self.by_category = np.zeros((2, 0))
        self._at_us = 0

    def add(self, kind: int, category: int, at_us: int, half_life_us: float) -> None:
        """Count one; what comes late counts what it would by now."""
        if at_us > self._at_us:
            self.by_category *= 0.5 ** ((at_us - self._at_us) / half_life_us)
            self._at_us = at_us
        wider = category + 1 - self.by_category.shape[1]
        if wider > 0:
            self.by_category = np.pad(self.by_category, ((0, 0), (0, wider)))
        self.by_category[kind, category] += 0.5 ** ((self._at_us - at_us) / half_life_us)


class Segments:
    """How likely categories are to be clicked. Lives on the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._half_life_us = settings.half_life_s * 1e6
        #: Those of the last use last.
        self._counts: OrderedDict[Segment, Counts] = OrderedDict()

    def of(self, context: Context, at_us: int) -> tuple[Segment, ...]:
        """Return what is told apart about a context."""
        part = part_of_day(at_us, self._settings.parts_of_day)
        said = (
            ("country", context.country),
            ("device_type", context.device_type),
            ("page", context.page),
            ("part_of_day", str(part)),
        )
        return tuple(each for each in said if each[1])

    def record(self, category: int, act: Act, at_us: int, segments: Iterable[Segment]) -> None:
        """Count that an item of a category, by its code, was shown or clicked there."""
        kind = {Act.IMPRESSION: SHOWN, Act.CLICK: CLICKS}.get(act)
        if kind is None:
            return
        for segment in (EVERYWHERE, *segments):
            counts = self._counts.pop(segment, None) or Counts()
            self._counts[segment] = counts
            counts.add(kind, category, at_us, self._half_life_us)
        self._counts.move_to_end(EVERYWHERE)
        while len(self._counts) > self._settings.max_contexts + 1:
            self._counts.popitem(last=False)

    def rates(self, segments: Iterable[Segment], size: int) -> Floats:
        """Return how likely an item of each of so many categories is to be clicked, float64 [size].

        There is no 0 and no 1 among them.
        """
        clicks, shown = self._wide(EVERYWHERE, size)
        usual = (clicks.sum() + _PRIOR_CLICKS) / (max(shown.sum(), clicks.sum()) + _PRIOR_SHOWN)
        strength = self._settings.context_strength
        everywhere = _rate(clicks, shown, strength, np.full(size, usual))
        rates = everywhere.copy()
        for segment in segments:
            here = _rate(*self._wide(segment, size), strength, everywhere)
            rates *= np.clip(here / everywhere, 1.0 / _MOST_LIFT, _MOST_LIFT)
        return np.minimum(rates, _LIKELIEST)

    def _wide(self, segment: Segment, size: int) -> tuple[Floats, Floats]:
        counts = self._counts.get(segment)
        wide = np.zeros((2, size))
        if counts is not None:
            known = counts.by_category[:, :size]
            wide[:, : known.shape[1]] = known
        return wide[CLICKS], wide[SHOWN]


def _rate(clicks: Floats, shown: Floats, strength: float, prior: Floats) -> Floats:
    # There may be clicks on what nobody said was shown.
    return (clicks + strength * prior) / (np.maximum(shown, clicks) + strength)
