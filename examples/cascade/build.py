"""Writes the example's models.

    python examples/cascade/build.py

The models are not trained. Their weights are drawn so that they agree about as much as a model
and its smaller sister do: what the example shows is how they are asked, not what they say.
"""

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

HERE = Path(__file__).resolve().parent
MODELS = HERE / "model_repository"

#: What ONNX Runtime reads; the onnx package's own defaults are newer than that.
IR_VERSION = 10
OPSET = 21
#: Numbers that describe a user, and as many that describe an item.
WIDTH = 16

Weights = NDArray[np.float32]


def affinity_weights(seed: int, hidden: int) -> tuple[Weights, Weights]:
    """Return weights of a two-layer network whose hidden units compare user and item."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(WIDTH, hidden)) / np.sqrt(WIDTH)
    first = np.concatenate([direction, direction])  # alike when both point the same way
    second = np.abs(rng.normal(size=(hidden, 1))) / np.sqrt(hidden)
    return first.astype(np.float32), second.astype(np.float32)


def model(features: int, first: Weights, second: Weights) -> onnx.ModelProto:
    """Return sigmoid(relu(features @ first) @ second), [n, features] to [n, 1]."""
    nodes = [
        helper.make_node("MatMul", ["features", "first"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "second"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        "ranker",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ("n", features))],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ("n", 1))],
        [numpy_helper.from_array(first, "first"), numpy_helper.from_array(second, "second")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made)
    return made


def write(name: str, version: int, made: onnx.ModelProto) -> None:
    """Write a version of a model."""
    directory = MODELS / name / str(version)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "model.onnx").write_bytes(made.SerializeToString())


def write_models() -> None:
    """Write all models."""
    write("ranker", 1, model(2 * WIDTH, *affinity_weights(1, 48)))
    write("ranker", 2, model(2 * WIDTH, *affinity_weights(1, 64)))
    write("ranker_small", 1, model(2 * WIDTH, *affinity_weights(1, 4)))
    first, second = affinity_weights(2, 8)
    write("trend", 1, model(WIDTH, first[:WIDTH], second))


if __name__ == "__main__":
    write_models()
