"""How good the order of hits is, by words, by popularity, by the model, and for the one who asks.

    PYTHONPATH=examples .venv/bin/python -m shop.evaluate_search --write

Queries go the way they go in the server: they are understood, found by their words, and ranked by
what was known at the time. How good an order is, `judged_search` says.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from inferd.config.search.behaviour import SearchBehaviour as BehaviourSettings
from inferd.config.search.index import SearchIndex
from inferd.config.search.ranking import SearchPersonal
from inferd.services.search.behaviour import SearchBehaviour
from inferd.services.search.features import Asked, SearchFeatures
from inferd.services.search.personal import Affinity, Tastes
from inferd.services.search.schema import IndexSchema
from inferd.services.search.text_query import Retrieved, StoredDocument
from shop import graphs
from shop.catalogue import item_name
from shop.clock import BEGIN, DAY
from shop.dice import Ints
from shop.graphs import Rows
from shop.judged_search import Judged, judged, ndcg, searches
from shop.search_lessons import LEARNT, NAMES
from shop.search_typos import misspelt
from shop.searching import FIELDS, Found, Past, Understands, documents, examined, indexed, items_of
from shop.words import BRANDS
from shop.world import DAYS, SEED, World

README: Final = Path(__file__).parent / "README.md"
MODEL: Final = Path(__file__).parents[2] / "model_repository/search_ranker/1/model.onnx"
BEGINS, ENDS = "<!-- search -->\n", "<!-- end of search -->\n"

BM25, POPULAR, CHEAP = "words (BM25)", "popularity", "the lowest price"
LEARNT_ORDER, PERSONAL = "search_ranker", "search_ranker, for the user"
BEST: Final = "the best order of what is found"
RANKED: Final = (BM25, POPULAR, CHEAP, LEARNT_ORDER, PERSONAL, BEST)
SEARCHES: Final = 1000
"""Searches of users that are judged for them."""
TYPED: Final = 400
"""Titles that are typed wrongly."""
TASTE: Final = SearchPersonal(fields={"brand": 1.0}, max_shift=30)

Scores = NDArray[np.float64]


class Quality(NamedTuple):
    """How good an order is: NDCG of the first ten hits."""

    who: str
    everybody: float
    """Mean over queries, judged by all users."""
    asking: float
    """Mean over searches, judged by the user who made each."""


class Spelling(NamedTuple):
    """Mean reciprocal rank of the document that somebody is after."""

    right: float
    """Typed as it is written."""
    wrong: float
    """With a typing error, which is corrected."""
    uncorrected: float
    """With a typing error, taken as it is written."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A judged query, what it found, and what the model is told of that."""

    of: Judged
    hits: Retrieved
    rows: Rows
    #: What the user clicked before.
    affinity: Affinity

    def ndcg(self, order: Sequence[int] | Ints) -> float:
        """Return how good an order of the hits is."""
        return ndcg(self.of.worth, items_of(self.hits)[np.asarray(order, dtype=np.int64)])


class Search:
    """The shop's search at a time, but for its ranking."""

    def __init__(self, world: World) -> None:
        """Index everything."""
        given = [*documents(world)]
        self.understands = Understands(given, IndexSchema(FIELDS))
        self._found = Found(indexed(given, SearchIndex(fields=FIELDS)))
        self._features = SearchFeatures(NAMES, remembered=len(given) + 1)

    def found(self, asked: Asked, now_us: int) -> Retrieved:
        """Return what a query finds among what is out by then."""
        return self._found.at(asked, now_us)

    def answered(
        self, it: Judged, behaviour: SearchBehaviour, now_us: int, affinity: Affinity
    ) -> Answered:
        """Answer a judged query."""
        asked = self.understands(it.query)
        hits = self.found(asked, now_us)
        return Answered(it, hits, self._features.rows(asked, hits, behaviour, now_us), affinity)


def answers(world: World, search: Search, seed: int) -> tuple[list[Answered], list[Answered]]:
    """Return judged queries for everybody, on the last day, and for users, at their times."""
    late = {
        each.list: each
        for each in searches(world, from_day=LEARNT * world.days, count=SEARCHES, seed=seed)
    }
    tastes, known = (
        Tastes(TASTE),
        {each: {"brand": BRANDS[brand]} for each, brand in enumerate(world.items.brand.tolist())},
    )
    users = world.browsing.sessions.user[world.browsing.lists.session]

    def clicked(user: int, item: int) -> None:
        tastes.clicked(str(user), StoredDocument(item, item_name(item), known[item]))

    places = examined(world, LEARNT * world.days)
    past = Past(world, BehaviourSettings(examined=places), clicked=clicked)
    wanted = np.isin(np.arange(len(users)), [*late])
    asking = [
        search.answered(
            late[moment.list], past.behaviour, moment.time_us, tastes.of(str(users[moment.list]))
        )
        for moment in past.moments(wanted)
    ]
    end_us = BEGIN + world.days * DAY
    everybody = [
        search.answered(each, past.behaviour, end_us, {})
        for each in judged(world, on_day=world.days, seed=seed)
    ]
    return everybody, asking


