"""The graphs of the towers: what they are told in, vectors of length 1 out.

And yet the inner product of two vectors is that of the factors, but for a constant: what is missing
of a vector's length is in a coordinate in which all others have 0 (Neyshabur and Srebro 2015).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from onnx import NodeProto, TensorProto, helper

from inferd.services.recommendation.content import CONTENT_WIDTH
from shop import graphs
from shop.dice import Floats, Ints
from shop.towers import FACTORS, Factors

PRODUCER: Final = "examples/shop/train_recommendation.py"
DIMENSIONS: Final = FACTORS + 3
"""The factors, the item's own log odds, and what is missing of an item's and of a user's length."""
ITEM_LENGTH, USER_LENGTH = 4.0, 2.5
"""Of (v, b) and (u, 1), at most: few are longer, and these are shortened."""
ODDS: Final = ITEM_LENGTH * USER_LENGTH
"""Times the inner product of two vectors: the log odds of the item being liked."""


def item_tower(factors: Factors, identity: Ints) -> bytes:
    """Return the model from `content` and `identity` to `vector`; `identity` is by item."""
    known = np.flatnonzero(factors.own.any(axis=1))
    weights = {
        "words": factors.words,
        "usual": factors.usual,
        # The first is of those who are not known.
        "own": np.concatenate([np.zeros((1, FACTORS + 1)), factors.own[known]]),
        "zero": np.zeros((1, 1)),
        "flat": np.array([-1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Gemm", ["content", "words", "usual"], ["said"]),
        helper.make_node("Reshape", ["identity", "flat"], ["names"]),
        helper.make_node(
            "LabelEncoder",
            ["names"],
            ["places"],
            domain=graphs.TREES,
            keys_int64s=identity[known].tolist(),
            values_int64s=list(range(1, len(known) + 1)),
            default_int64=0,
        ),
        helper.make_node("Gather", ["own", "places"], ["learnt"]),
        helper.make_node("Add", ["said", "learnt"], ["factors"]),
        *_lengthened("factors", ITEM_LENGTH, weights),
        # In the coordinate that is missing of users' length, items have nothing.
        helper.make_node("Mul", ["missing", "zero"], ["nothing"]),
        helper.make_node("Concat", ["short", "missing", "nothing"], ["vector"], axis=1),
    ]
    inputs = [
        helper.make_tensor_value_info("content", TensorProto.FLOAT, ["n", CONTENT_WIDTH]),
        helper.make_tensor_value_info("identity", TensorProto.INT64, ["n", 1]),
    ]
    return graphs.saved("rec_items", nodes, weights, inputs, [_VECTOR], producer=PRODUCER)


def user_tower(weights: Floats, offsets: Floats) -> bytes:
    """Return the model from `history` to `vector`."""
    # (u, 1), so that the odds of the item itself count.
    arrays = {
        "weights": np.concatenate([weights, np.zeros((len(weights), 1))], axis=1),
        "offsets": np.append(offsets, 1.0),
        "zero": np.zeros((1, 1)),
    }
    nodes = [
        helper.make_node("Gemm", ["history", "weights", "offsets"], ["factors"]),
        *_lengthened("factors", USER_LENGTH, arrays),
        helper.make_node("Mul", ["missing", "zero"], ["nothing"]),
        helper.make_node("Concat", ["short", "nothing", "missing"], ["vector"], axis=1),
    ]
    width = len(weights)
    inputs = [helper.make_tensor_value_info("history", TensorProto.FLOAT, ["n", width])]
    return graphs.saved("rec_users", nodes, arrays, inputs, [_VECTOR], producer=PRODUCER)


_VECTOR: Final = helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["n", DIMENSIONS])


def _lengthened(name: str, length: float, weights: dict[str, Floats]) -> Iterator[NodeProto]:
    """Yield what divides by a length, shortens what is longer, and says what is `missing`."""
    weights |= {
        "length": np.array(length),
        "one": np.array(1.0),
        "tiny": np.array(1e-12),
        "axes": np.array([1], dtype=np.int64),
    }
    yield helper.make_node("Div", [name, "length"], ["scaled"])
    yield helper.make_node("ReduceL2", ["scaled", "axes"], ["norm"], keepdims=1)
    yield helper.make_node("Max", ["norm", "one"], ["beyond"])
    yield helper.make_node("Div", ["scaled", "beyond"], ["short"])
    yield helper.make_node("ReduceSumSquare", ["short", "axes"], ["square"], keepdims=1)
    yield helper.make_node("Sub", ["one", "square"], ["rest"])
    yield helper.make_node("Max", ["rest", "tiny"], ["positive"])
    yield helper.make_node("Sqrt", ["positive"], ["missing"])


def corrected(raw: graphs.Raw, place: int) -> graphs.Raw:
    """Return a graph whose log odds are added to those of the towers.

    The inner product of the towers' vectors is the feature at `place`.
    """
    *nodes, last = [NodeProto.FromString(each.SerializeToString()) for each in raw.nodes]
    last.output[0] = "correction"
    nodes += [
        last,
        helper.make_node("Gather", ["features", "dot"], ["near"], axis=1),
        helper.make_node("Mul", ["near", "scale"], ["odds"]),
        helper.make_node("Add", ["odds", "correction"], ["raw"]),
    ]
    weights = {
        **raw.weights,
        "dot": np.array([place], dtype=np.int64),
        "scale": ODDS,
    }
    return graphs.Raw(raw.width, nodes, weights, PRODUCER)
