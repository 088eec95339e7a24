"""The examples are those of Triton's `model_config.proto` and of its guide to ragged batching."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from inferd.errors import ModelFailed
from inferd.inference.packing import BatchInput, Kind, Ragged
from inferd.inference.request import Tensors

INT32 = np.dtype(np.int32)


@dataclass
class Asked:
    inputs: Tensors
    rows: int = 1
    outputs: tuple[str, ...] = ("y",)


def of_shape(*shape: int, start: int = 0) -> Asked:
    count = int(np.prod(shape))
    return Asked({"x": np.arange(start, start + count).reshape(shape)}, shape[0])


def batch_input(kind: str, *members: Asked, dtype: Any = INT32) -> Any:
    packing = Ragged(frozenset("x"), [BatchInput(Kind(kind), ("INDEX",), "x", np.dtype(dtype))])
    inputs, _ = packing.pack(members)
    assert inputs["INDEX"].dtype == dtype
    return inputs["INDEX"].tolist()


THREE = (of_shape(1, 3), of_shape(1, 4), of_shape(1, 5))
ITEMS = (of_shape(2, 3, 1), of_shape(1, 2, 2))


@pytest.mark.parametrize(
    ("kind", "members", "values"),
    [
        ("BATCH_ELEMENT_COUNT", THREE, [3, 4, 5]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT", THREE, [3, 7, 12]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT", (of_shape(1, 2), of_shape(1, 2)), [2, 4]),
        ("BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", THREE, [0, 3, 7, 12]),
        ("BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", THREE, [0, 0, 0, 0, 0]),
        ("BATCH_ITEM_SHAPE", ITEMS, [[3, 1], [3, 1], [2, 2]]),
        ("BATCH_ITEM_SHAPE_FLATTEN", ITEMS, [3, 1, 3, 1, 2, 2]),
        ("BATCH_ELEMENT_COUNT", ITEMS, [6, 4]),
    ],
)
def test_the_graph_is_told_whose_elements_are_where(
    kind: str, members: tuple[Asked, ...], values: Any
) -> None:
    assert batch_input(kind, *members) == values
    assert batch_input(kind, *members, dtype=np.float32) == values


def test_elements_become_one_list_and_other_inputs_rows() -> None:
    packing = Ragged(frozenset("x"))
    one = Asked({"x": np.array([[1, 2, 3]]), "w": np.array([[7]])})
    other = Asked({"x": np.array([[4]]), "w": np.array([[8]])})

    inputs, padding = packing.pack([one, other])

    assert inputs["x"].tolist() == [1, 2, 3, 4]
    assert inputs["w"].tolist() == [[7], [8]]
    assert padding == 0
    assert packing.pack([one])[0]["x"].tolist() == [1, 2, 3]


def test_every_target_gets_the_same() -> None:
    count = BatchInput(Kind.ELEMENT_COUNT, ("a", "b"), "x", INT32)

    inputs, _ = Ragged(frozenset("x"), [count]).pack(THREE)

    assert inputs["a"].tolist() == inputs["b"].tolist() == [3, 4, 5]


def test_only_the_shapes_of_inputs_that_are_not_ragged_must_agree() -> None:
    key = Ragged(frozenset("x")).key
    w = np.zeros((1, 2))

    assert key({"x": np.zeros((1, 2)), "w": w}) == key({"x": np.zeros((1, 9)), "w": w})
    assert key({"x": w, "w": w}) != key({"x": w, "w": np.zeros((1, 3))})
    assert key({"x": w}) != key({"x": w, "w": w})


def test_outputs_have_a_row_for_every_row() -> None:
    packing, members = Ragged(frozenset("x")), (of_shape(2, 3), of_shape(1, 5))

    answers = packing.unpack(members, {"y": np.array([[1], [2], [3]])})

    assert [answer["y"].tolist() for answer in answers] == [[[1], [2]], [[3]]]
    for rows in (2, 4):
        with pytest.raises(ModelFailed, match="for a batch of 3 rows"):
            packing.unpack(members, {"y": np.zeros((rows, 1))})
    with pytest.raises(ModelFailed, match="for a batch of 2 rows"):
        packing.unpack(members[:1], {"y": np.zeros((1, 1))})


def test_scattered_outputs_take_the_shape_of_their_input() -> None:
    members = (of_shape(2, 2), of_shape(1, 3))
    packing = Ragged(frozenset("x"), scattered={"y": ("x", (-1, -1)), "pairs": ("x", (-1, -1, 2))})
    for member in members:
        member.outputs = ("y", "pairs")

    first, second = packing.unpack(members, {"y": np.arange(7), "pairs": np.arange(14)})

    assert first["y"].tolist() == [[0, 1], [2, 3]]
    assert second["y"].tolist() == [[4, 5, 6]]
    assert second["pairs"].tolist() == [[[8, 9], [10, 11], [12, 13]]]
    for size in (6, 8):
        with pytest.raises(ModelFailed, match=f"'y' has {size} elements for a batch of 7"):
            packing.unpack(members, {"y": np.arange(size)})


def test_requests_without_elements_are_requests_all_the_same() -> None:
    nothing = Asked({"x": np.empty((1, 0), int)})

    assert batch_input("BATCH_ACCUMULATED_ELEMENT_COUNT", nothing, of_shape(1, 2)) == [0, 2]
    assert batch_input("BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", nothing) == []
