"""What there is to learn from searches: what was found, what was looked at, and what came of it.

Who sees the top of a list clicks there. So what is learnt from is what was looked at only: what was
clicked, and of the rest as much as was probably looked at there, given its place and how often it
is clicked (the position-based model; lists in random order tell how likely places are looked at).

Whoever visits a category is taken to have searched for what it is called. Clicks say nothing of
what is never shown. So of each search some documents are told as not wanted that have fewer of its
words than others.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from inferd.config.search.behaviour import SearchBehaviour as BehaviourSettings
from inferd.config.search.index import SearchIndex
from inferd.services.search.features import SearchFeatures
from inferd.services.search.text_query import Retrieved
from shop.clock import day_of
from shop.dice import Flags, Ints
from shop.graphs import Rows
from shop.searching import (
    FIELDS,
    MISSPELT,
    Asked,
    Found,
    Past,
    documents,
    indexed,
    items_of,
)
from shop.world import World

WARM_UP_DAYS: Final = 7
"""Nothing is learnt from the first days: little is known of anything."""
LEARNT: Final = 0.75
"""What is before this share of the days is learnt from."""
UNFIT: Final = 4
"""So many documents with fewer words, at most, are told of each search."""

NAMES: Final = (
    *("best(text.score)", "match.any", "match.title", "match.category", "match.brand"),
    *("match.description", "phrase.title", "order.title", "cover.title", "query.words"),
    *("usual(field.price_minor)", "field.popularity"),
    *("document.ctr_7d", "document.ctr_30d", "log(document.looks_30d)"),
    *("log(document.clicks_7d)", "log(document.carts_30d)", "log(document.purchases_30d)"),
    *("pair.share", "log(pair.clicks)"),
)
"""What the model is told, in this order. In other worlds, the price itself, the stock, the age and
what happened within a day made it no better."""
_CTR: Final = NAMES.index("document.ctr_30d")
_MATCH: Final = NAMES.index("match.any")


@dataclass(frozen=True, slots=True)
class Lesson:
    """Hits that were looked at, and what came of them. Those of one search follow each other."""

    rows: Rows
    #: 0: nothing, 1: it was clicked, 2: put into the cart, 3: bought.
    labels: Ints
    #: How many each search has.
    groups: Ints


def lesson(world: World, places: Sequence[float], *, until_day: float) -> Lesson:
    """Return what there is to learn until a day; `places`: how likely each is looked at."""
    told = [*_told(world, np.array(places), until_day)]
    return Lesson(
        np.concatenate([rows for rows, _ in told]),
        np.concatenate([labels for _, labels in told]),
        np.array([len(labels) for _, labels in told], np.int64),
    )


def _told(world: World, places: Rows, until_day: float) -> Iterator[tuple[Rows, Ints]]:
    """Yield of each search what was looked at, as the server would have told it, and its labels."""
    lists, outcomes = world.browsing.lists, _outcomes(world)
    day = day_of(lists.time_us)
    is_right = lists.wording % MISSPELT != MISSPELT - 1
    wanted = is_right & (day >= WARM_UP_DAYS) & (day < until_day)
    past = Past(world, BehaviourSettings(examined=tuple(places.tolist())))
    found = Found(indexed(documents(world), SearchIndex(fields=FIELDS)))
    features = SearchFeatures(NAMES, remembered=len(world.items) + 1)
    draws = np.random.default_rng(0)
    for moment in past.moments(wanted):
        asked = Asked.of(moment.query, required=False)
        hits = found.at(asked, moment.time_us)
        rows = features.rows(asked, hits, past.behaviour, moment.time_us)
        at, place = _where(hits, lists.items[moment.list])
        labels = outcomes[moment.list][place]
        looked = _looked_at(rows[at, _CTR], labels, places[place], draws)
        unfit = _unfit(rows, at, draws)
        told = np.concatenate([labels[looked], np.zeros(len(unfit), np.int64)])
        if told.any():
            yield rows[np.concatenate([at[looked], unfit])], told


def _outcomes(world: World) -> Ints:
    """Return what came of everything that was shown: [lists, places]."""
    clicks = world.browsing.clicks
    outcomes = np.zeros(world.browsing.lists.items.shape, np.int64)
    label = 1 + clicks.in_cart.astype(np.int64) + clicks.is_bought.astype(np.int64)
    outcomes[clicks.list, clicks.position] = label
    return outcomes


def _where(hits: Retrieved, shown: Ints) -> tuple[Ints, Ints]:
    """Return where among the hits items are that were shown, and at which places these were."""
    both = items_of(hits)[:, None] == shown[None, :]
    at, place = np.nonzero(both)
    return at, place


def _looked_at(ctr: Rows, labels: Ints, places: Rows, draws: np.random.Generator) -> Flags:
    """Draw what was looked at: what was clicked was, other things as likely as that is."""
    liked = np.clip(ctr, 0.0, 0.9)
    likely = places * (1 - liked) / (1 - places * liked)
    looked: Flags = (labels > 0) | (draws.random(len(labels)) < likely)
    return looked


def _unfit(rows: Rows, shown: Ints, draws: np.random.Generator) -> Ints:
    """Draw hits with fewer words of the query than others, that were not shown."""
    match = rows[:, _MATCH]
    less = np.setdiff1d(np.flatnonzero(match < match.max(initial=0.0)), shown)
    return draws.permutation(less)[:UNFIT]
