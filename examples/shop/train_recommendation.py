"""Train the models of recommendations, and write them into a model repository, each with a card.

Two towers put items and users into one space (`towers`), of which candidates are taken; two rankers
say of each candidate how likely it is to be liked: gradient-boosted trees and a network. What they
are told is what the server would have known just before each list (`recommending`, `PairFeatures`),
with vectors that know nothing of it. They learn from the first days, and are measured on the last.

    PYTHONPATH=examples .venv/bin/python -m shop.train_recommendation --out model_repository
"""

import argparse
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from inferd.services.recommendation.catalogue import Catalogue
from inferd.services.recommendation.content import (
    CONTENT_WIDTH,
    item_inputs,
    user_inputs,
    user_width,
)
from inferd.services.recommendation.context import Context
from inferd.services.recommendation.features import PairFeatures
from inferd.services.recommendation.profile import Profile
from shop import graphs, recommending_graphs, towers, train_fraud
from shop.dice import Flags, Ints
from shop.evaluate_recommendation import (
    CASCADE,
    EVERYBODY,
    FEW_ACTS,
    NEW_DAYS,
    Quality,
    measured,
    tabled,
)
from shop.graphs import Calibration, Rows
from shop.recommending import Impressions, Model, Moment, Past, offers, stocked
from shop.recommending_graphs import DIMENSIONS, PRODUCER
from shop.recommending_rankers import NAMES, RECIPES, liked
from shop.towers import Shown
from shop.world import DAYS, SEED, World

BASIS, LEARN, RANKED, CALIBRATED = 0.55, 0.3, 0.7, 0.75
"""Shares of the days. Factors are first found before `BASIS`. The tower of users and the rankers
learn from `LEARN` to `RANKED`, rankers are calibrated after that, and what comes after `CALIBRATED`
is held out."""
FOLDS: Final = 4
"""Lists are dealt out to so many. What learns from a list is told the vectors that items have
without its fold (cross-fitting): as when it serves, no vector knows what is clicked."""

FLOOR: Final = 0.7
"""NDCG of the whole cascade: lists that are worse are not worth models."""
SLACK: Final = 0.005
"""Any part alone may be better by so much: that is chance."""
NEWER: Final = 5
"""Of one list in so many, models are told fewer acts than that."""


WHAT: Final = {
    "rec_items": "Where an item is: of its words, and of what is its own (`shop.towers`).",
    "rec_users": "Where a user is, of what they did lately (`shop.towers`).",
    "rec_trees": "Gradient-boosted trees that correct what the towers say.",
    "rec_network": "A network of two rectified layers.",
}
_SCORE: Final = (
    f"- Input `features`: float32 [n, {len(NAMES)}]; what is not known is 0. See below.",
    "- Output `score`: float32 [n, 1], how likely the user is to like the item.",
)
SAID: Final = {
    "rec_items": (
        f"- Inputs `content`: float32 [n, {CONTENT_WIDTH}], `identity`: int64 [n, 1], as",
        "  `inferd.services.recommendation.content` makes them. An item that is not known by its",
        "  identity is where its words are.",
        f"- Output `vector`: float32 [n, {DIMENSIONS}], of length 1.",
    ),
    "rec_users": (
        f"- Input `history`: float32 [n, {user_width(DIMENSIONS)}], as",
        "  `inferd.services.recommendation.content` makes it.",
        f"- Output `vector`: float32 [n, {DIMENSIONS}], of length 1.",
    ),
    "rec_trees": _SCORE,
    "rec_network": _SCORE,
}


def trained(world: World) -> dict[str, bytes]:
    """Learn all that there is to learn from a world; return the files of models, by their names."""
    with threadpool_limits(limits=1):
        return _Lessons(world).models()


