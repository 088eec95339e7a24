"""The shop's search as it was at any time: its documents, what is found, and what is known of it.

The index, the features and the behaviour are those that serve. What happened is told in its order,
so whoever asks at a moment learns what the server would have known just before.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import tantivy

from inferd.config.search.behaviour import SearchBehaviour as BehaviourSettings
from inferd.config.search.index import IndexField, SearchIndex
from inferd.config.search.query import SearchQuery
from inferd.services.search import features
from inferd.services.search.behaviour import Act, SearchBehaviour
from inferd.services.search.documents import Documents, NewDocument
from inferd.services.search.index_layout import Layout
from inferd.services.search.query.understanding import Rules, lexicon_of, understand
from inferd.services.search.query.understood import Understood
from inferd.services.search.schema import IndexSchema
from inferd.services.search.searching import Snapshot
from inferd.services.search.text_query import Alternative, Retrieved, TextQuery, Values, Word
from inferd.services.search.words import words_of
from shop.catalogue import PRODUCTS, item_name, merchant_name, product_name
from shop.clock import BEGIN, DAY, day_of
from shop.dice import Flags, Ints
from shop.events import query_of
from shop.words import BRANDS, COLOURS, DEPARTMENTS
from shop.world import World

FIELDS: Final = {
    "title": IndexField(type="text", boost=3.0),
    "description": IndexField(type="text"),
    "category": IndexField(type="keyword", facet=True, suggest=True),
    "department": IndexField(type="keyword", facet=True),
    "brand": IndexField(type="keyword", facet=True, suggest=True),
    "colour": IndexField(type="keyword", facet=True),
    "merchant": IndexField(type="keyword", facet=True),
    "price_minor": IndexField(type="number", sortable=True),
    "stock": IndexField(type="number", sortable=True),
    "released_us": IndexField(type="number", sortable=True),
    "popularity": IndexField(type="number", sortable=True),
}
"""What the shop's documents have."""

WINDOW: Final = 100
"""Hits that are ranked."""
MISSPELT: Final = 16
"""One wording in so many is misspelt: the last of them."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A query whose words are taken as they are."""

    text: str
    words: tuple[Word, ...]

    @classmethod
    def of(cls, query: str, *, required: bool = True) -> "Asked":
        """Return what is asked by a text. Hits have all of its words, or any."""
        words = words_of(query)
        made = (Word((Alternative(each),), required=required) for each in words)
        return cls(" ".join(words), tuple(made))


def documents(world: World) -> Iterator[tuple[str, Values]]:
    """Yield what search is told of every item: its id, and its fields."""
    items = world.items
    for item in range(len(items)):
        product = int(items.product[item])
        yield (
            item_name(item),
            {
                "title": items.title(item),
                "description": items.description(item),
                "category": product_name(product),
                "department": DEPARTMENTS[PRODUCTS[product][0]].name,
                "brand": BRANDS[items.brand[item]],
                "colour": COLOURS[items.colour[item]],
                "merchant": merchant_name(int(items.merchant[item])),
                "price_minor": float(items.price_minor[item]),
                "stock": float(items.stock[item]),
                "released_us": float(BEGIN + int(items.released[item]) * DAY),
                "popularity": round(float(items.popularity[item]), 6),
            },
        )


def indexed(given: Iterable[tuple[str, Values]], settings: SearchIndex) -> Snapshot:
    """Return an index of documents, in memory. Raises `ValueError` for a wrong one."""
    schema = IndexSchema(settings.fields)
    checked, layout = Documents(schema, settings), Layout(schema)
    index = tantivy.Index(layout.fields)
    writer = index.writer(settings.writer_bytes, 1)
    for number, (id, fields) in enumerate(given):
        document = checked.checked(id, fields)
        if not isinstance(document, NewDocument):
            raise ValueError(f"{id}: {document}")  # noqa: TRY004 - the value is wrong
        writer.add_document(layout.written(number, document))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    return Snapshot(0, index.searcher(), layout, settings.phrase_boost)


class Found:
    """What queries find in an index, by the words alone. What was found once is remembered."""

    def __init__(self, index: Snapshot) -> None:
        self._index = index
        self._known: dict[tuple[Word, ...], Retrieved] = {}

    def at(self, asked: features.Asked, time_us: int) -> Retrieved:
        """Return the first hits of those that were out by then."""
        words = tuple(asked.words)
        found = self._known.get(words)
        if found is None:
            query = TextQuery(words, window=2 * WINDOW)
            found = self._known[words] = self._index.search(query, {}, lambda: 0.0)
        return chosen(found, np.flatnonzero(found.columns["released_us"] <= time_us)[:WINDOW])


