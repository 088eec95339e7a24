"""What people do in the shop: sessions, the lists they are shown, what they click, want and buy.

Whether an item is clicked is chance with a probability of two factors (the position-based model,
Craswell et al. 2008): that the place is looked at, which depends on nothing but the place, and
that the item is liked, which depends on the user's taste and thrift, and on the item. The shop
ranks by popularity, so what is popular gets more clicks than it deserves; one list in ten is in
random order.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from shop.catalogue import PRODUCTS, Items
from shop.clock import BEGIN, BY_HOUR, BY_WEEKDAY, DAY, HOUR, S, day_of
from shop.dice import Dice, Flags, Floats, Ints, log, logistic, product
from shop.geography import WEIGHTS
from shop.people import People, local
from shop.tables import taken
from shop.words import DEPARTMENTS

SHOWN: Final = 10
"""Items in a list."""
EXAMINED: Final = tuple(1 / (1 + 0.45 * place) for place in range(SHOWN))
"""How likely each place of a list is looked at."""
RANDOM_LISTS: Final = 0.1
ELSEWHERE: Final = 0.01
"""This share of the sessions seems to come from another city: a relay hides the place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """Visits."""

    start_us: Ints
    user: Ints
    device: Ints
    card: Ints
    #: Where it seems to come from.
    city: Ints
    north: Floats
    east: Floats
    logs_in: Flags
    is_relayed: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """Items that somebody was shown, because of a search or in a category."""

    time_us: Ints
    session: Ints
    #: Of the items: a place in `PRODUCTS`.
    product: Ints
    is_search: Flags
    is_random: Flags
    #: Which words a search has: see `events`.
    wording: Ints
    #: [lists, SHOWN]
    items: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicks:
    """Items that somebody looked at."""

    time_us: Ints
    #: A row of `Lists`.
    list: Ints
    position: Ints
    session: Ints
    item: Ints
    in_cart: Flags
    cart_us: Ints
    quantity: Ints
    #: At most one in a session.
    is_bought: Flags
    buy_us: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Browsing:
    """All that is done without paying."""

    sessions: Sessions
    lists: Lists
    clicks: Clicks


def browse(dice: Dice, people: People, items: Items, days: int) -> Browsing:
    """Let people browse."""
    sessions = _sessions(dice.of("sessions"), people, days)
    lists = _lists(dice.of("lists"), sessions, people, items)
    return Browsing(
        sessions=sessions,
        lists=lists,
        clicks=_clicks(dice.of("clicks"), lists, sessions, people, items),
    )


def relevance(people: People, items: Items, users: Ints, wanted: Ints) -> Floats:
    """Return how likely users are to like items once they look at them."""
    taste = product(people.taste[users], items.style[wanted])
    department = np.array([each for each, _ in PRODUCTS], dtype=np.int64)[items.product[wanted]]
    typical = np.array([each.price_minor for each in DEPARTMENTS], dtype=np.float64)[department]
    dear = log(items.price_minor[wanted] / (typical * people.spend[users]))
    popularity = items.popularity[wanted]
    return logistic(-2.5 + 1.1 * taste - people.thrift[users] * dear + 0.3 * popularity)


def _sessions(dice: Dice, people: People, days: int) -> Sessions:
    """Draw visits, at most two a day."""
    weekday = np.array(BY_WEEKDAY)[np.arange(days) % 7]
    chance = np.minimum(people.activity[None, :, None] * weekday[:, None, None], 0.8)
    chance = chance * np.array([1.0, 0.35])
    day, user, _ = np.nonzero(dice.uniform("visits", days, len(people), 2) < chance)
    count = len(day)
    hour = dice.chosen("hour", BY_HOUR, count) + dice.uniform("minute", count)
    start_us = BEGIN + day * DAY + (local(hour, people.home[user]) * HOUR).astype(np.int64)
    city = people.city(user, start_us)
    relayed = dice.chance("relayed", ELSEWHERE, count)
    everything = Sessions(
        start_us=start_us,
        user=user.astype(np.int64),
        device=people.device(user, start_us, dice.uniform("device", count)),
        card=people.card(user, dice.uniform("card", count)),
        city=np.where(relayed, dice.chosen("relay", WEIGHTS, count), city),
        north=dice.uniform("north", count),
        east=dice.uniform("east", count),
        logs_in=dice.chance("login", 0.6, count),
        is_relayed=relayed,
    )
    return taken(everything, people.is_there(user, start_us))


