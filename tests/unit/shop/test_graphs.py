"""A graph gives what the model gives that it was made of."""

import numpy as np
import onnx
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from shop import graphs, train_fraud
from shop.graphs import Calibration

UNCALIBRATED = Calibration(1.0, 0.0)


@pytest.fixture(scope="module")
def rows() -> graphs.Rows:
    draws = np.random.default_rng(3).normal(size=(400, 5))
    return np.exp(draws).astype(np.float32)


@pytest.fixture(scope="module")
def labels(rows: graphs.Rows) -> train_fraud.Labels:
    found: train_fraud.Labels = rows[:, 0] * rows[:, 1] > 3
    return found


def test_trees_give_the_log_odds_of_scikit_learn(
    rows: graphs.Rows, labels: train_fraud.Labels
) -> None:
    fitted = GradientBoostingClassifier(n_estimators=20, random_state=0).fit(rows, labels)

    model = graphs.of_trees(fitted).model(UNCALIBRATED, "trees")

    assert graphs.run(model, rows, "raw") == pytest.approx(fitted.decision_function(rows), abs=1e-4)


@pytest.mark.parametrize("name", train_fraud.RECIPES)
def test_every_recipe_is_a_pinned_graph_from_features_to_a_probability(
    name: str, rows: graphs.Rows, labels: train_fraud.Labels
) -> None:
    model = train_fraud.RECIPES[name](rows, labels).model(Calibration(2.0, -1.0), name)

    loaded = onnx.load_from_string(model)
    scores, raw = graphs.run(model, rows, "score"), graphs.run(model, rows, "raw")
    assert (loaded.ir_version, loaded.opset_import[0].version) == (10, 21)
    assert scores == pytest.approx(1 / (1 + np.exp(1 - 2 * raw)), abs=1e-5)
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_the_calibration_never_turns_the_order_round() -> None:
    raw = np.array([0.0, 1.0, 2.0, 3.0])

    assert train_fraud.calibration(raw, raw < 1.5).slope > 0


def test_recall_is_told_where_one_good_payment_in_a_thousand_is_suspected() -> None:
    scores = np.concatenate([np.arange(1000.0), [2000.0, 500.0]])
    labels = np.arange(1002) >= 1000

    assert train_fraud.recall(scores, labels) == 0.5
