"""One risk out of many scores, and who has which share in it."""

import math

import pytest
from pydantic import ValidationError

from inferd.services.fraud.declared_rules import Declared
from inferd.services.fraud.scoring import Model, risk
from support.fraud import rule, rule_set


def violations(*scores: float) -> list[Declared]:
    rules = rule_set(*(rule(f"r{at}", score=score) for at, score in enumerate(scores)))
    return [each.declared for each in rules.rules]


def test_models_are_averaged_by_weight() -> None:
    models = {"a": Model(weight=3), "b": Model(weight=1)}

    assert risk(models, {"a": 0.2, "b": 0.6}, []).score == pytest.approx(0.3)


def test_weights_are_scaled_to_the_models_that_answered() -> None:
    models = {"a": Model(weight=3), "b": Model(weight=1), "c": Model(weight=4)}

    found = risk(models, {"a": 0.2, "b": 0.6}, [])

    assert found.score == pytest.approx(0.3)
    assert [(each.model, each.weight) for each in found.models] == [("a", 0.75), ("b", 0.25)]


def test_rules_raise_the_risk_as_independent_causes_do() -> None:
    found = risk({"a": Model()}, {"a": 0.5}, violations(0.5, 0.2))

    assert found.score == pytest.approx(1 - 0.5 * 0.5 * 0.8)


def test_without_models_the_rules_speak_alone() -> None:
    assert risk({}, {}, []).score == 0
    assert risk({}, {}, violations(0.4)).score == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("raw", "probability"), [(-9, 0.1), (0, 0.1), (1, 0.15), (2, 0.2), (3, 0.55), (9, 0.9)]
)
def test_a_score_becomes_a_probability_by_its_curve(raw: float, probability: float) -> None:
    model = Model(calibration=((0, 0.1), (2, 0.2), (4, 0.9)))

    assert model.calibrated(raw) == pytest.approx(probability)


def test_scores_beyond_zero_and_one_stay_within() -> None:
    assert [Model().calibrated(raw) for raw in (-1, 0.25, 7)] == [0, 0.25, 1]


@pytest.mark.parametrize(
    ("knots", "problem"),
    [
        (((0, 0), (0, 1)), "0.0 comes after 0.0"),
        (((0, 0.5), (1, 0.4)), r"at 1.0 it falls from 0.5 to 0.4"),
        (((0, 2),), "less than or equal to 1"),
        (((math.inf, 1),), "less than or equal to"),
        (((math.nan, 1),), "less than or equal to"),
        ((), "at least 1 item"),
    ],
)
def test_a_curve_that_falls_is_refused(
    knots: tuple[tuple[float, float], ...], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Model(calibration=knots)


def test_reasons_are_shares_of_the_risk_the_largest_first() -> None:
    found = risk({"a": Model(), "b": Model()}, {"a": 0.1, "b": 0.3}, violations(0.05, 0.6))

    assert [each.code for each in found.reasons] == ["rule.r1", "model.b", "model.a", "rule.r0"]
    assert sum(each.contribution for each in found.reasons) == pytest.approx(1)
    shares = {each.code: each.contribution for each in found.reasons}
    assert shares["model.b"] == pytest.approx(3 * shares["model.a"])


def test_certainty_has_a_share_as_well() -> None:
    found = risk({"a": Model()}, {"a": 1.0}, violations(1.0))

    assert found.score == 1
    assert [each.contribution for each in found.reasons] == [0.5, 0.5]


def test_what_says_nothing_is_no_reason() -> None:
    assert risk({"a": Model()}, {"a": 0.0}, []).reasons == ()