def compared(world: World, search: Search, model: bytes, seed: int = 0) -> list[Quality]:
    """Return how good the orders are that `RANKED` names."""
    everybody, asking = answers(world, search, seed)
    good = {who: (list[float](), list[float]()) for who in RANKED}
    for place, these in enumerate((everybody, asking)):
        said = graphs.run(model, np.concatenate([each.rows for each in these]), "score")
        ends = np.cumsum([len(each.rows) for each in these])
        for each, scores in zip(these, np.split(said, ends[:-1]), strict=True):
            for who, order in _orders(each, scores).items():
                good[who][place].append(each.ndcg(order))
    return [
        Quality(who, float(np.mean(mine)), float(np.mean(theirs)))
        for who, (mine, theirs) in good.items()
    ]


def _orders(it: Answered, learnt: Scores) -> dict[str, Sequence[int] | Ints]:
    """Return the places of the hits in every order of `RANKED`."""
    columns = it.hits.columns
    scores: dict[str, Scores] = {
        BM25: it.hits.text_scores.astype(np.float64),
        POPULAR: columns["popularity"],
        CHEAP: -columns["price_minor"],
        LEARNT_ORDER: learnt,
        BEST: it.of.worth[items_of(it.hits)],
    }
    orders: dict[str, Sequence[int] | Ints] = {
        who: np.argsort(-each, kind="stable") for who, each in scores.items()
    }
    everybodys = [*map(int, orders[LEARNT_ORDER])]
    mine = Tastes(TASTE).order(it.hits.documents, everybodys, it.affinity, TASTE.max_shift)
    return {**orders, PERSONAL: mine}


def spelling(world: World, search: Search, seed: int = 0) -> Spelling:
    """Look for items by their titles, with and without a typing error."""
    draws = np.random.default_rng(seed)
    end_us = BEGIN + world.days * DAY
    found = list[tuple[float, float, float]]()
    for item in draws.permutation(len(world.items))[:TYPED].tolist():
        title = world.items.title(item)
        wrong = misspelt(title.lower(), draws)
        asked = (
            search.understands(title),
            search.understands(wrong),
            search.understands(wrong, verbatim=True),
        )
        ranks = [_reciprocal(title, search.found(each, end_us)) for each in asked]
        found.append((ranks[0], ranks[1], ranks[2]))
    return Spelling(*np.mean(found, axis=0).tolist())


def _reciprocal(title: str, hits: Retrieved) -> float:
    """Return 1 / the place, from 1, of the first hit of a title; 0 without one."""
    titles = [each.fields["title"] for each in hits.documents]
    return 1 / (titles.index(title) + 1) if title in titles else 0.0


def table(found: Sequence[Quality], typed: Spelling) -> str:
    """Return qualities for people."""
    lines = [
        "| ordered by | NDCG@10 for everybody | NDCG@10 for the user who asks |",
        "|---|---|---|",
        *(f"| {it.who} | {it.everybody:.3f} | {it.asking:.3f} |" for it in found),
        "",
        "| titles are typed | mean reciprocal rank |",
        "|---|---|",
        f"| as they are written | {typed.right:.3f} |",
        f"| with an error, which is corrected | {typed.wrong:.3f} |",
        f"| with an error, which is not | {typed.uncorrected:.3f} |",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print the tables, and with `--write` put them where people look."""
    parser = argparse.ArgumentParser(description="Measure the shop's search.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--write", action="store_true", help="into the README of the shop")
    asked = parser.parse_args()
    world = World.generate(asked.seed, asked.days)
    search = Search(world)
    text = table(compared(world, search, MODEL.read_bytes()), spelling(world, search))
    print(text)
    if asked.write:
        before, _, rest = README.read_text(encoding="utf-8").partition(BEGINS)
        after = rest.partition(ENDS)[2]
        README.write_text(f"{before}{BEGINS}{text}{ENDS}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
