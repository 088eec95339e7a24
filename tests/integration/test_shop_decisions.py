"""What rules and models decide together, against each alone, on payments that none learnt from."""

import numpy as np
import pytest

from inferd.services.fraud.vocabulary import Decision
from shop.deciding import Known, known
from shop.evaluate_fraud import CASCADE, RULES, compared, cost_minor
from shop.train_fraud import WARM_UP_DAYS
from shop.vectors import vectors
from shop.world import World

ANOTHER_SEED = 1234
SLACK = 0.06
"""What recall at 0.1 % false positives may be less: there are 50 frauds."""


@pytest.fixture(scope="module")
def world() -> World:
    return World.generate(ANOTHER_SEED, 30, users=1000, items=1000)


@pytest.fixture(scope="module")
def of(world: World) -> Known:
    return known(world, from_day=WARM_UP_DAYS)


def test_models_are_told_what_they_learnt_from(world: World, of: Known) -> None:
    learnt_from = vectors(world)

    late = learnt_from.day >= WARM_UP_DAYS
    for told in of.rows.values():
        np.testing.assert_array_equal(told, learnt_from.values[late])


def test_together_they_are_far_better_than_rules_and_about_as_good_as_the_best_model(
    of: Known,
) -> None:
    """They are not better than that, as the README of the shop tells."""
    found = {each.who: each for each in compared(of)}
    cascade, rules = found.pop(CASCADE), found.pop(RULES)

    assert cascade.area > 5 * rules.area
    assert cascade.recall > 5 * rules.recall
    assert cascade.cost_minor < 0.6 * rules.cost_minor
    assert cascade.recall >= max(each.recall for each in found.values()) - SLACK


def test_what_a_decision_costs() -> None:
    assert cost_minor(Decision.APPROVE, 10_000, is_fraud=False) == 0
    assert cost_minor(Decision.APPROVE, 10_000, is_fraud=True) == 12_000
    assert cost_minor(Decision.BLOCK, 10_000, is_fraud=True) == 0
    assert cost_minor(Decision.BLOCK, 10_000, is_fraud=False) == pytest.approx(2_000)
