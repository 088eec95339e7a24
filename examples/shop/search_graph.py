"""The trees of LightGBM as an ONNX graph that takes the same branches.

LightGBM compares float64 with float64, ONNX Runtime float32 with float32. A threshold is rounded
down to a float32, so a float32 is at most the one if and only if it is at most the other; rounded
to the nearest, as converters do, one row in some hundreds goes another way.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import lightgbm
import numpy as np
from onnx import TensorProto, helper

from shop import graphs

_LEAF: Final = {
    "nodes_modes": "LEAF",
    "nodes_featureids": 0,
    "nodes_values": 0.0,
    "nodes_truenodeids": 0,
    "nodes_falsenodeids": 0,
}


def of_boosted(trees: lightgbm.Booster, name: str, *, producer: str) -> bytes:
    """Return the file of a model: `features` [n, width] in, `score` [n, 1] out.

    The same trees give the same bytes. Raises `ValueError` for trees with categories or with
    branches for what is missing: only numbers are compared.
    """
    width = trees.num_feature()
    columns: defaultdict[str, Any] = defaultdict(list)
    for number, tree in enumerate(trees.dump_model()["tree_info"]):
        _Tree(number, columns).add(tree["tree_structure"])
    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["score"],
        domain=graphs.TREES,
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        **{key: columns[key] for key in sorted(columns)},
    )
    features = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", width])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])
    return graphs.saved(name, [node], {}, [features], [score], producer=producer)


class _Tree:
    """Adds the nodes of one tree to the columns that ONNX has of all."""

    def __init__(self, number: int, columns: Mapping[str, Any]) -> None:
        self._number = number
        self._columns = columns
        self._count = 0

    def add(self, it: Mapping[str, Any]) -> int:
        """Add a node and all below it; return its number in the tree."""
        number, self._count = self._count, self._count + 1
        place = len(self._columns["nodes_modes"])
        for name, value in _LEAF.items():
            self._columns[name].append(value)
        self._columns["nodes_treeids"].append(self._number)
        self._columns["nodes_nodeids"].append(number)
        if "leaf_value" in it:
            self._leaf(number, float(it["leaf_value"]))
            return number
        if it["decision_type"] != "<=" or it["missing_type"] != "None":
            raise ValueError(f"only numbers are compared, not {it['decision_type']}")
        for name, value in (
            ("nodes_modes", "BRANCH_LEQ"),
            ("nodes_featureids", int(it["split_feature"])),
            ("nodes_values", rounded_down(float(it["threshold"]))),
            ("nodes_truenodeids", self.add(it["left_child"])),
            ("nodes_falsenodeids", self.add(it["right_child"])),
        ):
            self._columns[name][place] = value
        return number

    def _leaf(self, number: int, value: float) -> None:
        self._columns["target_ids"].append(0)
        self._columns["target_nodeids"].append(number)
        self._columns["target_treeids"].append(self._number)
        self._columns["target_weights"].append(value)


def rounded_down(value: float) -> float:
    """Return the largest float32 that is at most a number."""
    near = np.float32(value)
    return float(near if float(near) <= value else np.nextafter(near, np.float32(-np.inf)))
