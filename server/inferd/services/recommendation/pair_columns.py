"""The names of pair features, and what makes the column of each (`features` says what they are)."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from inferd.features.suggestions import nearest
from inferd.services.recommendation.behaviour import HALF_LIVES
from inferd.services.recommendation.columns import UNKNOWN_STOCK
from inferd.services.recommendation.context import hour, weekday
from inferd.services.recommendation.filters import AnyOf, Filter
from inferd.services.recommendation.pairs import Column, Pairs
from inferd.services.recommendation.vocabulary import Act

Make = Callable[[Pairs], Column]

ACTS: Final = {
    "impressions": Act.IMPRESSION,
    "views": Act.VIEW,
    "clicks": Act.CLICK,
    "carts": Act.CART,
    "purchases": Act.PURCHASE,
    "dislikes": Act.DISLIKE,
}
DAY_US: Final = 86_400_000_000


def _age_days(pairs: Pairs) -> Column:
    released = pairs.table.released_us[pairs.rows]
    return np.where(released > 0, (pairs.now_us - released) / DAY_US, np.nan)


def _stock(pairs: Pairs) -> Column:
    stock = pairs.table.stock[pairs.rows]
    return np.where(stock == UNKNOWN_STOCK, np.nan, stock)


def _page_category(pairs: Pairs) -> Column:
    category = pairs.context.category
    return pairs.has(Filter("category", AnyOf((category,)))) if category else 0.0


def _counted(act: Act, window: str) -> Make:
    return lambda it: it.counts(window, act)


def _rated(window: str) -> Make:
    return lambda it: it.ctr(window)


def _done(act: Act) -> Make:
    return lambda it: it.acts[act]


def _done_with(act: Act) -> Make:
    return lambda it: it.times_done(act)


def _affinity(field: str) -> Make:
    return lambda it: it.affinity(field)


def _angle(wave: Callable[[float], float]) -> Make:
    return lambda it: wave(2 * math.pi * hour(it.now_us) / 24)


COLUMNS: Final[Mapping[str, Make]] = {
    "user.known": lambda it: bool(it.profile.history),
    "history.length": lambda it: len(it.profile.history),
    **{f"history.{name}": _done(act) for name, act in ACTS.items()},
    "item.price": lambda it: it.table.price_minor[it.rows],
    "item.stock": _stock,
    "item.age_days": _age_days,
    "item.category_price": lambda it: it.log_prices - it.log_usual,
    **{
        f"item.{name}_{window}": _counted(act, window)
        for name, act in ACTS.items()
        for window in HALF_LIVES
    },
    **{f"item.ctr_{window}": _rated(window) for window in HALF_LIVES},
    "pair.vector_dot": Pairs.vector_dot,
    "pair.history_dot": Pairs.history_dot,
    "pair.history_nearest": Pairs.history_nearest,
    **{f"pair.{field}_affinity": _affinity(field) for field in ("category", "brand", "merchant")},
    "pair.price_ratio": lambda it: it.price_ratio(in_category=False),
    "pair.spend_ratio": lambda it: it.price_ratio(in_category=True),
    "pair.covisits": Pairs.covisits,
    **{f"pair.{name}": _done_with(act) for name, act in ACTS.items()},
    "pair.page_dot": Pairs.page_dot,
    "pair.page_category": _page_category,
    "context.hour": lambda it: hour(it.now_us),
    "context.weekday": lambda it: weekday(it.now_us),
    "context.hour_sin": _angle(math.sin),
    "context.hour_cos": _angle(math.cos),
    "context.session": lambda it: len(it.context.recent_items),
}
"""All that have a fixed name."""

_LOG = re.compile(r"log\((.+)\)")
_TEXT = re.compile(r"(item|user|context)\.([\w.-]+)=(.+)")
_ITEM_TEXTS = re.compile(r"category|brand|merchant|attributes\..+")
_CONTEXT_TEXTS = ("page", "device_type", "country", "category")


def column(name: str) -> Make:
    """Return what makes a column. Raises `ValueError` for a name that is none."""
    if made := COLUMNS.get(name):
        return made
    if logged := _LOG.fullmatch(name):
        return _logged(column(logged[1]))
    if text := _TEXT.fullmatch(name):
        return _text(name, *text.groups())
    kind, _, rest = name.partition(".")
    if kind == "user" and rest:
        return lambda it: it.value(rest)
    if kind == "item" and rest.startswith("attributes."):
        return lambda it: it.attribute(rest.removeprefix("attributes."))
    raise ValueError(f"{name} is no feature: {nearest(name, COLUMNS)}")


def _logged(make: Make) -> Make:
    def logged(pairs: Pairs) -> Column:
        value = np.asarray(make(pairs), np.float64)
        return np.sign(value) * np.log1p(np.abs(value))

    return logged


def _text(name: str, kind: str, field: str, text: str) -> Make:
    match kind:
        case "user":
            return lambda it: it.profile.values.get(field) == text
        case "item" if _ITEM_TEXTS.fullmatch(field):
            condition = Filter(field, AnyOf((text,)))
            return lambda it: it.has(condition)
        case "context" if field in _CONTEXT_TEXTS:
            return lambda it: getattr(it.context, field) == text
    raise ValueError(f"{name} is no feature: {kind} has no text {field}")
