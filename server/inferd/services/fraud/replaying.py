"""Decisions made again, from what is on record of them: the same to the last bit, or why not.

What was read and what models said is as it was; rules, the risk and the policy are worked out anew.
That features failed as a whole is taken from the record: it is no decision but what happened.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inferd.services.fraud.backtest import payment_of_values
from inferd.services.fraud.past import Past
from inferd.services.fraud.policy import Policy
from inferd.services.fraud.rules import Report, RuleSet
from inferd.services.fraud.verdict import Verdict, after_models, before_models
from inferd.services.fraud.vocabulary import Outcome

FEATURES_FAILED = "conservative.features"


class Replayed(NamedTuple):
    """What came of making a decision again."""

    differs: bool
    """Whether it would be another one, or rests on something else."""
    told: Sequence[str] = ()
    """In what, and why, as far as that is known. Of the same decision: which rules would do
    otherwise, because there are others now."""


SAME = Replayed(differs=False)


def replayed(past: Past, rules: RuleSet, policy: Policy) -> Replayed:
    """Make a decision again. One whose id is one for tests is none to be made again."""
    if past.record.test:
        return SAME
    report = _report(past, rules)
    of_rules = [] if report is None else [*_of_rules(past, report)]
    of_decision = [*_of_decision(past, _verdict(past, report, policy))]
    if not of_rules and not of_decision:
        return SAME
    # The same rules say the same. Others may, as long as nothing comes of it.
    differs = bool(of_decision) or past.record.rules_version == rules.version
    return Replayed(differs, [*_causes(past, rules, policy), *of_rules, *of_decision])


def _of_decision(past: Past, verdict: Verdict) -> Iterator[str]:
    it = past.record
    for name, was, would_be in (
        ("decision", it.decision, verdict.decision.name),
        ("risk_level", it.risk_level, verdict.level.name),
        ("risk_score", it.risk_score, verdict.score),
        ("basis", it.basis, verdict.basis.name),
        ("policy_band", it.policy_band, verdict.band),
        ("reasons", it.reasons, [each.code for each in verdict.reasons]),
        *_of_models(past, verdict),
    ):
        if was != would_be:
            yield f"{name} was {was}, and would be {would_be}"


def _report(past: Past, rules: RuleSet) -> Report | None:
    it = past.record
    if not it.rules and rules.rules:
        return None  # they failed as a whole
    snoozed = {each.id for each in it.rules if each.outcome == Outcome.SNOOZED.name}
    return rules.evaluate(past.values, snoozed=snoozed)


def _verdict(past: Past, report: Report | None, policy: Policy) -> Verdict:
    failed = FEATURES_FAILED in past.record.reasons
    verdict = before_models(report, features_failed=failed)
    if verdict is not None:
        return verdict
    assert report is not None, "or there would be a verdict"
    return after_models(report, past.scores, payment_of_values(past.values), policy)


def _of_rules(past: Past, report: Report) -> Iterator[str]:
    was = {each.id: each.outcome for each in past.record.rules}
    would_be = {each.rule.declared.id: each.outcome.name for each in report.results}
    for name in [*was, *(each for each in would_be if each not in was)]:
        if was.get(name) != would_be.get(name):
            before, after = was.get(name, "not there"), would_be.get(name, "not there")
            yield f"rule {name} was {before}, and would be {after}"


def _of_models(past: Past, verdict: Verdict) -> Iterator[tuple[str, object, object]]:
    weighed = {each.model: each for each in verdict.models}
    for each in past.record.models:
        now = weighed.get(each.name)
        if now is not None:
            yield f"calibrated {each.name}", each.calibrated, now.calibrated
            yield f"weight of {each.name}", each.weight, now.weight


def _causes(past: Past, rules: RuleSet, policy: Policy) -> Iterator[str]:
    it = past.record
    if it.rules_version != rules.version:
        yield f"it was decided by rules {it.rules_version}, and these are {rules.version}"
    if it.policy_version != policy.version:
        yield f"it was decided by policy {it.policy_version}, and this is {policy.version}"
    known = past.values
    lacking = [
        name for name in rules.variables if name not in known and not name.startswith("lists.")
    ]
    if lacking:
        yield f"not on record, and taken for unknown: {', '.join(lacking)}"
