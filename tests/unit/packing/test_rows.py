from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from inferd.errors import ModelFailed
from inferd.inference.packing import ROWS, Rows
from inferd.inference.request import Tensors


@dataclass
class Asked:
    inputs: Tensors
    rows: int
    outputs: tuple[str, ...] = ("y",)


def asked(*values: Any, outputs: tuple[str, ...] = ("y",)) -> Asked:
    """Return a request with a row for each of the values."""
    return Asked({"x": np.array([[value] for value in values])}, len(values), outputs)


def values(answer: Tensors, name: str = "y") -> list[Any]:
    return [row[0] for row in answer[name].tolist()]


class TestAnyNumberOfRows:
    def test_one_request_is_its_own_batch(self) -> None:
        one = asked(1, 2)

        inputs, padding = ROWS.pack([one])

        assert inputs is one.inputs
        assert padding == 0

    def test_requests_come_one_below_the_other_and_apart_again(self) -> None:
        members = [asked(1, 2), asked(3), asked(4, 5, 6, outputs=("z",))]

        inputs, padding = ROWS.pack(members)
        answers = ROWS.unpack(members, {"y": inputs["x"] * 10, "z": -inputs["x"]})

        assert inputs["x"][:, 0].tolist() == [1, 2, 3, 4, 5, 6]
        assert padding == 0
        assert [list(answer) for answer in answers] == [["y"], ["y"], ["z"]]
        assert values(answers[0]) == [10, 20]
        assert values(answers[2], "z") == [-4, -5, -6]

    def test_rows_that_were_not_asked_for_are_a_failure(self) -> None:
        with pytest.raises(ModelFailed, match=r"'y' has shape \[3, 1\] for a batch of 2 rows"):
            ROWS.unpack([asked(1), asked(2)], {"y": np.zeros((3, 1))})

    def test_rows_of_one_shape_share_a_batch(self) -> None:
        narrow, wide = {"x": np.zeros((1, 2))}, {"x": np.zeros((1, 3))}

        assert ROWS.key(narrow) == ROWS.key({"x": np.ones((5, 2))}) != ROWS.key(wide)
        assert ROWS.key(narrow) != ROWS.key({**narrow, "w": np.zeros((1, 2))})


class TestFewSizes:
    @pytest.mark.parametrize(("rows", "run"), [(1, 1), (2, 4), (3, 4), (4, 4), (5, 8), (8, 8)])
    def test_batches_are_filled_up_with_copies_of_the_last_row(self, rows: int, run: int) -> None:
        packing = Rows((1, 4, 8))
        members = [asked(value) for value in range(rows)]

        inputs, padding = packing.pack(members)

        assert inputs["x"][:, 0].tolist() == [*range(rows), *[rows - 1] * (run - rows)]
        assert padding == run - rows

    def test_nobody_gets_the_copies(self) -> None:
        packing = Rows((4,))
        members = [asked(1), asked(2, 3)]

        inputs, _ = packing.pack(members)
        answers = packing.unpack(members, {"y": inputs["x"]})

        assert [values(answer) for answer in answers] == [[1], [2, 3]]

    def test_one_request_is_filled_up_and_cut_too(self) -> None:
        packing, one = Rows((4,)), asked(7)

        inputs, padding = packing.pack([one])
        (answer,) = packing.unpack([one], {"y": inputs["x"]})

        assert (inputs["x"].shape, padding) == ((4, 1), 3)
        assert values(answer) == [7]

    def test_a_request_of_that_size_is_not_copied(self) -> None:
        one = asked(1, 2, 3, 4)

        inputs, _ = Rows((4,)).pack([one])

        assert inputs is one.inputs

    def test_text_is_filled_up_as_well(self) -> None:
        text = Asked({"x": np.array([["a"], ["b"]], np.object_)}, 2)

        inputs, _ = Rows((3,)).pack([text])

        assert inputs["x"][:, 0].tolist() == ["a", "b", "b"]

    def test_a_model_that_answers_fewer_rows_than_were_run_fails(self) -> None:
        with pytest.raises(ModelFailed, match="for a batch of 4 rows"):
            Rows((4,)).unpack([asked(1)], {"y": np.zeros((1, 1))})
