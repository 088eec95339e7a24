"""How good an order of hits really is: queries, and how much every item is worth for each.

An item's worth for a query is how likely somebody who asks it likes the item once they look at it
(`browsing.relevance`, which nobody is told): for everybody, the mean over users by how often they
are interested in such things; for one user, theirs. Of the item's colour or brand, if the query
says one, only the world's users do not care; a shop's do. So what is of another colour or brand
than was asked for is worth `ANOTHER` of it, and another product nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from shop.browsing import relevance
from shop.catalogue import PRODUCTS
from shop.clock import day_of
from shop.dice import Dice, Floats, Ints, product
from shop.events import query_of
from shop.searching import MISSPELT
from shop.words import COLOURS
from shop.world import World

ANOTHER: Final = 0.3
DEEP: Final = 10
"""Places that count."""
OF_EACH: Final = 3
"""Queries of each product with a colour, and with a brand, besides the one with neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A query, and what all items are worth for it."""

    query: str
    #: Float64 [items]: 0 for what does not fit, or is not out yet.
    worth: Floats
    #: A row of `Lists`, for whose user it is; -1: for everybody.
    list: int = -1


def judged(world: World, *, on_day: float, seed: int = 0) -> Iterator[Judged]:
    """Yield queries of all products, judged for everybody."""
    dice = Dice(seed, "judged")
    colours = 1 + 4 * dice.below("colour", len(COLOURS), len(PRODUCTS), OF_EACH)
    brands = 2 + 4 * dice.below("brand", 16, len(PRODUCTS), OF_EACH)
    wordings = np.concatenate([np.zeros((len(PRODUCTS), 1), np.int64), colours, brands], axis=1)
    for number in range(len(PRODUCTS)):
        everybody = _for_everybody(world, number, on_day)
        for wording in np.unique(wordings[number]).tolist():
            worth = everybody * _fits(world, wording)
            yield Judged(query=query_of(number, wording), worth=worth)


def searches(world: World, *, from_day: float, count: int, seed: int = 0) -> Iterator[Judged]:
    """Yield searches that users made from a day on, judged for the one who made each."""
    lists = world.browsing.lists
    day = day_of(lists.time_us)
    is_right = lists.wording % MISSPELT != MISSPELT - 1
    late = np.flatnonzero(lists.is_search & is_right & (day >= from_day))
    some = late[Dice(seed, "searches").some("some", min(count, len(late)), len(late))]
    for row in some.tolist():
        number, wording = int(lists.product[row]), int(lists.wording[row])
        user = int(world.browsing.sessions.user[lists.session[row]])
        items = _offered(world, number, float(day[row]))
        worth = np.zeros(len(world.items))
        worth[items] = relevance(world.people, world.items, np.full(len(items), user), items)
        worth *= _fits(world, wording)
        yield Judged(query=query_of(number, wording), worth=worth, list=row)


def _for_everybody(world: World, number: int, day: float) -> Floats:
    """Return what items are worth for those who look for a product, [items]."""
    people, items = world.people, _offered(world, number, day)
    interest = people.interest[:, PRODUCTS[number][0]] * people.activity
    users = np.repeat(np.arange(len(people)), len(items))
    liked = relevance(people, world.items, users, np.tile(items, len(people)))
    worth = np.zeros(len(world.items))
    worth[items] = product(liked.reshape(len(people), -1).T, interest) / np.sum(interest)
    return worth


def _offered(world: World, number: int, day: float) -> Ints:
    """Return the items of a product that are out."""
    items = world.items
    return np.flatnonzero((items.product == number) & (items.released <= day))


def _fits(world: World, wording: int) -> Floats:
    """Return how much of its worth an item has for a wording of `events.query_of`, [items]."""
    which, items = wording // 4, world.items
    match wording % 4:
        case 1:
            return np.where(items.colour == which % len(COLOURS), 1.0, ANOTHER)
        case 2:
            return np.where(items.brand == which, 1.0, ANOTHER)
        case _:
            return np.ones(len(items))


def ndcg(worth: Floats, order: Sequence[int] | Ints) -> float:
    """Return the discounted gain of an order of items over the best one's, of `DEEP` places.

    The gain is what an item is worth (Järvelin and Kekäläinen 2002). 0 where nothing has any.
    """
    gained = worth[np.asarray(order[:DEEP], dtype=np.int64)]
    best = np.sort(worth)[::-1][:DEEP]
    discount = 1 / np.log2(np.arange(DEEP) + 2)
    ideal = float(best @ discount[: len(best)])
    return float(gained @ discount[: len(gained)]) / ideal if ideal else 0.0
