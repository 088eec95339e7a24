"""The table that all assessments go through, line by line."""

from typing import Any

import pytest

from inferd.services.fraud.rules import Report
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.verdict import Verdict, after_models, before_models
from inferd.services.fraud.vocabulary import Basis, Decision, RiskLevel
from support.fraud import policy, rule, rule_set, values

PAYMENT = Payment(1000, "EUR")
MODELS: dict[str, dict[str, float]] = {name: {} for name in ("a", "b", "c")}
CONSERVATIVE = (Decision.REVIEW, RiskLevel.MEDIUM, 0.7, Basis.CONSERVATIVE)


def report(*rules: dict[str, Any]) -> Report:
    return rule_set(*rules).evaluate(values(user__speed=None))


def decided(scores: dict[str, float | None], *rules: dict[str, Any]) -> Verdict:
    return after_models(report(*rules), scores, PAYMENT, policy(models=MODELS))


@pytest.mark.parametrize("severity", ["HIGH", "CRITICAL"])
def test_a_grave_violation_blocks_at_once_high_and_095(severity: str) -> None:
    said = report(rule("bad", action="BLOCK", severity=severity, description="It is bad."))

    verdict = before_models(said, features_failed=False)

    assert verdict is not None
    assert verdict[:4] == (Decision.BLOCK, RiskLevel.HIGH, 0.95, Basis.RULE)
    assert [(each.code, each.description) for each in verdict.reasons] == [
        ("rule.bad", "It is bad.")
    ]
    assert verdict.rule == "bad"


def test_a_rule_that_allows_approves_at_once() -> None:
    verdict = before_models(report(rule("vip", action="ALLOW")), features_failed=False)

    assert verdict is not None
    assert verdict[:4] == (Decision.APPROVE, RiskLevel.LOW, 0.0, Basis.RULE)
    assert verdict.rule == "vip"


@pytest.mark.parametrize("action", ["ALLOW", "BLOCK"])
def test_a_rule_that_decides_does_so_when_features_failed(action: str) -> None:
    severity = "HIGH" if action == "BLOCK" else "LOW"
    said = report(rule("sure", action=action, severity=severity))

    verdict = before_models(said, features_failed=True)

    assert verdict is not None
    assert verdict.basis is Basis.RULE


@pytest.mark.parametrize(
    ("models", "failed", "conservative"),
    [
        (0, 0, False),
        (1, 0, False),
        (1, 1, True),
        (2, 1, False),
        (2, 2, True),
        (3, 1, False),
        (3, 2, True),
        (3, 3, True),
    ],
)
@pytest.mark.parametrize("failure", [None, float("nan"), float("inf")])
def test_more_than_half_of_the_models_failed(
    models: int, failed: int, conservative: bool, failure: float | None
) -> None:
    names = list(MODELS)[:models]
    scores = {name: failure if at < failed else 0.1 for at, name in enumerate(names)}

    verdict = decided(scores)

    if conservative:
        assert verdict[:4] == CONSERVATIVE
        assert [each.description for each in verdict.reasons] == [
            "model failures: conservative decision"
        ]
    else:
        assert verdict[:2] == (Decision.APPROVE, RiskLevel.LOW)
        assert [each.model for each in verdict.models] == names[failed:]


def test_features_that_failed_are_met_as_failed_models_are() -> None:
    verdict = before_models(report(), features_failed=True)

    assert verdict is not None
    assert verdict[:4] == CONSERVATIVE
    assert verdict.reasons[0].description == "feature failures: conservative decision"


@pytest.mark.parametrize("said", [None, report(rule("broken", "user.speed > 1.0"))])
def test_rules_that_failed_are_met_as_failed_models_are(said: Report | None) -> None:
    verdict = before_models(said, features_failed=False)

    assert verdict is not None
    assert verdict[:4] == CONSERVATIVE
    assert verdict.reasons[0] == (
        "conservative.rules",
        "rule failures: conservative decision",
        0.0,
    )


def test_otherwise_the_models_are_asked() -> None:
    said = report(rule("x"), rule("b", action="BLOCK", severity="MEDIUM"))

    assert before_models(said, features_failed=False) is None


@pytest.mark.parametrize(
    ("score", "decision", "level"),
    [
        (0.2, Decision.APPROVE, RiskLevel.LOW),
        (0.4, Decision.CHALLENGE, RiskLevel.MEDIUM),
        (0.7, Decision.REVIEW, RiskLevel.HIGH),
        (0.95, Decision.BLOCK, RiskLevel.CRITICAL),
    ],
)
def test_the_policy_says_what_the_score_means(
    score: float, decision: Decision, level: RiskLevel
) -> None:
    verdict = decided({"a": score})

    assert verdict[:2] == (decision, level)
    assert (verdict.basis, verdict.band) == (Basis.SCORE, "all")
    assert [each.code for each in verdict.reasons] == ["model.a"]


@pytest.mark.parametrize(
    ("action", "decision"),
    [
        ("REVIEW", Decision.REVIEW),
        ("BLOCK", Decision.BLOCK),
        ("SCORE", Decision.APPROVE),
    ],
)
def test_rules_that_ask_for_care_get_no_less(action: str, decision: Decision) -> None:
    asking = rule("x", action=action, severity="MEDIUM")

    verdict = decided({"a": 0.0}, asking)

    assert verdict[:2] == (decision, RiskLevel.MEDIUM)
    assert decided({"a": 0.99}, asking).decision is Decision.BLOCK


def test_a_rule_that_blocks_does_so_when_models_failed() -> None:
    asking = rule("x", action="BLOCK", severity="MEDIUM")

    verdict = decided({"a": None}, asking)

    assert verdict[:4] == (Decision.BLOCK, *CONSERVATIVE[1:])
    assert [each.code for each in verdict.reasons] == ["conservative.models", "rule.x"]


def test_a_shadow_rule_changes_no_verdict() -> None:
    trial = rule("x", action="BLOCK", severity="CRITICAL", mode="shadow")

    assert decided({"a": 0.2}, trial) == decided({"a": 0.2})


def test_decisions_and_levels_are_in_order() -> None:
    assert Decision.APPROVE < Decision.CHALLENGE < Decision.REVIEW < Decision.BLOCK
    assert RiskLevel.LOW < RiskLevel.MEDIUM < RiskLevel.HIGH < RiskLevel.CRITICAL
