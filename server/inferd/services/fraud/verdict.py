"""From what rules and models say to a decision: the table that all assessments go through.

    an ALLOW rule matched                   APPROVE, LOW, 0, at once
    a grave rule matched                    BLOCK, HIGH, 0.95, at once
    features failed                         REVIEW, MEDIUM, 0.7
    rules failed, or more than half         REVIEW, MEDIUM, 0.7
    more than half of the models failed     REVIEW, MEDIUM, 0.7
    otherwise                               as the policy says of the score

The first line that applies decides, and only the last two ask any model. Live rules that matched
and ask for BLOCK or REVIEW are never answered with less, on any line but the first two; and a risk
is never called less than the gravest of them. What a model says that is no number is a failure.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from inferd.services.fraud.declared_rules import Declared
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rules import Report, Rule
from inferd.services.fraud.scoring import Weighed, risk
from inferd.services.fraud.transactions import Payment
from inferd.services.fraud.vocabulary import Action, Basis, Decision, Reason, RiskLevel

_FLOORS = {Action.BLOCK: Decision.BLOCK, Action.REVIEW: Decision.REVIEW}


class Verdict(NamedTuple):
    """A decision, with its reasons."""

    decision: Decision
    level: RiskLevel
    score: float
    """0 to 1."""
    basis: Basis
    reasons: tuple[Reason, ...]
    """The most important first."""
    models: tuple[Weighed, ...] = ()
    """What those said that answered, if the decision rests on it."""
    rule: str = ""
    """The rule that decided, if one did."""
    band: str = ""
    """The band of the policy that applied, if one did."""


def before_models(report: Report | None, *, features_failed: bool) -> Verdict | None:
    """Return the verdict that needs no model. None: ask them.

    No report: the rules failed as a whole. `features_failed`: what rules and models are told is
    not what it should be.
    """
    if report is not None and report.decisive is not None:
        return _at_once(report.decisive)
    if features_failed:
        return _conservative("features", "feature failures", report)
    if report is None or report.failed:
        return _conservative("rules", "rule failures", report)
    return None


def after_models(
    report: Report, scores: Mapping[str, float | None], payment: Payment, policy: Policy
) -> Verdict:
    """Return the verdict, when no rule decided at once.

    Scores are of all models that were asked; None: it failed.
    """
    answered = {
        name: score for name, score in scores.items() if score is not None and math.isfinite(score)
    }
    if len(scores) - len(answered) > len(scores) // 2:
        return _conservative("models", "model failures", report)
    violations = report.violations
    found = risk(policy.models, answered, violations)
    choice = policy.choose(found.score, payment)
    return Verdict(
        _careful(choice.decision, violations),
        max([choice.level, *(each.severity for each in violations)]),
        found.score,
        Basis.SCORE,
        found.reasons,
        models=found.models,
        band=choice.band,
    )


def _at_once(rule: Rule) -> Verdict:
    declared = rule.declared
    reason = Reason(f"rule.{declared.id}", declared.description or declared.id)
    if declared.action is Action.ALLOW:
        decision, level, score = Decision.APPROVE, RiskLevel.LOW, 0.0
    else:
        decision, level, score = Decision.BLOCK, RiskLevel.HIGH, 0.95
        reason = reason._replace(contribution=1.0)
    return Verdict(decision, level, score, Basis.RULE, (reason,), rule=declared.id)


def _conservative(stage: str, what_failed: str, report: Report | None) -> Verdict:
    violations = report.violations if report is not None else []
    failure = Reason(f"conservative.{stage}", f"{what_failed}: conservative decision")
    reasons = [Reason(f"rule.{each.id}", each.description or each.id) for each in violations]
    return Verdict(
        _careful(Decision.REVIEW, violations),
        RiskLevel.MEDIUM,
        0.7,
        Basis.CONSERVATIVE,
        (failure, *reasons),
    )


def _careful(decision: Decision, violations: Sequence[Declared]) -> Decision:
    """Return a decision, or what the rules that matched ask for, if that is more."""
    return max([decision, *(_FLOORS.get(each.action, decision) for each in violations)])
