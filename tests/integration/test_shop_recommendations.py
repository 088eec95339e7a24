"""Lists for users of the shop are far better than what is popular, in a world of another seed."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from re import MULTILINE, findall

import numpy as np
import onnx
import pytest

from inferd.app import settings
from shop.evaluate_recommendation import (
    CASCADE,
    CONFIG,
    EVERYBODY,
    MODELS,
    NEW_ITEMS,
    NEW_USERS,
    Quality,
    measured,
)
from shop.recommending_graphs import DIMENSIONS
from shop.recommending_rankers import NAMES
from shop.train_recommendation import trained
from shop.world import World

REPOSITORY = Path(__file__).parents[2] / "model_repository"
ANOTHER_SEED = 1234
FLOOR = 0.5
"""What models learn of so small a world is less."""
SLACK = 0.02
MOST_BYTES = 3_000_000

Found = Mapping[str, Mapping[str, Quality]]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {name: (REPOSITORY / name / "1" / "model.onnx").read_bytes() for name in MODELS}


@pytest.fixture(scope="module")
def found() -> Found:
    """Have models learn from a small world, and say what they are worth on later days."""
    world = World.generate(ANOTHER_SEED, 30, users=1000, items=1000)
    by = measured(world, trained(world), every=15)
    return {whom: {each.who: each for each in of} for whom, of in by.items()}


def test_the_whole_is_far_better_than_what_is_popular_or_goes_together(found: Found) -> None:
    of = found[EVERYBODY]

    assert of[CASCADE].ndcg >= FLOOR
    for who in ("popularity", "co-visitation"):
        assert of[CASCADE].ndcg > 1.3 * of[who].ndcg
        assert of[CASCADE].recall > 1.3 * of[who].recall


def test_where_little_is_known_the_whole_is_better_than_vectors_alone(found: Found) -> None:
    for whom in (EVERYBODY, NEW_USERS, NEW_ITEMS):
        assert found[whom][CASCADE].ndcg > found[whom]["vectors"].ndcg


def test_the_whole_is_as_good_as_the_best_of_its_parts(found: Found) -> None:
    """They are close: a world is small, and what tells them apart is chance."""
    for whom in (EVERYBODY, NEW_USERS, NEW_ITEMS):
        of = found[whom]
        assert of[CASCADE].ndcg >= max(each.ndcg for each in of.values()) - SLACK


def test_the_whole_shows_more_of_the_catalogue_and_what_is_less_known(found: Found) -> None:
    of = found[EVERYBODY]

    assert of[CASCADE].coverage > 3 * of["popularity"].coverage
    assert of[CASCADE].novelty > of["popularity"].novelty


def test_the_card_of_a_model_is_about_the_file_that_is_there(files: Mapping[str, bytes]) -> None:
    for name, model in files.items():
        card = (REPOSITORY / name / "README.md").read_text(encoding="utf-8")
        assert sha256(model).hexdigest() in card
        if name in ("rec_trees", "rec_network"):
            assert findall(r"^\d+\. `(.+)`$", card, MULTILINE) == [*NAMES]


def test_graphs_are_pinned_and_small(files: Mapping[str, bytes]) -> None:
    loaded = [onnx.load_from_string(model) for model in files.values()]

    assert {(each.ir_version, each.opset_import[0].version) for each in loaded} == {(10, 21)}
    assert sum(each.stat().st_size for each in REPOSITORY.rglob("model.onnx")) < MOST_BYTES


def test_the_configuration_tells_rankers_what_they_learnt_from() -> None:
    declared = settings.load(CONFIG, {}, {}).recommendation

    assert declared.catalogue.dimensions == DIMENSIONS
    assert [each.inputs for each in declared.rankers] == [NAMES, NAMES]
    assert np.isin([each.model for each in declared.rankers], MODELS).all()
