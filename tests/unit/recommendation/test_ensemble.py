"""One score out of what several rankers say."""

import math
from typing import Any

import numpy as np
import pytest

from inferd.config.recommendation.rankers import Ranker
from inferd.errors import TimedOut
from inferd.resilience.degradation import Degradation
from inferd.services.recommendation.ensemble import Ensemble, fused

RIGHT = [0.2, 0.4]


def ranker(name: str, weight: float = 1.0, **changes: Any) -> Ranker:
    return Ranker(name=name, model=name, inputs=("item.price",), weight=weight, **changes)


def test_what_rankers_say_is_averaged_by_weight() -> None:
    ensemble = Ensemble([ranker("trees", 3), ranker("network", 1)])

    blend = ensemble.blend({"trees": [0.2, 0.8], "network": [0.6, 0.4]}, 2)

    assert blend.scores == pytest.approx([0.3, 0.7])
    assert blend.weights == {"trees": 0.75, "network": 0.25}
    assert blend.degradations == ()


def test_when_a_ranker_is_missing_the_others_weights_are_scaled_to_1_and_it_is_said_so() -> None:
    ensemble = Ensemble([ranker("trees", 3), ranker("network", 1), ranker("slow", 4)])

    blend = ensemble.blend(
        {"trees": [0.2, 0.8], "network": [0.6, 0.4], "slow": TimedOut("it is slow")}, 2
    )

    assert blend.scores == pytest.approx([0.3, 0.7])
    assert blend.weights == {"trees": 0.75, "network": 0.25}
    assert blend.degradations == (Degradation("slow", "none", "TIMED_OUT"),)


def test_when_none_answers_there_are_no_scores() -> None:
    blend = Ensemble([ranker("trees")]).blend({"trees": TimedOut("it is slow")}, 2)

    assert blend.scores is None
    assert [each.stage for each in blend.degradations] == ["trees"]


@pytest.mark.parametrize(
    "wrong",
    [
        [0.2, math.nan],
        [0.2, math.inf],
        [0.2, 1.7],
        [-0.5, 0.2],
        [0.2],
        [0.2, 0.3, 0.4],
        [[], []],
    ],
)
def test_one_score_that_cannot_be_meant_is_a_failure_of_its_ranker(wrong: list[Any]) -> None:
    ensemble = Ensemble([ranker("good"), ranker("bad")])

    blend = ensemble.blend({"good": RIGHT, "bad": wrong}, 2)

    assert blend.scores == pytest.approx(RIGHT)
    assert blend.degradations == (Degradation("bad", "none", "DEPENDENCY_FAILED"),)


def test_of_two_classes_the_second_counts() -> None:
    blend = Ensemble([ranker("a")]).blend({"a": [[0.8, 0.2], [0.6, 0.4]]}, 2)

    assert blend.scores == pytest.approx(RIGHT)


def test_a_logarithm_of_odds_becomes_a_probability_however_large_it_is() -> None:
    blend = Ensemble([ranker("a", says="logit")]).blend({"a": [-1e30, 0.0, math.log(3), 1e30]}, 4)

    assert blend.scores == pytest.approx([0.0, 0.5, 0.75, 1.0])


def test_calibration_says_what_a_score_is_worth() -> None:
    knots = ((-1.0, 0.1), (1.0, 0.3))
    blend = Ensemble([ranker("a", calibration=knots)]).blend({"a": [-9.0, 0.0, 0.5, 9.0]}, 4)

    assert blend.scores == pytest.approx([0.1, 0.2, 0.25, 0.3])


@pytest.mark.parametrize("knots", [((0.0, 0.1), (0.0, 0.2)), ((0.0, 0.2), (1.0, 0.1))])
def test_a_calibration_that_falls_is_refused(knots: Any) -> None:
    with pytest.raises(ValueError, match="calibration"):
        ranker("a", calibration=knots)


def test_rounding_is_no_failure() -> None:
    blend = Ensemble([ranker("a")]).blend({"a": [1.000001, -1e-6]}, 2)

    assert blend.scores is not None
    assert blend.scores.tolist() == [1.0, 0.0]


def test_no_candidates_are_no_failure() -> None:
    blend = Ensemble([ranker("a")]).blend({"a": np.zeros((0, 1), np.float32)}, 0)

    assert blend.scores is not None
    assert len(blend.scores) == 0
    assert not blend.degradations


def test_without_rankers_what_more_sources_found_first_is_better() -> None:
    found = [np.array([7, 3, 5]), np.array([3, 9])]

    scores = fused(found, np.array([3, 5, 7]))

    assert scores == pytest.approx([(61 / 62 + 1) / 2, 61 / 63 / 2, 0.5])
