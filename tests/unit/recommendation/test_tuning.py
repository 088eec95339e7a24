import pytest

from inferd.config.recommendation import Recommendation
from inferd.errors import InvalidRequest
from inferd.services.recommendation.tuning import UNTUNED, Tuning, tunable

TUNABLE = tunable(
    Recommendation.model_validate({"rankers": [{"name": "trees", "model": "m", "inputs": ["x"]}]})
)


def test_what_can_be_tuned_is_named_by_what_it_changes() -> None:
    assert TUNABLE.parameters["diversity"] == "float64"
    assert TUNABLE.parameters["new_share"] == "float64"
    assert TUNABLE.parameters["weight_trees"] == "float64"
    assert TUNABLE.parameters["quota_covisits"] == "int64"


def test_what_is_not_set_stays() -> None:
    assert TUNABLE.of({}) is UNTUNED
    assert TUNABLE.of({"weight_trees": 2}) == Tuning(weights=(("trees", 2.0),))


def test_what_is_out_of_range_is_moved_into_it() -> None:
    values = {"diversity": 3.0, "new_share": -1, "weight_trees": -2.0, "quota_new": -5}
    assert TUNABLE.of(values) == Tuning(1.0, 0.0, (("trees", 0.0),), (("new", 0),))


def test_the_same_tuning_is_one_key_however_it_was_said() -> None:
    one = TUNABLE.of({"quota_new": 5, "quota_covisits": 7})
    assert hash(one) == hash(TUNABLE.of({"quota_covisits": 7, "quota_new": 5}))


def test_a_parameter_that_there_is_not_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="weight_network"):
        TUNABLE.of({"weight_network": 1.0})
