"""Models as ONNX graphs: `features` in, `score` out, and the calibration between the two."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import onnx
import onnxruntime
from numpy.typing import ArrayLike, NDArray
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType

#: What ONNX Runtime reads; the onnx package's own defaults are newer than that.
IR_VERSION: Final = 10
OPSET: Final = 21
OPSET_ML: Final = 3
TREES: Final = "ai.onnx.ml"
"""The domain that trees are in."""
FRAUD: Final = "examples/shop/train_fraud.py"
"""Who makes a model, unless told otherwise."""
WITHIN: Final = 8.0
"""Deviations; what is further out is not."""

Rows = NDArray[np.float32]


class Calibration(NamedTuple):
    """Platt's: a probability is logistic(slope * raw + offset)."""

    slope: float
    offset: float


@dataclass(frozen=True, slots=True)
class Raw:
    """A graph from `features` to `raw`, which is any number: larger for fraud."""

    width: int
    nodes: Sequence[NodeProto]
    weights: Mapping[str, ArrayLike]
    producer: str = FRAUD

    def model(self, calibration: Calibration, name: str) -> bytes:
        """Return the file of a model that gives probabilities."""
        weights = {
            **self.weights,
            "slope": calibration.slope,
            "offset": calibration.offset,
        }
        nodes = [
            *self.nodes,
            helper.make_node("Mul", ["raw", "slope"], ["sloped"]),
            helper.make_node("Add", ["sloped", "offset"], ["calibrated"]),
            helper.make_node("Sigmoid", ["calibrated"], ["score"]),
        ]
        features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", self.width])
        score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
        return saved(name, nodes, weights, [features], [score], producer=self.producer)


def saved(
    name: str,
    nodes: Sequence[NodeProto],
    weights: Mapping[str, ArrayLike],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    *,
    producer: str,
) -> bytes:
    """Return the file of a model. The same graph gives the same bytes."""
    model = helper.make_model(
        helper.make_graph(
            nodes, name, inputs, outputs, [_weight(array, each) for each, array in weights.items()]
        ),
        producer_name=producer,
        ir_version=IR_VERSION,
        opset_imports=[
            helper.make_opsetid(domain, version)
            for domain, version in (("", OPSET), (TREES, OPSET_ML))
            if not domain or any(node.domain == domain for node in nodes)
        ],
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def of_trees(fitted: Any) -> Raw:
    """Return the graph of gradient-boosted trees, whose raw score is in log odds."""
    width = fitted.n_features_in_
    converted = to_onnx(
        fitted,
        initial_types=[("features", FloatTensorType([None, width]))],
        target_opset={"": OPSET, TREES: OPSET_ML},
        options={id(fitted): {"zipmap": False, "raw_scores": True}},
    )
    (ensemble,) = [each for each in converted.graph.node if "TreeEnsemble" in each.op_type]
    both = ensemble.output[1]
    nodes = [
        ensemble,
        # Of the two columns, the second is that of fraud.
        helper.make_node("Gather", [both, "second"], ["raw"], axis=1),
    ]
    return Raw(width, nodes, {"second": np.array([1], dtype=np.int64)})


def of_network(
    mean: Rows, deviation: Rows, layers: Sequence[ArrayLike], offsets: Sequence[ArrayLike]
) -> Raw:
    """Return the graph of a network with rectified layers; its raw score is in log odds."""
    nodes, weights = _scaled(mean, deviation)
    at = "scaled"
    for number, (layer, offset) in enumerate(zip(layers, offsets, strict=True)):
        weights |= {f"layer_{number}": layer, f"offset_{number}": offset}
        is_last = number == len(layers) - 1
        out = "raw" if is_last else f"sum_{number}"
        nodes.append(helper.make_node("Gemm", [at, f"layer_{number}", f"offset_{number}"], [out]))
        if not is_last:
            at = f"active_{number}"
            nodes.append(helper.make_node("Relu", [out], [at]))
    return Raw(len(mean), nodes, weights)


def of_distance(mean: Rows, deviation: Rows, whitening: ArrayLike) -> Raw:
    """Return the graph of a distance: the logarithm of the sum of squares after `whitening`."""
    nodes, weights = _scaled(mean, deviation)
    weights |= {"whitening": whitening, "axes": np.array([1], dtype=np.int64), "least": 1e-6}
    nodes += [
        helper.make_node("MatMul", ["scaled", "whitening"], ["white"]),
        helper.make_node("ReduceSumSquare", ["white", "axes"], ["square"], keepdims=1),
        helper.make_node("Add", ["square", "least"], ["positive"]),
        helper.make_node("Log", ["positive"], ["raw"]),
    ]
    return Raw(len(mean), nodes, weights)


def run(model: bytes, rows: Rows, output: str) -> NDArray[np.float64]:
    """Return a model's output for rows; `raw` is that before the calibration."""
    loaded = onnx.load_from_string(model)
    if output != "score":
        loaded.graph.output.append(
            helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 1])
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        loaded.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    (found,) = session.run([output], {"features": rows})
    column: NDArray[np.float64] = np.asarray(found, dtype=np.float64)[:, 0]
    return column


def _scaled(mean: Rows, deviation: Rows) -> tuple[list[NodeProto], dict[str, ArrayLike]]:
    """Return what spreads features by their logarithm, and standardises them, within bounds."""
    weights: dict[str, ArrayLike] = {
        "one": 1.0,
        "mean": mean,
        "deviation": deviation,
        "low": -WITHIN,
        "high": WITHIN,
    }
    nodes = [
        helper.make_node("Sign", ["features"], ["sign"]),
        helper.make_node("Abs", ["features"], ["size"]),
        helper.make_node("Add", ["size", "one"], ["more"]),
        helper.make_node("Log", ["more"], ["logarithm"]),
        helper.make_node("Mul", ["sign", "logarithm"], ["spread"]),
        helper.make_node("Sub", ["spread", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "deviation"], ["standard"]),
        helper.make_node("Clip", ["standard", "low", "high"], ["scaled"]),
    ]
    return nodes, weights


def _weight(array: ArrayLike, name: str) -> TensorProto:
    made = np.asarray(array)
    if made.dtype != np.int64:
        made = made.astype(np.float32)
    return numpy_helper.from_array(made, name)
