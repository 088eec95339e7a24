"""A list of things that differ."""

import numpy as np

from inferd.services.recommendation.diversity import Diversity

VECTORS = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], np.float32)
WORTH = np.array([1.0, 0.9, 0.5, 0.4])


def chosen(weight: float) -> list[int]:
    diversity = Diversity(VECTORS, WORTH, weight)
    left, order = np.ones(len(WORTH), np.bool_), list[int]()
    while left.any():
        order.append(place := diversity.best(left))
        left[place] = False
        diversity.took(place)
    return order


def test_with_no_weight_the_best_come_first() -> None:
    assert chosen(0.0) == [0, 1, 2, 3]


def test_what_is_like_the_first_waits_for_what_is_not() -> None:
    assert chosen(0.5) == [0, 2, 3, 1]


def test_being_the_opposite_of_something_is_no_merit() -> None:
    worth = np.array([1.0, 0.0, 0.41, 0.4])
    diversity = Diversity(VECTORS, worth, 0.5)
    diversity.took(0)

    assert diversity.best(np.array([False, False, True, True])) == 2


def test_of_equals_the_first_is_chosen() -> None:
    diversity = Diversity(VECTORS, np.ones(4), 0.3)

    assert diversity.best(np.array([False, True, True, True])) == 1
