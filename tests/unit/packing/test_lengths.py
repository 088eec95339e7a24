from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from inferd.errors import InvalidRequest, ModelFailed
from inferd.inference.packing import Lengths, Rows
from inferd.inference.request import Tensors

LENGTHS = Lengths((2, 4), {"ids": 1, "mask": 1}, {"scores": (1,)}, {"ids": 9})


@dataclass
class Asked:
    inputs: Tensors
    rows: int = 1
    outputs: tuple[str, ...] = ("scores",)


def asked(*ids: int, **more: Any) -> Asked:
    return Asked({"ids": np.array([ids]), "mask": np.ones((1, len(ids)), int), **more})


def test_sequences_of_one_bucket_share_a_batch() -> None:
    key = Rows((), LENGTHS).key

    assert key(asked(1).inputs) == key(asked(1, 2).inputs)
    assert key(asked(1, 2).inputs) != key(asked(1, 2, 3).inputs)
    assert key(asked(1).inputs) != key(asked(1, extra=np.zeros(1)).inputs)


def test_sequences_are_filled_up_to_their_bucket_and_cut_back() -> None:
    packing = Rows((), LENGTHS)
    members = [asked(1, 2, 3), asked(4, 5, 6, 7)]

    inputs, padding = packing.pack(members)
    answers = packing.unpack(members, {"scores": inputs["ids"] * 10})

    assert inputs["ids"].tolist() == [[1, 2, 3, 9], [4, 5, 6, 7]]
    assert inputs["mask"].tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert padding == 0, "it counts rows"
    assert [answer["scores"].tolist() for answer in answers] == [[[10, 20, 30]], [[40, 50, 60, 70]]]


def test_one_alone_is_filled_up_just_so() -> None:
    packing, one = Rows((), LENGTHS), asked(1)

    inputs, _ = packing.pack([one])
    (answer,) = packing.unpack(
        [one],
        {
            "scores": inputs["ids"],
        },
    )

    assert inputs["ids"].tolist() == [[1, 9]]
    assert answer["scores"].tolist() == [[1]]


def test_rows_are_filled_up_as_well_where_batches_have_sizes() -> None:
    packing, one = Rows((2,), LENGTHS), asked(1)

    inputs, padding = packing.pack([one])
    (answer,) = packing.unpack([one], {"scores": inputs["ids"]})

    assert (inputs["ids"].tolist(), padding) == ([[1, 9], [1, 9]], 1)
    assert answer["scores"].tolist() == [[1]]


def test_sequences_that_are_as_long_as_their_bucket_are_not_copied() -> None:
    inputs = asked(1, 2).inputs

    assert LENGTHS.padded(inputs) is inputs


def test_inputs_without_a_length_stay_as_they_are() -> None:
    static = np.array([[1.0, 2.0, 3.0]])

    assert LENGTHS.padded(asked(1, static=static).inputs)["static"] is static


def test_an_output_may_vary_in_several_dimensions_and_not_in_the_first() -> None:
    lengths = replace(LENGTHS, outputs={"attention": (2, 3)})
    cube = np.arange(16).reshape(1, 1, 4, 4)

    cut = lengths.cut(asked(1, 2, 3).inputs, {"attention": cube, "pooled": cube})

    assert cut["attention"].tolist() == [[[[0, 1, 2], [4, 5, 6], [8, 9, 10]]]]
    assert cut["pooled"].shape == cube.shape


def test_text_and_dimensions_further_back_are_filled_up() -> None:
    words = {"x": np.array([[["a"], ["b"]]], np.object_)}

    assert Lengths((3,), {"x": 1}).padded(words)["x"].tolist() == [[["a"], ["b"], [""]]]
    assert Lengths((2,), {"x": 2}).padded(words)["x"].tolist() == [[["a", ""], ["b", ""]]]


def test_nothing_at_all_is_filled_up_to_the_smallest_bucket() -> None:
    nothing = Asked({"ids": np.empty((1, 0), int), "mask": np.empty((1, 0), int)})

    assert LENGTHS.padded(nothing.inputs)["ids"].tolist() == [[9, 9]]
    assert LENGTHS.cut(nothing.inputs, {"scores": np.zeros((1, 2))})["scores"].shape == (1, 0)


def test_a_request_longer_than_the_largest_bucket_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="have length 5, the model takes at most 4"):
        LENGTHS.key(asked(1, 2, 3, 4, 5).inputs)


def test_a_request_whose_inputs_are_of_different_lengths_is_refused() -> None:
    inputs = {**asked(1, 2).inputs, "mask": np.ones((1, 1))}

    with pytest.raises(InvalidRequest, match="must have one length, 'mask' has 1 and others 2"):
        LENGTHS.key(inputs)


@pytest.mark.parametrize("shape", [(1, 3), (1, 5), (1,)])
def test_an_output_of_another_length_cannot_be_cut_back(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelFailed, match="sequences of length 4: dimension 1 cannot be cut"):
        LENGTHS.cut(asked(1, 2, 3).inputs, {"scores": np.zeros(shape)})


def test_a_sequence_can_be_made_into_one_of_any_length() -> None:
    stretched = LENGTHS.stretched(asked(1, 2, static=np.zeros(1)).inputs, 5)

    assert stretched["ids"].tolist() == [[1, 2, 1, 2, 1]]
    assert stretched["static"].shape == (1,)


def test_and_one_without_elements_into_what_is_filled_in() -> None:
    nothing = {"ids": np.empty((1, 0), int), "mask": np.empty((1, 0), int)}

    stretched = LENGTHS.stretched(nothing, 3)

    assert stretched["ids"].tolist() == [[9, 9, 9]]
    assert stretched["mask"].tolist() == [[0, 0, 0]]
