"""What rankers are told of a user and an item: one row of numbers for each candidate.

Which numbers, a ranker's configuration says by their names; training asks for them here, too, so
that a model is told by the server what it was told when it learned. What is not known is `missing`.

    user.<feature>          of the profile, if it is a number
    user.known              1 if there is any history, else 0
    history.<act>s          how often, in the history: `history.clicks`; `history.length` of all
    item.price              in minor units; `item.stock`; `item.age_days` since it was released
    item.category_price     ln of the price over the usual one of its category
    item.<act>s_<window>    decayed count of what everybody did: `item.views_1d`; 1h, 1d or 7d
    item.ctr_<window>       decayed clicks per impression, drawn to the usual rate
    item.attributes.<name>  if it is a number or a flag
    pair.vector_dot         the user's vector (of the user model) times the item's
    pair.history_dot        the same, of the mean of the history's items; `pair.history_nearest` of
                            that of the newest which is nearest
    pair.<field>_affinity   the share of the history with the same category, brand or merchant
    pair.price_ratio        ln of the price over the usual one of the history; `pair.spend_ratio`
                            the same of prices over those usual in their categories
    pair.covisits           how much of what was seen with the history's items is this one
    pair.<act>s             how often the user did that with this very item
    pair.page_dot           the vector of the page's item times the item's
    pair.page_category      1 if the item is of the page's category
    context.hour, context.weekday, context.hour_sin, context.hour_cos     in UTC; Monday is 0
    context.session         items of the session

Texts are compared: `context.page=home`, `item.category=shoes`, `user.segment=gold` are 1, or 0.
`log(item.price)` is ln(1 + x), and for what is below zero -ln(1 - x).

The history counts by what was done and how long ago in acts (`WEIGHTS`, `FADING`).
"""

import numpy as np
import numpy.typing as npt

from inferd.services.recommendation.behaviour import Behaviour
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.pair_columns import column
from inferd.services.recommendation.pairs import Pairs
from inferd.services.recommendation.prices import CategoryPrices
from inferd.services.recommendation.profile import Profile

Floats = npt.NDArray[np.float32]


class PairFeatures:
    """Makes the rows of one ranker. Lives on the event loop."""

    def __init__(self, names: tuple[str, ...], *, missing: float = 0.0) -> None:
        """Tell these, in this order. Raises `ValueError` for a name that is none."""
        self.names = names
        self._missing = np.float32(missing)
        self._columns = [column(name) for name in names]
        self._prices = CategoryPrices()

    def rows(
        self,
        profile: Profile,
        table: Table,
        rows: Ints,
        behaviour: Behaviour,
        context: Context,
        *,
        now_us: int,
        user_vector: Floats | None = None,
    ) -> Floats:
        """Return what is told of a user and of items, float32 [k, names].

        `rows` are int64 [k], of the table. `user_vector` is float32 [d] and of length 1; None: not
        known.
        """
        pairs = Pairs(
            profile=profile,
            table=table,
            rows=rows,
            behaviour=behaviour,
            context=context,
            now_us=now_us,
            user_vector=user_vector,
            prices=self._prices,
        )
        told = np.empty((len(rows), len(self._columns)), np.float32)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for place, make in enumerate(self._columns):
                told[:, place] = make(pairs)
        told[~np.isfinite(told)] = self._missing
        return told
