"""Train the ranking model of search, and write it into a model repository, with a card.

LambdaMART (Burges 2010) by LightGBM: trees that learn the order of hits from what was clicked, put
into the cart and bought after searches (`search_lessons`). What they are told is what the server
would have known just before each list. What can only speak for a document, as more words of the
query or more clicks, is never held against it (monotone constraints).

    PYTHONPATH=examples .venv/bin/python -m shop.train_search --out model_repository
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import lightgbm

from shop.evaluate_search import (
    BM25,
    LEARNT_ORDER,
    PERSONAL,
    Quality,
    Search,
    compared,
    spelling,
    table,
)
from shop.search_graph import of_boosted
from shop.search_lessons import LEARNT, NAMES, WARM_UP_DAYS, Lesson, lesson
from shop.searching import examined
from shop.world import DAYS, SEED, World

NAME: Final = "search_ranker"
PRODUCER: Final = "examples/shop/train_search.py"
MARGIN: Final = 0.08
"""By so much its NDCG for everybody is above that of words alone, or it is not written."""
ROUNDS: Final = 150
"""Trees."""

_FOR: Final = ("match.", "best(", "phrase.", "order.", "cover.", "document.ctr", "pair.")
_COUNTED: Final = ("log(document.clicks", "log(document.carts", "log(document.purchases")
RISING: Final = (*_FOR, *_COUNTED, "log(pair.", "field.popularity")
"""Features that begin so can only speak for a document."""

PARAMETERS: Final = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 10,
    # Of nothing, a click, a cart, a purchase.
    "label_gain": [0, 1, 2, 3],
    "monotone_constraints": [int(name.startswith(RISING)) for name in NAMES],
    "num_leaves": 8,
    "learning_rate": 0.05,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.6,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    # The same lessons give the same trees.
    "seed": 7,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}


def fitted(of: Lesson) -> lightgbm.Booster:
    """Fit trees to the order of hits."""
    data = lightgbm.Dataset(of.rows, of.labels, group=of.groups)
    return lightgbm.train(PARAMETERS, data, ROUNDS)


def card(model: bytes, world: World, text: str, *, of: Lesson, places: Sequence[float]) -> str:
    """Return what is to be known of the model."""
    last = round(LEARNT * world.days)
    lines = [
        f"# {NAME}",
        "",
        "The order of hits for everybody: LambdaMART. Made by `examples/shop/train_search.py`.",
        "",
        f"- Data: the shop, seed {world.seed}, {world.days} days. Learnt from the {len(of.groups)}",
        f"  searches and visits of categories, days {WARM_UP_DAYS} to {last}, that led to a click,",
        f"  {len(of.labels)} hits; measured against how likely users really are to like items: all",
        "  users on the last day, and those who asked later than that.",
        "- What lists in random order say of how likely each place is looked at:",
        f"  {', '.join(f'{each:.2f}' for each in places)}",
        f"- Input `features`: float32 [n, {len(NAMES)}], which `SearchFeatures` makes; what is not",
        "  known is -1. See below.",
        "- Output `score`: float32 [n, 1], the larger the better. It knows nothing of the user.",
        f"- SHA-256: `{hashlib.sha256(model).hexdigest()}`",
        "",
        text,
        "The features, in their order:",
        "",
        *(f"{number}. `{each}`" for number, each in enumerate(NAMES)),
    ]
    return "\n".join(lines) + "\n"


def below(found: Sequence[Quality]) -> str:
    """Return what is not as good as it has to be."""
    known = {each.who: each for each in found}
    model, words = known[LEARNT_ORDER], known[BM25]
    if model.everybody < words.everybody + MARGIN:
        return f"{NAME}: {model.everybody:.3f}, less than {MARGIN} above {words.everybody:.3f}"
    if known[PERSONAL].asking < model.asking:
        return f"{NAME}: worse for users who are known"
    return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the model, or return 1 if it is not good enough."""
    parser = argparse.ArgumentParser(description="Train the ranking model of search.")
    parser.add_argument("--out", type=Path, required=True, help="the model repository")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--days", type=int, default=DAYS)
    asked = parser.parse_args(arguments)
    world = World.generate(asked.seed, asked.days)
    places = examined(world, LEARNT * world.days)
    learnt = lesson(world, places, until_day=LEARNT * world.days)
    model = of_boosted(fitted(learnt), NAME, producer=PRODUCER)
    search = Search(world)
    found = compared(world, search, model)
    text = table(found, spelling(world, search))
    print(f"{NAME}  {len(model)} bytes\n\n{text}")
    if problem := below(found):
        print(problem)
        return 1
    path = asked.out / NAME / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model)
    told = card(model, world, text, of=learnt, places=places)
    (asked.out / NAME / "README.md").write_text(told, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
