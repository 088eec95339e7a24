"""The rankers: what they are told, and how they are fitted.

Trees correct what the towers say, and so go on where there is nothing to learn from.
"""

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from shop import graphs, recommending_graphs, train_fraud
from shop.dice import Flags
from shop.graphs import Rows

NAMES: Final = (
    *("pair.vector_dot", "pair.history_dot", "pair.history_nearest"),
    *("pair.brand_affinity", "pair.category_affinity", "pair.merchant_affinity"),
    *("pair.price_ratio", "pair.spend_ratio", "pair.covisits"),
    *("pair.clicks", "pair.carts", "pair.purchases"),
    *("log(item.price)", "item.category_price", "item.age_days"),
    *("item.ctr_1d", "item.ctr_7d"),
    *(f"log(item.{act}_7d)" for act in ("impressions", "clicks", "carts", "purchases")),
    *("log(history.length)", "log(history.carts)", "log(history.purchases)"),
)
"""What rankers are told, in their order."""
DOT: Final = NAMES.index("pair.vector_dot")


def trees(rows: Rows, labels: Flags) -> graphs.Raw:
    """Fit gradient-boosted trees to what the towers leave to be said."""
    model = GradientBoostingClassifier(
        init=_Towers(),
        n_estimators=150,
        max_depth=3,
        learning_rate=0.03,
        subsample=0.6,
        max_features=0.5,
        min_samples_leaf=200,
        random_state=0,
    )
    model.fit(rows, labels)
    # Of the graph, trees alone are wanted: it has what the towers say from elsewhere.
    model.init = model.init_ = "zero"
    return recommending_graphs.corrected(graphs.of_trees(model), DOT)


class _Towers(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """What the towers say, for scikit-learn to begin with."""

    def fit(self, rows: Rows, _labels: Flags, sample_weight: object = None) -> "_Towers":
        """Learn nothing."""
        self.classes_, self.n_features_in_ = np.array([False, True]), rows.shape[1]
        return self

    def predict_proba(self, rows: Rows) -> NDArray[np.float64]:
        """Return how likely each row is not to be liked, and to be liked."""
        likely = liked(rows)
        return np.stack([1 - likely, likely], axis=1)


def liked(rows: Rows) -> NDArray[np.float64]:
    """Return how likely rows are to be liked, by what the towers say."""
    odds = recommending_graphs.ODDS * rows[:, DOT].astype(np.float64)
    return 1 / (1 + np.exp(-odds))


def network(rows: Rows, labels: Flags) -> graphs.Raw:
    """Fit a network of two rectified layers."""
    spreads = train_fraud.spread(rows)
    mean, deviation = spreads.mean(axis=0), spreads.std(axis=0) + 1e-3
    scaled = np.clip((spreads - mean) / deviation, -graphs.WITHIN, graphs.WITHIN)
    model = MLPClassifier((24, 12), alpha=1.0, batch_size=256, max_iter=8, random_state=0)
    with warnings.catch_warnings():
        # The number of epochs is fixed.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled, labels)
    return graphs.of_network(mean, deviation, model.coefs_, model.intercepts_)


RECIPES: Final = {"rec_trees": trees, "rec_network": network}
