"""The search over parameters: seeded, the same for every policy, what is published included."""

import inspect
from collections.abc import Iterator

import pytest

from inferd_perf.simulation.baselines import BASELINES
from inferd_perf.simulation.baselines.nexus import Nexus
from inferd_perf.simulation.grid import Cell
from inferd_perf.simulation.setting import MakePolicy
from inferd_perf.simulation.tuning import BUDGET, SPACES, combinations, tune
from unit.perf.baselines.rules import a_setting


def shares_near(best: float) -> object:
    """Return cells in which a Nexus is the better the nearer its target is to `best`."""

    def cells(make: MakePolicy) -> Iterator[Cell]:
        policy = make(a_setting(20.0))
        assert isinstance(policy, Nexus)
        for seed in (0.0, 0.1):
            yield {"success": seed + 1 / (1 + abs(policy.target - best))}

    return cells


def test_every_policy_has_parameters_and_all_of_them_are_its_own() -> None:
    assert SPACES.keys() == BASELINES.keys()
    for name, space in SPACES.items():
        own = inspect.signature(BASELINES[name]).parameters
        assert set(space) <= set(own), name


@pytest.mark.parametrize("policy", SPACES)
def test_every_combination_makes_a_policy_and_the_default_is_among_them(policy: str) -> None:
    space = SPACES[policy]
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(BASELINES[policy]).parameters.items()
        if name in space
    }

    tried = combinations(space, 1, BUDGET)

    assert defaults in tried, "what was found is what is used"
    for parameters in tried:
        assert len(BASELINES[policy](a_setting(20.0), **parameters)) == 0


def test_no_combination_twice_and_no_more_than_the_budget() -> None:
    space = {"a": (1, 2, 3), "b": (1, 2, 3)}

    tried = combinations(space, 7, 5)

    assert tried[0] == {"a": 1, "b": 1}, "what is published"
    assert len(tried) == len({(each["a"], each["b"]) for each in tried}) == 5
    assert combinations(space, 7, 5) == tried
    assert combinations(space, 8, 5) != tried
    assert len(combinations(space, 7, 100)) == 9


def test_the_best_comes_first_with_its_mean_success() -> None:
    cells = shares_near(4.0)
    assert callable(cells)

    trials = tune("nexus", cells, seed=1)

    assert trials[0].parameters == {"share": 0.2}
    assert trials[0].success == pytest.approx(1.05)
    assert [trial.success for trial in trials] == sorted(
        (trial.success for trial in trials), reverse=True
    )


def test_between_equals_what_is_published() -> None:
    cells = shares_near(8.0)
    assert callable(cells)

    assert tune("nexus", cells, seed=1)[0].parameters == {"share": 0.5}


def test_a_policy_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        tune("best", lambda _: [])
