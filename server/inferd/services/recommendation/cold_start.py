"""Lists for people of whom little is known, and places for items of which little is known.

What a new user likes is found out by showing it: each category has a probability of being clicked,
of which more or less is known, as a Beta distribution. It begins with what others did in the same
country, on the same kind of device and page, at the same time of the day (`segments`), and moves
with what this user does. For each list the probability is drawn from it (Thompson sampling,
Thompson 1933; Chapelle and Li 2011), so what may turn out to be liked is tried as often as it is
likely to be the best. Within a category what is popular comes first.

Chance decides once in a window for each user, and others' clicks count from the next window on. So
who loads a page again sees the same list, and who clicks something sees another one. Impressions do
not count against a user's categories here: ranking pushes down what was shown, item by item.
"""

from hashlib import blake2b
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt

from inferd.cache.local import Local
from inferd.config.recommendation.cold_start import ColdStart as Settings
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.profile import Profile
from inferd.services.recommendation.segments import Segment, Segments
from inferd.services.recommendation.vocabulary import Act

Floats = npt.NDArray[np.float64]

LIKED: Final = {Act.VIEW: 0.5, Act.CLICK: 1.0, Act.CART: 2.0, Act.PURCHASE: 3.0}
"""As how many clicks in a category something counts."""
DISLIKED: Final = 5.0
"""As how many impressions that were not clicked a dislike counts."""
ANSWER_S: Final = 3600.0
"""How long it is remembered where an answer was shown."""
DRAWN: Final = 64
"""Of more categories the others are as likely as they seem: each draw takes 10 us."""
_MEMO: Final = 1000


class ColdStart:
    """Knows what to show to people who are new. Lives on the event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._segments = Segments(settings)
        self._answers: Local[tuple[Segment, ...]] = Local(
            max_entries=settings.max_answers, policy="fifo"
        )
        #: Rates as they were in the window when somebody first asked.
        self._rates: dict[tuple[Segment, ...], Floats] = {}
        self._window = -1

    def is_new(self, profile: Profile) -> bool:
        """Return whether too little is known of somebody for the ways that there are else."""
        known = sum(each.type in LIKED for each in profile.history)
        return known < self.settings.known_after

    def answered(self, request_id: str, context: Context, now_us: int) -> None:
        """Remember where an answer was shown: interactions only say whose they are."""
        segments = self._segments.of(context, now_us)
        self._answers.put(request_id, segments, now=now_us / 1e6, ttl_s=ANSWER_S)

    def record(self, category: int, act: Act, at_us: int, request_id: str = "") -> None:
        """Take note of what somebody did with an item of a category, by its code (0: none)."""
        if category:
            segments = self._answers.peek(request_id, at_us / 1e6) if request_id else None
            there = self._segments.of(Context(), at_us) if segments is None else segments
            self._segments.record(category, act, at_us, there)

    def scores(
        self,
        table: Table,
        rows: Ints,
        popularity: npt.ArrayLike,
        profile: Profile,
        context: Context,
        *,
        now_us: int,
    ) -> Floats:
        """Return how much items are worth to somebody new, float64 [k], 0 to 1.

        `rows` are int64 [k], `popularity` is [k] and not below zero.
        """
        unique, places = np.unique(table.category[rows], return_inverse=True)
        codes: Ints = unique.astype(np.int64)
        drawn = self._drawn(table, codes, profile, context, now_us)
        popular = 1.0 + np.asarray(popularity, np.float64)
        most = np.ones(len(codes))
        np.maximum.at(most, places, popular)
        return drawn[places] * popular / most[places]

    def _drawn(
        self, table: Table, codes: Ints, profile: Profile, context: Context, now_us: int
    ) -> Floats:
        """Return a probability for each of these categories, float64 [categories]."""
        liked, disliked = _tastes(table, profile)
        strength = self.settings.prior_strength
        rates = self._rates_of(context, now_us, len(table.categories))[codes]
        yes = strength * rates + [liked.get(code, 0.0) for code in codes.tolist()]
        no = strength * (1.0 - rates) + [disliked.get(code, 0.0) for code in codes.tolist()]
        drawn: Floats = yes / (yes + no)
        names = table.categories.texts
        for place in np.argsort(-drawn, kind="stable")[:DRAWN].tolist():
            # Dice of its own, or each draw would depend on which other categories there are.
            purpose = f"category {names[codes[place]]}"
            dice = chance(profile.user_id, now_us, self.settings.window_s, purpose)
            drawn[place] = dice.betavariate(yes[place], no[place])
        return drawn

    def _rates_of(self, context: Context, now_us: int, size: int) -> Floats:
        """Return what others think of categories, as far as it was known in this window."""
        window = int(now_us // (self.settings.window_s * 1e6))
        if window != self._window or len(self._rates) >= _MEMO:
            self._window = window
            self._rates.clear()
        segments = self._segments.of(context, now_us)
        rates = self._rates.get(segments)
        if rates is None or len(rates) < size:
            rates = self._rates[segments] = self._segments.rates(segments, size)
        return rates


def chance(user_id: str, now_us: int, window_s: float, purpose: str) -> Random:
    """Return dice that fall the same for a user and a purpose as long as the window lasts."""
    window = int(now_us // (window_s * 1e6))
    said = f"{purpose}\0{window}\0{user_id}".encode()
    return Random(int.from_bytes(blake2b(said, digest_size=8).digest(), "big"))


def new_places(count: int, share: float, dice: Random) -> frozenset[int]:
    """Return which places of a list are for new items: this share on average, each as likely."""
    whole, rest = divmod(count * share, 1.0)
    chosen = int(whole) + (dice.random() < rest)
    return frozenset(dice.sample(range(count), min(chosen, count)))


def _tastes(table: Table, profile: Profile) -> tuple[dict[int, float], dict[int, float]]:
    """Return what a user likes and does not, by category."""
    liked, disliked = dict[int, float](), dict[int, float]()
    for item, act, _ in profile.history:
        row = table.row(item)
        if row is None:
            continue
        category = int(table.category[row])
        if act is Act.DISLIKE:
            disliked[category] = disliked.get(category, 0.0) + DISLIKED
        elif act in LIKED:
            liked[category] = liked.get(category, 0.0) + LIKED[act]
    return liked, disliked