class _Lessons:
    """What is learnt from a world, step by step."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._all = Impressions.of(world)
        self._items = offers(world)
        told = item_inputs(self._items)
        self._content, self._identity = told["content"], told["identity"][:, 0]
        self._share = self._all.day / world.days
        tossed = self._all.is_random & (self._share < BASIS)
        self._examined = towers.propensities(self._all.clicked[tossed], self._all.position[tossed])

    def models(self) -> dict[str, bytes]:
        """Return the files of all models, by their names."""
        known = self._share < CALIBRATED
        first = self._factors(self._share < BASIS, None)
        # Each begins with the first, so that factors mean the same in all.
        folds = [
            self._factors(known & (self._all.list % FOLDS != fold), first) for fold in range(FOLDS)
        ]
        catalogues = [stocked(self._items, Model(self._item_file(each))) for each in folds]
        users = self._users(folds, catalogues)
        rankers = self._rankers(catalogues, Model(users))
        whole = self._factors(known, first)
        return {"rec_items": self._item_file(whole), "rec_users": users, **rankers}

    def _factors(self, chosen: Flags, begin: towers.Factors | None) -> towers.Factors:
        people = len(self._world.people)
        return towers.factorised(self._shown(chosen), self._content, people, begin)

    def _item_file(self, factors: towers.Factors) -> bytes:
        return recommending_graphs.item_tower(factors, self._identity)

    def _shown(self, chosen: Flags | Ints) -> Shown:
        of = self._all
        return Shown(
            user=of.user[chosen],
            item=of.item[chosen],
            clicked=of.clicked[chosen],
            examined=self._examined[of.position[chosen]],
        )

    def _users(self, folds: Sequence[towers.Factors], catalogues: Sequence[Catalogue]) -> bytes:
        """Return the tower of users."""
        places, told, days = dict[int, int](), list[Rows](), self._world.days
        past = Past(self._world, catalogues[0], counts=False)
        for moment in past.moments(LEARN * days, RANKED * days):
            places[moment.list] = len(told)
            table = catalogues[moment.list % FOLDS].table
            told.append(user_inputs(_known(moment).history, table)["history"][0])
        chosen = np.isin(self._all.list, [*places])
        lists = self._all.list[chosen]
        which = np.array([places[each] for each in lists.tolist()])
        # The items of one fold come after those of the one before.
        shown, count = self._shown(chosen), len(self._items)
        shown = replace(shown, item=lists % FOLDS * count + shown.item)
        items = np.concatenate([each.of(self._content) for each in folds])
        return recommending_graphs.user_tower(
            *towers.told_users(np.array(told), which, shown, items)
        )

    def _rankers(self, catalogues: Sequence[Catalogue], users: Model) -> dict[str, bytes]:
        """Return the rankers, calibrated."""
        lists, rows, days = list[int](), list[Rows](), self._world.days
        past = Past(self._world, catalogues[0])
        features = PairFeatures(NAMES)
        shown = self._world.browsing.lists.items
        for moment in past.moments(LEARN * days, CALIBRATED * days):
            lists.append(moment.list)
            profile, table = _known(moment), catalogues[moment.list % FOLDS].table
            rows.append(
                features.rows(
                    profile,
                    table,
                    shown[moment.list],
                    past.behaviour,
                    Context(),
                    now_us=moment.time_us,
                    user_vector=users(user_inputs(profile.history, table))[0]
                    if profile.history
                    else None,
                )
            )
        each = shown.shape[1]
        chosen = (np.array(lists)[:, None] * each + np.arange(each)).reshape(-1)
        told = np.concatenate(rows)
        looked = self._looked_at(chosen, told)
        labels, share = self._all.clicked[chosen], self._share[chosen]
        learnt, late = looked & (share < RANKED), looked & (share >= RANKED)
        models = dict[str, bytes]()
        for name, fit in RECIPES.items():
            raw = replace(fit(told[learnt], labels[learnt]), producer=PRODUCER)
            said = graphs.run(raw.model(Calibration(1.0, 0.0), name), told[late], "raw")
            models[name] = raw.model(train_fraud.calibration(said, labels[late]), name)
        return models

    def _looked_at(self, chosen: Ints, rows: Rows) -> Flags:
        """Draw what was looked at: what was clicked was, other things as likely as that is."""
        likes, examined = liked(rows), self._examined[self._all.position[chosen]]
        likely = examined * (1 - likes) / (1 - examined * likes)
        found: Flags = self._all.clicked[chosen]
        return found | (np.random.default_rng(0).random(len(chosen)) < likely)


def _known(moment: Moment) -> Profile:
    """Return what is known of a user; of some, little: few who are known so well are new."""
    if moment.list % NEWER:
        return moment.profile
    few = moment.list // NEWER % NEWER
    return replace(moment.profile, history=moment.profile.history[:few])


def card(name: str, model: bytes, world: World, found: Mapping[str, Sequence[Quality]]) -> str:
    """Return what is to be known of a model."""
    begin, ranked, last = (round(share * world.days) for share in (LEARN, RANKED, CALIBRATED))
    learnt = {
        "rec_items": f"Learnt from days 0 to {last}, measured",
        "rec_users": f"Learnt from days {begin} to {ranked}, measured",
    }.get(name, f"Learnt from days {begin} to {ranked}, calibrated to {last}, measured")
    lines = [
        f"# {name}",
        "",
        f"{WHAT[name]} Made by `examples/shop/train_recommendation.py`.",
        "",
        f"- Data: the shop, seed {world.seed}, {world.days} days.",
        f"  {learnt} from day {last} on, against how",
        "  likely users really are to like items.",
        f"- SHA-256: `{hashlib.sha256(model).hexdigest()}`",
        *SAID[name],
        "",
        "How good lists are, by what makes them, of items that the user has not looked at yet. New",
        f"users did at most {FEW_ACTS} things; lists of new items are of what came out in the last",
        f"{NEW_DAYS:.0f} days.",
        "",
        tabled(found),
    ]
    if name in RECIPES:
        lines += ["The features, in their order:", ""]
        lines += [f"{number}. `{each}`" for number, each in enumerate(NAMES)]
    return "\n".join(lines).rstrip() + "\n"


def below(found: Mapping[str, Sequence[Quality]]) -> list[str]:
    """Return what is not as good as it has to be."""
    everybody = {each.who: each for each in found[EVERYBODY]}
    best = everybody[CASCADE]
    wrong = [f"{CASCADE}: NDCG {best.ndcg:.3f} is below {FLOOR}"] if best.ndcg < FLOOR else []
    return wrong + [
        f"{each.who} is better than all together: NDCG {each.ndcg:.3f} and {best.ndcg:.3f}"
        for each in everybody.values()
        if each.ndcg > best.ndcg + SLACK
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all models, or return 1 if the lists are worse than the floor."""
    parser = argparse.ArgumentParser(description="Train the models of recommendations.")
    parser.add_argument("--out", type=Path, required=True, help="the model repository")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--days", type=int, default=DAYS)
    asked = parser.parse_args(arguments)
    world = World.generate(asked.seed, asked.days)
    files = trained(world)
    found = measured(world, files)
    print(tabled(found))
    if wrong := below(found):
        print("\n".join(wrong))
        return 1
    for name, model in files.items():
        path = asked.out / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model)
        text = card(name, model, world, found)
        (asked.out / name / "README.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
