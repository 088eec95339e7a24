"""Small models for fraud: sigmoid(features @ weights + bias)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

IR_VERSION, OPSET = 10, 21


def write_model(repository: Path, name: str, weights: Sequence[float], bias: float) -> None:
    """Write a model of as many features as there are weights."""
    column = np.array([weights], np.float32).T
    nodes = [
        helper.make_node("MatMul", ["features", "weights"], ["a"]),
        helper.make_node("Add", ["a", "bias"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["score"]),
    ]
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ("n", len(weights)))],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, ("n", 1))],
        [
            numpy_helper.from_array(column, "weights"),
            numpy_helper.from_array(np.array([bias], np.float32), "bias"),
        ],
    )
    opset = [helper.make_opsetid("", OPSET)]
    made = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
    directory = repository / name / "1"
    directory.mkdir(parents=True)
    (directory / "model.onnx").write_bytes(made.SerializeToString())


def write_models(repository: Path) -> None:
    """Write the models of `support.deciding`: a large amount, or many payments, are suspect."""
    write_model(repository, "fraud_trees", (0.002, 0.3, 0.0), -3.0)
    write_model(repository, "fraud_network", (0.001, 0.2, 0.001), -3.0)
    write_model(repository, "fraud_anomaly", (0.001, 0.1, 0.0), -2.0)