class Understands:
    """What queries ask for, by the words that documents have."""

    def __init__(self, given: Iterable[tuple[str, Values]], schema: IndexSchema) -> None:
        settings, layout = SearchQuery(), Layout(schema)
        words = Counter[str]()
        for _, fields in given:
            words.update(set(layout.words_in(fields)))
        self._lexicon = lexicon_of(settings, words)
        self._rules = Rules.of(settings)

    def __call__(self, text: str, *, verbatim: bool = False) -> Understood:
        """Return what a query asks for; `verbatim`: as it is written."""
        return understand(text, self._lexicon, self._rules, verbatim=verbatim)


def chosen(found: Retrieved, places: Ints) -> Retrieved:
    """Return some of the hits."""
    rows = places.tolist()
    return Retrieved(
        ids=tuple(found.ids[row] for row in rows),
        text_scores=found.text_scores[places],
        documents=tuple(found.documents[row] for row in rows),
        columns={name: values[places] for name, values in found.columns.items()},
        total=len(rows),
        epoch=found.epoch,
    )


def items_of(found: Retrieved) -> Ints:
    """Return which items hits are."""
    return np.array([int(id[1:]) for id in found.ids], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Moment:
    """Somebody is about to be shown a list."""

    #: A row of `Lists`.
    list: int
    time_us: int
    #: What is searched for; or what a category is called that is visited.
    query: str


class Past:
    """What happened, and what everybody's behaviour is by then."""

    def __init__(
        self,
        world: World,
        settings: BehaviourSettings,
        *,
        clicked: Callable[[int, int], None] = lambda _user, _item: None,
    ) -> None:
        """Begin with the first day. `clicked` is told a user and an item."""
        self._clicked = clicked
        self.behaviour = SearchBehaviour(settings)
        self._world = world
        lists = world.browsing.lists
        self.queries = [
            query_of(product, wording) if is_search else product_name(product)
            for product, wording, is_search in zip(
                lists.product.tolist(),
                lists.wording.tolist(),
                lists.is_search.tolist(),
                strict=True,
            )
        ]

    def moments(self, wanted: Flags) -> Iterator[Moment]:
        """Yield the lists that are wanted when it is their time; then what comes of them happens.

        Clicks count for what was meant where a query is misspelt.
        """
        browsing = self._world.browsing
        lists, clicks, sessions = browsing.lists, browsing.clicks, browsing.sessions
        shown = [[item_name(item) for item in row] for row in lists.items.tolist()]
        meant = [self._meant(row) for row in range(len(shown))]
        items, users = clicks.item.tolist(), sessions.user[clicks.session].tolist()
        names = [item_name(item) for item in items]
        of, places = clicks.list.tolist(), clicks.position.tolist()
        for kind, row, time_us in self._happenings():
            if kind is Act.LOOK:
                if wanted[row]:
                    yield Moment(row, time_us, self.queries[row])
                self.behaviour.shown(shown[row], time_us)
            else:
                query, place = meant[of[row]], places[row]
                self.behaviour.record(query, names[row], kind, time_us, place=place)
                if kind is Act.CLICK:
                    self._clicked(users[row], items[row])

    def _meant(self, row: int) -> str:
        """Return what somebody meant to search for. Empty: nothing, it was no search."""
        lists = self._world.browsing.lists
        if not lists.is_search[row]:
            return ""
        if lists.wording[row] % MISSPELT == MISSPELT - 1:
            return product_name(int(lists.product[row]))
        return self.queries[row]

    def _happenings(self) -> Iterator[tuple[Act, int, int]]:
        """Yield what happened, to which row, and when, in this order."""
        lists, clicks = self._world.browsing.lists, self._world.browsing.clicks
        carts, bought = np.nonzero(clicks.in_cart)[0], np.nonzero(clicks.is_bought)[0]
        parts = [
            (Act.LOOK, np.arange(len(lists.time_us)), lists.time_us),
            (Act.CLICK, np.arange(len(clicks.time_us)), clicks.time_us),
            (Act.CART, carts, clicks.cart_us[carts]),
            (Act.PURCHASE, bought, clicks.buy_us[bought]),
        ]
        time_us = np.concatenate([times for _, _, times in parts])
        rows = np.concatenate([each for _, each, _ in parts])
        acts = np.concatenate([np.full(len(each), act) for act, each, _ in parts])
        order = np.lexsort((rows, acts, time_us))
        for act, row, at in zip(
            *(each[order].tolist() for each in (acts, rows, time_us)), strict=True
        ):
            yield Act(act), row, at


def examined(world: World, until_day: float) -> tuple[float, ...]:
    """Return how likely each place is looked at, compared with the first.

    Lists in random order tell it: there, what is clicked less is what is looked at less. It never
    rises from one place to the next.
    """
    lists, clicks = world.browsing.lists, world.browsing.clicks
    is_tossed = lists.is_random & (day_of(lists.time_us) < until_day)
    counts = np.bincount(
        clicks.position[is_tossed[clicks.list]], minlength=lists.items.shape[1]
    ).astype(np.float64)
    falling = np.minimum.accumulate(np.maximum(counts, 1.0))
    return tuple(np.round(falling / falling[0], 4).tolist())
