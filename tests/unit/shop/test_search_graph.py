"""The ranking model takes the same branches as the trees it was made of."""

import lightgbm
import numpy as np
import onnx
import pytest

from shop import graphs
from shop.search_graph import of_boosted, rounded_down


@pytest.fixture(scope="module")
def rows() -> graphs.Rows:
    """Rows with few different values: many are where branches divide."""
    draws = np.random.default_rng(5).normal(size=(3000, 4))
    return np.round(draws, 1).astype(np.float32)


@pytest.fixture(scope="module")
def trees(rows: graphs.Rows) -> lightgbm.Booster:
    liked = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 1).astype(np.int64)
    data = lightgbm.Dataset(rows, liked, group=[10] * 300)
    given = {"objective": "lambdarank", "num_leaves": 8, "num_threads": 1, "verbosity": -1}
    return lightgbm.train(given, data, 30)


def test_it_scores_as_lightgbm_does(rows: graphs.Rows, trees: lightgbm.Booster) -> None:
    scores = graphs.run(of_boosted(trees, "ranker", producer="a test"), rows, "score")

    assert scores == pytest.approx(trees.predict(rows), abs=1e-5)


def test_it_is_a_pinned_graph_and_the_same_for_the_same_trees(trees: lightgbm.Booster) -> None:
    model = of_boosted(trees, "ranker", producer="a test")

    loaded = onnx.load_from_string(model)
    assert model == of_boosted(trees, "ranker", producer="a test")
    assert (loaded.ir_version, loaded.producer_name) == (graphs.IR_VERSION, "a test")
    assert {each.domain: each.version for each in loaded.opset_import}[graphs.TREES] == 3


def test_trees_that_branch_for_what_is_missing_are_refused() -> None:
    rows = np.array([[1.0], [np.nan], [2.0], [3.0]] * 50)
    data = lightgbm.Dataset(rows, [0, 1, 0, 1] * 50)
    trees = lightgbm.train({"objective": "regression", "verbosity": -1}, data, 1)

    with pytest.raises(ValueError, match="only numbers"):
        of_boosted(trees, "ranker", producer="a test")


@pytest.mark.parametrize("value", [0.1, -0.1, 0.5, 0.0, 1e-35, 1.0000000180025095e-35, 16777217.0])
def test_a_threshold_is_rounded_to_the_next_float_below(value: float) -> None:
    down = np.float32(rounded_down(value))

    assert float(down) <= value < float(np.nextafter(down, np.float32(np.inf)))