def _lists(dice: Dice, sessions: Sessions, people: People, items: Items) -> Lists:
    """Draw one to three lists for each visit, all of one department."""
    visits = len(sessions.user)
    department = _interests(dice, sessions, people)
    lists = 1 + dice.below("lists", 3, visits)
    session = np.repeat(np.arange(visits, dtype=np.int64), lists)
    number = np.arange(len(session)) - np.repeat(np.cumsum(lists) - lists, lists)
    count = len(session)
    time_us = sessions.start_us[session] + (10 + 100 * number) * S
    time_us = time_us + dice.below("later", 60 * S, count)
    offers = _of_department(department[session], dice.uniform("product", count))
    is_random = dice.chance("random", RANDOM_LISTS, count)
    return Lists(
        time_us=time_us,
        session=session,
        product=offers,
        is_search=dice.chance("search", 0.6, count),
        is_random=is_random,
        wording=dice.below("wording", 64, count),
        items=_ranked(dice.of("ranking"), offers, time_us, is_random, items),
    )


def _interests(dice: Dice, sessions: Sessions, people: People) -> Ints:
    """Draw a department for each visit; what people are interested in changes with the days."""
    trend = np.array([each.trend for each in DEPARTMENTS])
    day = day_of(sessions.start_us)
    weights = people.interest[sessions.user] * np.maximum(0.1, 1 + trend * day[:, None])
    sums = np.cumsum(weights, axis=1)
    draw = dice.uniform("department", len(day))[:, None] * sums[:, -1:]
    found: Ints = np.argmax(draw < sums, axis=1)
    return found


def _of_department(departments: Ints, draw: Floats) -> Ints:
    """Return a product of each department."""
    counts = np.array([len(each.products) for each in DEPARTMENTS], dtype=np.int64)
    firsts = np.cumsum(counts) - counts
    return firsts[departments] + np.floor(draw * counts[departments]).astype(np.int64)


def _ranked(dice: Dice, offers: Ints, time_us: Ints, is_random: Flags, items: Items) -> Ints:
    """Return what is shown in each list: popular items first, or any; only what has come out."""
    shown = np.zeros((len(offers), SHOWN), dtype=np.int64)
    for number in range(len(PRODUCTS)):
        lists = np.nonzero(offers == number)[0]
        candidates = np.nonzero(items.product == number)[0]
        key = dice.normal(f"noise {number}", len(lists), len(candidates))
        popular = items.popularity[candidates]
        key = key + np.where(is_random[lists, None], 0.0, 1.5 * popular[None, :])
        is_out = items.released[candidates][None, :] <= day_of(time_us[lists])[:, None]
        order = np.argsort(np.where(is_out, -key, np.inf), axis=1, kind="stable")[:, :SHOWN]
        shown[lists] = candidates[order]
    return shown


def _clicks(dice: Dice, lists: Lists, sessions: Sessions, people: People, items: Items) -> Clicks:
    """Draw what is clicked, put into the cart, and bought."""
    user = np.repeat(sessions.user[lists.session], SHOWN)
    liked = relevance(people, items, user, lists.items.reshape(-1)).reshape(-1, SHOWN)
    examined = dice.uniform("examined", len(liked), SHOWN) < np.array(EXAMINED)
    of, position = np.nonzero(examined & (dice.uniform("liked", *liked.shape) < liked))
    count = len(of)
    likes = liked[of, position]
    in_cart = dice.chance("cart", 0.35 + 0.5 * likes, count)
    wanted = in_cart & dice.chance("buy", 0.7, count)
    session = lists.session[of]
    first = np.unique(session[wanted], return_index=True)[1]
    is_bought = np.zeros(count, dtype=np.bool_)
    is_bought[np.nonzero(wanted)[0][first]] = True
    time_us = lists.time_us[of] + (4 + 4 * position) * S + dice.below("after", 3 * S, count)
    cart_us = time_us + 15 * S + dice.below("thinking", 30 * S, count)
    return Clicks(
        time_us=time_us,
        list=of.astype(np.int64),
        position=position.astype(np.int64),
        session=session,
        item=lists.items[of, position],
        in_cart=in_cart,
        cart_us=cart_us,
        quantity=1 + dice.chance("two", 0.12, count).astype(np.int64),
        is_bought=is_bought,
        buy_us=cart_us + 60 * S + dice.below("checkout", 120 * S, count),
    )
