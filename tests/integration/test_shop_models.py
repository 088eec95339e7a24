"""The models of the shop are as good as their floors say, in a world that they have not seen."""

import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from shop import graphs
from shop.train_fraud import FLOORS, WARM_UP_DAYS
from shop.vectors import NAMES, Vectors, vectors
from shop.world import World

REPOSITORY = Path(__file__).parents[2] / "model_repository"
ANOTHER_SEED = 1234


@pytest.fixture(scope="module")
def known() -> Vectors:
    return vectors(World.generate(ANOTHER_SEED, 30, users=1000, items=1000))


@pytest.mark.parametrize("name", FLOORS)
def test_a_model_of_fraud_is_no_worse_than_its_floor(name: str, known: Vectors) -> None:
    model = (REPOSITORY / name / "1" / "model.onnx").read_bytes()
    late = known.day >= WARM_UP_DAYS

    scores = graphs.run(model, known.values[late], "score")

    assert average_precision_score(known.is_fraud[late], scores) >= FLOORS[name]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", FLOORS)
def test_the_card_of_a_model_is_about_the_file_that_is_there(name: str) -> None:
    model = (REPOSITORY / name / "1" / "model.onnx").read_bytes()
    card = (REPOSITORY / name / "README.md").read_text(encoding="utf-8")

    assert sha256(model).hexdigest() in card
    assert re.findall(r"^\d+\. `(.+)`$", card, re.MULTILINE) == [*NAMES]


def test_vectors_do_not_know_the_payment_that_they_are_of(known: Vectors) -> None:
    first = dict(zip(NAMES, known.values[0].tolist(), strict=True))

    assert first["amount_minor"] > 0
    assert not [name for name, value in first.items() if "payments:count" in name and value]
    assert np.isfinite(known.values).all()
