"""Outputs as their highest classes, written as Triton writes them."""

from typing import Any

import numpy as np
import pytest

from inferd.services.open_inference.classification import top_classes


def classes(values: Any, count: int, *labels: str, dtype: str = "<f4") -> list[Any]:
    """Classify rows."""
    result = top_classes(np.array(values, dtype), count, labels, batches=True)
    assert result.dtype == np.object_
    listed: list[Any] = result.tolist()
    return listed


def test_the_highest_come_first_with_value_index_and_label() -> None:
    assert classes([[0.1, 0.7, 0.2]], 2, "cat", "dog", "fox") == [
        [b"0.700000:1:dog", b"0.200000:2:fox"]
    ]


def test_without_labels_there_is_no_third_part() -> None:
    assert classes([[1.5, 2.5]], 2) == [[b"2.500000:1", b"1.500000:0"]]
    assert classes([[1.5, 2.5]], 2, "only the first") == [
        [b"2.500000:1", b"1.500000:0:only the first"]
    ]


def test_each_row_is_classified_by_itself() -> None:
    assert classes([[1, 2], [4, 3]], 1, dtype="<i4") == [[b"2:1"], [b"4:0"]]


def test_a_model_without_batches_has_one_list() -> None:
    result = top_classes(np.array([[1, 3], [2, 0]]), 2, (), batches=False)

    assert result.tolist() == [b"3:1", b"2:2"]


def test_no_more_classes_than_there_are() -> None:
    assert classes([[1.0, 2.0]], 2**62) == [[b"2.000000:1", b"1.000000:0"]]
    assert top_classes(np.zeros((2, 0)), 3, (), batches=True).shape == (2, 0)
    assert top_classes(np.zeros(0), 3, (), batches=False).shape == (0,)


@pytest.mark.parametrize("dtype", ["<u1", "<i8", "<f4", "<f8"])
def test_equal_values_are_in_the_order_of_their_indices(dtype: str) -> None:
    [row] = classes([[1, 2, 2, 1, 2]], 5, dtype=dtype)

    assert [each.split(b":")[1] for each in row] == [b"1", b"2", b"4", b"0", b"3"]


def test_unsigned_and_extreme_numbers_are_ordered_as_what_they_are() -> None:
    [row] = classes([[0, 2**64 - 1, 2**63]], 3, dtype="<u8")
    assert row == [b"18446744073709551615:1", b"9223372036854775808:2", b"0:0"]

    [row] = classes([[np.nan, -1.0, np.inf]], 3)
    assert row == [b"inf:2", b"-1.000000:1", b"nan:0"]
