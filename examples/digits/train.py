"""Train the two versions of `digits` and write them into a model repository.

The data is scikit-learn's copy of the UCI handwritten digits: 1797 images of 8x8 pixels
with values 0..16. Every fourth image is held out. The scaling to 0..1 is part of the graph,
so a client sends the pixels as they are.

    .venv/bin/python examples/digits/train.py --out model_repository
"""

import argparse
import hashlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

#: What ONNX Runtime reads; the onnx package's own defaults are newer than that.
IR_VERSION = 10
OPSET = 21

#: Every fourth image: 450 of 1797. `classify.py` sends the first 300 of them.
HELD_OUT = slice(None, None, 4)
PIXEL_MAX = 16.0
#: A version that reads fewer of the held-out digits than this is not written.
ACCURACY_MIN = 0.97

Pixels = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one version of the model is trained."""

    hidden: tuple[int, ...]
    #: `adam`, or `sgd` with momentum.
    solver: str
    learning_rate: float
    epochs: int
    #: The weight of the L2 penalty.
    alpha: float
    #: Also train on every image moved by one pixel in each direction.
    moved: bool


# Chosen by cross-validation; README.md says on which images.
RECIPES = {
    1: Recipe(
        hidden=(128,), solver="adam", learning_rate=0.001, epochs=60, alpha=0.001, moved=False
    ),
    2: Recipe(
        hidden=(192, 96, 48), solver="sgd", learning_rate=0.02, epochs=40, alpha=0.05, moved=True
    ),
}


def images() -> tuple[Pixels, Labels]:
    """Return all pixels, as [1797, 64], and the digit that each image shows."""
    pixels, labels = load_digits(return_X_y=True)
    return pixels.astype(np.float32), labels.astype(np.int64)


def held_out() -> tuple[Pixels, Labels]:
    """Return the images that no version was trained on."""
    pixels, labels = images()
    return pixels[HELD_OUT], labels[HELD_OUT]


def for_training() -> tuple[Pixels, Labels]:
    """Return the images that are not held out."""
    pixels, labels = images()
    kept = np.ones(len(labels), dtype=bool)
    kept[HELD_OUT] = False
    return pixels[kept], labels[kept]


def with_moved_copies(pixels: Pixels, labels: Labels) -> tuple[Pixels, Labels]:
    """Return each image where it is and moved by one pixel right, left, down and up."""
    padded = np.pad(pixels.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    corners = [(1, 1), (1, 0), (1, 2), (0, 1), (2, 1)]
    copies = [padded[:, row : row + 8, column : column + 8] for row, column in corners]
    return np.concatenate(copies).reshape(-1, 64), np.tile(labels, len(corners))


def train(recipe: Recipe) -> MLPClassifier:
    """Fit one version; on one thread, because sums depend on how they are split."""
    pixels, labels = for_training()
    if recipe.moved:
        pixels, labels = with_moved_copies(pixels, labels)
    network = MLPClassifier(
        recipe.hidden,
        solver=recipe.solver,
        learning_rate_init=recipe.learning_rate,
        alpha=recipe.alpha,
        batch_size=64,
        max_iter=recipe.epochs,
        random_state=0,
    )
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # The number of epochs is fixed; that more of them would fit better is no news.
        warnings.simplefilter("ignore", ConvergenceWarning)
        network.fit(pixels / np.float32(PIXEL_MAX), labels)
    return network


def graph_of(network: MLPClassifier, version: int) -> onnx.ModelProto:
    """Write the network as ONNX: scale, Gemm and Relu per layer, Softmax and ArgMax."""
    weights = {"scale": np.float32(1 / PIXEL_MAX)}
    nodes = [helper.make_node("Mul", ["pixels", "scale"], ["activation_0"])]
    layers = list(zip(network.coefs_, network.intercepts_, strict=True))
    for number, (coefficients, intercepts) in enumerate(layers, start=1):
        weights[f"weights_{number}"] = coefficients.astype(np.float32)
        weights[f"bias_{number}"] = intercepts.astype(np.float32)
        inputs = [f"activation_{number - 1}", f"weights_{number}", f"bias_{number}"]
        if number < len(layers):
            nodes.append(helper.make_node("Gemm", inputs, [f"sum_{number}"]))
            nodes.append(helper.make_node("Relu", [f"sum_{number}"], [f"activation_{number}"]))
        else:
            nodes.append(helper.make_node("Gemm", inputs, ["scores"]))
    nodes.append(helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1))
    nodes.append(helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=1))
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "digits",
            [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
            [
                helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10]),
                helper.make_tensor_value_info("label", TensorProto.INT64, ["batch", 1]),
            ],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
        ),
        producer_name="examples/digits/train.py",
        model_version=version,
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def versions() -> Iterator[tuple[int, bytes, float]]:
    """Yield each version's number, its file and its accuracy on the held-out images."""
    pixels, labels = held_out()
    for version, recipe in RECIPES.items():
        network = train(recipe)
        accuracy = float(network.score(pixels / np.float32(PIXEL_MAX), labels))
        yield version, graph_of(network, version).SerializeToString(deterministic=True), accuracy


def main() -> int:
    """Write `<out>/digits/<version>/model.onnx`, or return 1 if a version reads too badly."""
    parser = argparse.ArgumentParser(description="Train the digits example.")
    parser.add_argument("--out", type=Path, required=True, help="the model repository")
    out: Path = parser.parse_args().out
    for version, model, accuracy in versions():
        if accuracy < ACCURACY_MIN:
            print(f"version {version} reads only {accuracy:.4f} of the held-out digits")
            return 1
        path = out / "digits" / str(version) / "model.onnx"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model)
        print(f"{path}  accuracy {accuracy:.4f}  {len(model)} bytes")
        print(f"  sha256 {hashlib.sha256(model).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
