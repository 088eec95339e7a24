"""What a file of experiments may say; all that is wrong with it is told, each with its key."""

import re
from pathlib import Path
from typing import Any

import pytest

from inferd.app.experiments import compiled
from inferd.config.reading import Refused
from inferd.experiments.definitions import Asking
from inferd.experiments.experiments import Experiments
from support.experiments import experiment, in_force, text

LAYERS = {"layers": [{"name": "ranking", "unit": "user_id"}]}


def refused(*experiments: dict[str, Any], **more: Any) -> tuple[str, ...]:
    with pytest.raises(Refused) as caught:
        in_force(*experiments, more=more)
    return caught.value.problems


def arms(**parameters: Any) -> list[dict[str, Any]]:
    return [{"name": "control"}, {"name": "treatment", "parameters": parameters}]


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"coverge": 0.5}, "experiments.mmr.coverge: no such key"),
        ({"coverage": 1.5}, "experiments.mmr.coverage: Input should be less than or equal to 1"),
        ({"surface": "hme"}, "experiments.mmr.surface: there is no hme; there are home, search"),
        ({"unit": "usr_id"}, "experiments.mmr.unit: home does not say usr_id"),
        ({"layer": "rankng"}, "experiments.mmr.layer: there is no layer rankng"),
        ({"when": "contry == 'FR'"}, "experiments.mmr.when: .*did you mean country"),
        ({"when": "country"}, "experiments.mmr.when: it is string, and somebody is meant or not"),
        ({"when": "country =="}, "experiments.mmr.when: .*line 1"),
        ({"state": "paused"}, "experiments.mmr.state: .*'draft', 'running' or 'stopped'"),
        ({"arms": arms(divrsity=0.5)}, "treatment.parameters.divrsity: home knows no such"),
        ({"arms": arms(diversity="x")}, "parameters.diversity: it is float64, not string"),
        ({"arms": arms(depth=True)}, "parameters.depth: it is int64, not bool"),
        ({"forced": {"ann": "other"}}, "forced.ann: there is no arm 'other'; there are control"),
        ({"arms": [{"name": "a"}, {"name": "a"}]}, "their names must differ"),
        ({"arms": [{"name": "a", "weight": 1}, {"name": "b"}]}, "either all have a weight"),
        (
            {"arms": [{"name": "a", "weight": 0.5}, {"name": "b", "weight": 0.4}]},
            "weights must add up to 1, not 0.9",
        ),
        ({"range": [0, 0.5]}, "range: it is a part of a layer"),
        ({"unit": None}, "unit: it is required without a layer"),
        ({"interleaved": True, "forced": {"ann": "control"}}, "nobody can be forced"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_key(said: dict[str, Any], problem: str) -> None:
    (told,) = refused(experiment(**said))

    assert told.startswith("experiments.mmr")
    assert re.search(problem, told), told


def test_all_that_is_wrong_is_told_at_once() -> None:
    problems = refused(
        experiment("one", surface="hme"),
        experiment("one", when="contry == 'FR'"),
        holdouts=[{"name": "all", "unit": "usr_id", "share": 0.1}],
    )

    keys = {each.partition(": ")[0] for each in problems}
    assert keys == {
        "experiments.one",
        "experiments.one.surface",
        "experiments.one.when",
        "holdouts.all.unit",
    }


def test_experiments_of_a_layer_must_not_overlap() -> None:
    one = experiment("one", layer="ranking", range=[0, 0.5])

    (problem,) = refused(one, experiment("other", layer="ranking", range=[0.4, 1]), **LAYERS)

    assert problem == (
        "experiments.other.range: 0.4 to 1 of layer ranking overlaps with one, which has 0 to 0.5"
    )


def test_a_stopped_experiment_makes_room_in_its_layer() -> None:
    in_force(
        experiment("one", layer="ranking", state="stopped"),
        experiment("other", layer="ranking"),
        more=LAYERS,
    )


def test_two_that_a_unit_can_be_in_must_not_set_the_same_parameter() -> None:
    one, other = experiment("one", arms=arms(depth=1)), experiment("other", arms=arms(depth=2))

    (problem,) = refused(one, other)

    assert problem.startswith("experiments.other.arms: one sets depth, too")


def test_two_of_a_layer_may_set_the_same_parameter() -> None:
    in_force(
        experiment("one", layer="ranking", range=[0, 0.5], arms=arms(depth=1)),
        experiment("other", layer="ranking", range=[0.5, 1], arms=arms(depth=2)),
        more=LAYERS,
    )


def test_arms_agree_on_types_where_nobody_says_what_there_is() -> None:
    mixed = [{"name": "a", "parameters": {"x": 1}}, {"name": "b", "parameters": {"x": 1.0}}]

    (problem,) = refused(experiment(surface="search", arms=mixed))

    assert problem == "experiments.mmr.arms.b.parameters.x: it is int64, not float64"


@pytest.mark.parametrize("wrong", ["[", "- a", "experiments: {", "42"])
def test_what_is_no_file_of_experiments_is_refused(wrong: str) -> None:
    there = in_force(experiment())

    with pytest.raises(Refused):
        there.checked(wrong)


def test_the_example_in_the_docs_is_a_file_of_experiments() -> None:
    docs = Path(__file__).parents[3] / "docs" / "experiments.md"
    said = docs.read_text().partition("```yaml\n")[2].partition("```")[0]
    lists = Asking(
        "recommendation",
        units=("user_id", "session_id"),
        attributes={"country": "string", "interactions": "int64"},
        parameters=dict.fromkeys(
            ("diversity", "weight_rec_trees", "weight_rec_network"), "float64"
        ),
    )

    there = Experiments(said, [lists], compiled)

    assert [each.name for each in there.definitions.declared.experiments] == [
        "diverse_lists",
        "old_or_new_ranker",
    ]


def moved(before: str, after: str) -> list[str]:
    there = in_force()
    there.replace(there.checked(before))
    return [each.partition(":")[0] for each in there.compared(there.checked(after)).moved]


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"coverage": 0.4}, "experiments.mmr.coverage"),
        ({"seed": "another"}, "experiments.mmr"),
        ({"hash": "growthbook_2"}, "experiments.mmr"),
        ({"arms": [{"name": "control"}, {"name": "other"}]}, "experiments.mmr.arms"),
        (
            {"arms": [{"name": "control", "weight": 0.1}, {"name": "treatment", "weight": 0.9}]},
            "experiments.mmr.arms",
        ),
    ],
)
def test_it_is_told_what_moves_units(said: dict[str, Any], key: str) -> None:
    before = text(experiment(coverage=0.5))

    assert moved(before, text(experiment(**{"coverage": 0.5, **said}))) == [key]


def test_what_moves_a_whole_layer_is_told() -> None:
    it = experiment(layer="ranking", range=[0.2, 0.5])
    narrower = experiment(layer="ranking", range=[0.3, 0.5])
    other = {"layers": [{"name": "ranking", "unit": "user_id", "seed": "2"}]}

    assert moved(text(it, **LAYERS), text(narrower, **LAYERS)) == ["experiments.mmr.range"]
    assert moved(text(it, **LAYERS), text(it, **other)) == ["layers.ranking"]


@pytest.mark.parametrize(
    "said",
    [{"coverage": 0.7}, {"when": "true"}, {"revision": 2, "seed": "x"}, {"state": "stopped"}],
)
def test_what_moves_nobody_from_arm_to_arm_is_not_told(said: dict[str, Any]) -> None:
    before = text(experiment(coverage=0.5))

    assert moved(before, text(experiment(**{"coverage": 0.5, **said}))) == []
