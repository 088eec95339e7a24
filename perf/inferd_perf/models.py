"""The two benchmark models: one that costs nothing to run, and one that costs something.

`mlp_small` takes microseconds, so what is measured is the server around it. `mlp_large`
takes milliseconds a row and much less a row in a batch, so what is measured is batching.
Both are built from a seed: the same weights on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET = 21
#: onnx writes a newer IR than onnxruntime reads unless told.
IR_VERSION = 10
MAX_BATCH_SIZE = 64


@dataclass(frozen=True, slots=True)
class Mlp:
    """A perceptron in FP32: Relu between the layers, none after the last."""

    name: str
    widths: tuple[int, ...]
    seed: int


BENCHMARK_MODELS = (
    Mlp("mlp_small", (64, 256, 128, 1), seed=1),
    Mlp("mlp_large", (512, 2048, 2048, 2048, 2048, 1), seed=2),
)


def config_pbtxt(mlp: Mlp, instances: int = 1) -> str:
    """Return the model's configuration: fixed dims, batches up to 64, no wait for company."""
    return f"""\
name: "{mlp.name}"
backend: "onnxruntime"
max_batch_size: {MAX_BATCH_SIZE}
input [
  {{ name: "input" data_type: TYPE_FP32 dims: [ {mlp.widths[0]} ] }}
]
output [
  {{ name: "output" data_type: TYPE_FP32 dims: [ {mlp.widths[-1]} ] }}
]
instance_group [ {{ count: {instances} kind: KIND_CPU }} ]
dynamic_batching {{ }}
"""


def _layers(mlp: Mlp) -> tuple[list[NodeProto], list[TensorProto]]:
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(mlp.seed)
    nodes: list[NodeProto] = []
    weights: list[TensorProto] = []
    last = len(mlp.widths) - 2
    value = "input"
    for i, (n_in, n_out) in enumerate(pairwise(mlp.widths)):
        weight = rng.standard_normal((n_in, n_out), dtype=np.float32) * np.float32(2 / n_in) ** 0.5
        bias = rng.standard_normal(n_out, dtype=np.float32) * np.float32(0.01)
        weights += [numpy_helper.from_array(weight.astype(np.float32), f"w{i}")]
        weights += [numpy_helper.from_array(bias.astype(np.float32), f"b{i}")]
        out = "output" if i == last else f"dense{i}"
        nodes.append(helper.make_node("Gemm", [value, f"w{i}", f"b{i}"], [out], name=f"gemm{i}"))
        value = out
        if i != last:
            value = f"relu{i}"
            nodes.append(helper.make_node("Relu", [out], [value], name=value))
    return nodes, weights


def onnx_model(mlp: Mlp) -> ModelProto:
    """Return the checked ONNX graph, with a free batch dimension."""
    from onnx import TensorProto, checker, helper

    nodes, weights = _layers(mlp)
    first, last = mlp.widths[0], mlp.widths[-1]
    graph = helper.make_graph(
        nodes,
        mlp.name,
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", first])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", last])],
        initializer=weights,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, producer_name="inferd-perf")
    model.ir_version = IR_VERSION
    checker.check_model(model)
    return model


def write(mlp: Mlp, repository: Path, instances: int = 1) -> Path:
    """Write the model into the repository in Triton's layout; return the ONNX file's path."""
    version = repository / mlp.name / "1"
    version.mkdir(parents=True, exist_ok=True)
    (repository / mlp.name / "config.pbtxt").write_text(
        config_pbtxt(mlp, instances), encoding="utf-8"
    )
    path = version / "model.onnx"
    path.write_bytes(onnx_model(mlp).SerializeToString())
    return path
