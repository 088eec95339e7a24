"""Draws depend on their names; arithmetic is as exact as it has to be."""

import math

import numpy as np
import pytest

from shop.dice import Dice, exp, log, names


def test_a_draw_does_not_depend_on_those_before_it() -> None:
    one, other = Dice(1), Dice(1)
    other.uniform("first", 10)

    assert one.uniform("x", 5).tolist() == other.uniform("x", 5).tolist()
    assert one.of("a").uniform("x", 5).tolist() != one.of("b").uniform("x", 5).tolist()


def test_the_same_name_is_not_drawn_twice() -> None:
    dice = Dice(1)
    dice.uniform("x", 5)

    with pytest.raises(ValueError, match="x: drawn before"):
        dice.normal("x", 5)


def test_draws_are_spread_as_they_should_be() -> None:
    dice = Dice(3)
    uniform, normal = dice.uniform("u", 100_000), dice.normal("n", 100_000)
    chosen = dice.chosen("c", [1, 2, 0, 1], 100_000)

    assert 0 <= uniform.min() < 0.001
    assert 0.999 < uniform.max() < 1
    assert uniform.mean() == pytest.approx(0.5, abs=0.005)
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=0.02)
    assert np.bincount(chosen) / 100_000 == pytest.approx([0.25, 0.5, 0, 0.25], abs=0.01)


def test_the_first_numbers_of_a_name_are_these() -> None:
    assert Dice(7).bits("x", 3).tolist() == [
        7723719115888544850,
        1054244979547945100,
        3992296194194298890,
    ]


def test_functions_are_exact_to_a_few_units_in_the_last_place() -> None:
    x = np.linspace(-20, 20, 4001)

    assert exp(x) == pytest.approx([math.exp(each) for each in x], rel=1e-15)
    positive = exp(x)
    assert log(positive) == pytest.approx(
        [math.log(each) for each in positive], rel=4e-15, abs=1e-15
    )


def test_names_are_all_different() -> None:
    made = names("u", np.arange(100_000), 7)

    assert len(set(made)) == len(made)
    assert made != names("u", np.arange(100_000), 8)
