"""Train the models of fraud, and write them into a model repository, each with a card.

Gradient-boosted trees, a network of two layers, and a measure of how unusual a payment is, which
knows no labels. What they learn from is what the server would have known (`vectors`); they learn
from the first days, are calibrated on some later ones, and are measured on the last.

    PYTHONPATH=examples .venv/bin/python -m shop.train_fraud --out model_repository
"""

import argparse
import hashlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from shop import graphs
from shop.graphs import Calibration, Rows
from shop.vectors import NAMES, vectors
from shop.world import DAYS, SEED, World

Labels = NDArray[np.bool_]
Scores = NDArray[np.float64]

WARM_UP_DAYS: Final = 14
"""Nothing is learnt from the first days: windows fill, and no outcome is known."""
LEARNT, CALIBRATED = 0.65, 0.75
"""What is before these shares of the days is learnt from, and calibrated on; then, held out."""
FALSE_ALARMS: Final = 0.001
"""Of good payments, those that may be taken for fraud where recall is told."""
FLOORS: Final = {"fraud_trees": 0.7, "fraud_network": 0.65, "fraud_unusual": 0.2}
"""A model with less area under its precision-recall curve is not written."""


@dataclass(frozen=True, slots=True)
class Split:
    """What is learnt from, calibrated on, and held out; by time."""

    learnt: Labels
    calibrated: Labels
    held_out: Labels

    @classmethod
    def of(cls, day: NDArray[np.float64], days: int) -> "Split":
        """Split payments by their days."""
        return cls(
            (day >= WARM_UP_DAYS) & (day < LEARNT * days),
            (day >= LEARNT * days) & (day < CALIBRATED * days),
            day >= CALIBRATED * days,
        )


def spread(rows: Rows) -> Rows:
    """Return sign(x) * log(1 + |x|), as the graphs do: amounts and counts have long tails."""
    return np.sign(rows) * np.log1p(np.abs(rows))


def trees(rows: Rows, labels: Labels) -> graphs.Raw:
    """Fit gradient-boosted trees."""
    model = GradientBoostingClassifier(
        n_estimators=150,
        max_depth=4,
        learning_rate=0.07,
        subsample=0.7,
        max_features=0.4,
        min_samples_leaf=10,
        random_state=0,
    )
    model.fit(rows, labels)
    return graphs.of_trees(model)


def network(rows: Rows, labels: Labels) -> graphs.Raw:
    """Fit a network; fraud is told it ten times, as there is little."""
    spreads = spread(rows)
    mean, deviation = spreads.mean(axis=0), spreads.std(axis=0) + 1e-3
    scaled = np.clip((spreads - mean) / deviation, -8, 8)
    often = np.repeat(np.arange(len(rows)), np.where(labels, 10, 1))
    model = MLPClassifier((48, 24), alpha=0.05, batch_size=128, max_iter=25, random_state=0)
    with warnings.catch_warnings():
        # The number of epochs is fixed.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaled[often], labels[often])
    return graphs.of_network(mean, deviation, model.coefs_, model.intercepts_)


def unusual(rows: Rows, _labels: Labels) -> graphs.Raw:
    """Measure the Mahalanobis distance from what is usual; in its logarithm."""
    spreads = spread(rows)
    mean, deviation = spreads.mean(axis=0), spreads.std(axis=0) + 1e-3
    scaled = np.clip((spreads - mean) / deviation, -8, 8).astype(np.float64)
    values, directions = np.linalg.eigh(np.cov(scaled.T) + 0.05 * np.eye(rows.shape[1]))
    return graphs.of_distance(mean, deviation, directions / np.sqrt(values))


RECIPES: Final = {"fraud_trees": trees, "fraud_network": network, "fraud_unusual": unusual}


def calibration(raw: Scores, labels: Labels) -> Calibration:
    """Fit what makes a probability of a score: Platt's two numbers."""
    fitted = LogisticRegression(C=100.0).fit(raw[:, None], labels)
    return Calibration(max(1e-3, float(fitted.coef_[0, 0])), float(fitted.intercept_[0]))


def recall(scores: Scores, labels: Labels) -> float:
    """Return the share of the fraud that is found at `FALSE_ALARMS`."""
    bar = np.quantile(scores[~labels], 1 - FALSE_ALARMS)
    return float((scores[labels] > bar).mean())


def reliability(scores: Scores, labels: Labels) -> Iterator[tuple[float, float, int]]:
    """Yield for each band of scores what was said, what was so, and of how many."""
    for low, high in ((0, 0.01), (0.01, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.01)):
        inside = (scores >= low) & (scores < high)
        if inside.any():
            yield float(scores[inside].mean()), float(labels[inside].mean()), int(inside.sum())


def card(name: str, model: bytes, world: World, *, scores: Scores, labels: Labels) -> str:
    """Return what is to be known of a model."""
    what = (RECIPES[name].__doc__ or "").partition("\n")[0]
    learnt, calibrated = (round(share * world.days) for share in (LEARNT, CALIBRATED))
    area = average_precision_score(labels, scores)
    lines = [
        f"# {name}",
        "",
        f"{what} Made by `examples/shop/train_fraud.py`.",
        "",
        f"- Data: the shop, seed {world.seed}, {world.days} days, {len(world.pattern)} payments.",
        f"  Learnt from days {WARM_UP_DAYS} to {learnt}, calibrated on those to {calibrated},",
        f"  measured on the rest: {len(labels)} payments, {labels.sum()} of them fraud.",
        f"- Area under the precision-recall curve: {area:.3f} (floor {FLOORS[name]}).",
        f"- Recall at {FALSE_ALARMS:.1%} false positives: {recall(scores, labels):.3f}.",
        f"- Input `features`: float32 [n, {len(NAMES)}]; what is not there is 0. See below.",
        "- Output `score`: float32 [n, 1], the probability of fraud.",
        f"- SHA-256: `{hashlib.sha256(model).hexdigest()}`",
        "",
        "| said | was so | payments |",
        "|---|---|---|",
        *(f"| {said:.3f} | {was:.3f} | {of} |" for said, was, of in reliability(scores, labels)),
        "",
        "The features, in their order; those without a view are of the payment itself:",
        "",
        *(f"{number}. `{each}`" for number, each in enumerate(NAMES)),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write all models, or return 1 if one is worse than its floor."""
    parser = argparse.ArgumentParser(description="Train the models of fraud.")
    parser.add_argument("--out", type=Path, required=True, help="the model repository")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--days", type=int, default=DAYS)
    asked = parser.parse_args(arguments)
    world = World.generate(asked.seed, asked.days)
    known = vectors(world)
    split = Split.of(known.day, world.days)
    for name, fit in RECIPES.items():
        with threadpool_limits(limits=1):
            raw = fit(known.values[split.learnt], known.is_fraud[split.learnt])
        said = graphs.run(raw.model(Calibration(1.0, 0.0), name), known.values, "raw")
        fitted = calibration(said[split.calibrated], known.is_fraud[split.calibrated])
        model = raw.model(fitted, name)
        labels = known.is_fraud[split.held_out]
        scores = graphs.run(model, known.values[split.held_out], "score")
        area = average_precision_score(labels, scores)
        print(f"{name}  AUC-PR {area:.3f}  recall {recall(scores, labels):.3f}  {len(model)} bytes")
        if area < FLOORS[name]:
            print(f"{name} is worse than {FLOORS[name]}")
            return 1
        path = asked.out / name / "1" / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model)
        text = card(name, model, world, scores=scores, labels=labels)
        (asked.out / name / "README.md").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
