"""Decisions as messages, and as what is put on record of them."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from inferd import __version__
from inferd.errors import DependencyFailed
from inferd.features.kinds import Held, Kind
from inferd.services.degradations import messages as degradation_messages
from inferd.services.features.answers import SOURCES, STATUSES
from inferd.services.features.values import fill
from inferd.services.fraud.audit_record import (
    AuditRecord,
    FeatureUsed,
    ModelUsed,
    RuleUsed,
    WithoutStage,
    decoded,
    encoded,
)
from inferd.services.fraud.declared_rules import Declared
from inferd.services.fraud.engine import Asked, Decision
from inferd.services.fraud.happenings import Kept
from inferd.services.fraud.idempotency import Answer, Decided, Recalled
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.rulebook import Rulebook
from inferd.services.fraud.rules import Rule
from inferd.services.fraud.scoring import Weighed
from inferd.services.fraud.vocabulary import Outcome
from inferd.v1 import features_pb2
from inferd.v1 import fraud_pb2 as pb

_NOT_WEIGHED = Weighed("", 0.0, 0.0, 0.0)
_US = 1_000_000


class Known(msgspec.Struct, frozen=True, array_like=True):
    """What is kept of a transaction, to be known again."""

    #: The `Assessment`, encoded.
    assessment: bytes
    #: What is said of it when its outcome is reported.
    involved: dict[str, Any]
    decision: int
    test: bool


_encode = msgspec.msgpack.Encoder().encode
known_from = msgspec.msgpack.Decoder(Known).decode


def decided(decision: Decision, involved: Kept, redaction: Redaction) -> Decided:
    """Return a decision as it is kept and put on record."""
    assessment = assessed(decision)
    known = Known(
        assessment.SerializeToString(), involved, decision.verdict.decision, decision.test
    )
    record = replace(recorded(decision, redaction), answer=known.assessment)
    return Decided(_encode(known), encoded(record))


def recalled(body: bytes, involved: Kept) -> Recalled | None:
    """Return a decision as it was kept, from its record; None: that is too old to have it.

    Raises `DependencyFailed` where it cannot be read.
    """
    try:
        it = decoded(body)
    except msgspec.MsgspecError as error:
        raise DependencyFailed("what is on record of a transaction cannot be read") from error
    if not it.answer:
        return None
    decision = pb.Assessment.Decision.Value(it.decision)
    return Recalled(it.inputs_hash, _encode(Known(it.answer, involved, decision, it.test)))


def told(answer: Answer) -> pb.Assessment:
    """Return what is told of a transaction, whether it was decided now or before."""
    assessment = pb.Assessment.FromString(known_from(answer.assessment).assessment)
    assessment.degradations.extend(degradation_messages(answer.degradations))
    if answer.place is not None:
        assessment.audit_server = answer.place.server
        assessment.audit_sequence = answer.place.seq
    return assessment


def assessed(it: Decision) -> pb.Assessment:
    """Return a decision as a message."""
    verdict, report = it.verdict, it.report
    message = pb.Assessment(
        transaction_id=it.taken.id,
        risk_score=verdict.score,
        risk_level=verdict.level,  # type: ignore[arg-type]  # the same numbers
        decision=verdict.decision,  # type: ignore[arg-type]
        basis=verdict.basis,  # type: ignore[arg-type]
        reasons=[pb.Reason(code=c, description=d, contribution=s) for c, d, s in verdict.reasons],
        processing_time_us=_us(it.seconds),
        time_us=it.at_us,
        decided_by=verdict.rule,
        policy_band=verdict.band,
        policy_version=it.policy.version,
        rules_version=it.rules.version,
        degradations=degradation_messages(it.degradations),
        timings=[
            pb.StageTiming(stage=stage, duration_us=_us(seconds))
            for stage, seconds in it.timings.items()
        ],
        test=it.test,
    )
    weighed = {each.model: each for each in verdict.models}
    message.model_scores.extend(
        _score(each, weighed.get(each.name, _NOT_WEIGHED)) for each in sorted(it.asked, key=_name)
    )
    if report is not None:
        message.rule_violations.extend(map(_violation, report.violations))
        message.shadow_violations.extend(map(_violation, report.shadow_violations))
        message.rule_results.extend(
            pb.RuleResult(
                rule_id=rule.declared.id,
                outcome=outcome,  # type: ignore[arg-type]
                mode=rule.declared.mode,  # type: ignore[arg-type]
                error=error,
            )
            for rule, outcome, error in report.results
        )
    return message


def recorded(it: Decision, redaction: Redaction) -> AuditRecord:
    """Return what is put on record of a decision."""
    verdict, report = it.verdict, it.report
    weighed = {each.model: each for each in verdict.models}
    results = () if report is None else report.results
    return AuditRecord(
        transaction_id=it.taken.id,
        inputs_hash=it.taken.fingerprint,
        inputs=redaction.redacted(it.taken.inputs),
        lists={name: True for name, listed in it.lists.items() if listed},
        features=[_discreet(each, redaction) for each in it.told.used],
        rules=[
            RuleUsed(
                id=rule.declared.id, mode=rule.declared.mode.name, outcome=Outcome(outcome).name
            )
            for rule, outcome, _ in results
        ],
        models=[_used(each, weighed.get(each.name, _NOT_WEIGHED)) for each in it.asked],
        risk_score=verdict.score,
        risk_level=verdict.level.name,
        decision=verdict.decision.name,
        basis=verdict.basis.name,
        reasons=[each.code for each in verdict.reasons],
        rules_version=it.rules.version,
        policy_version=it.policy.version,
        policy_band=verdict.band,
        degradations=[
            WithoutStage(stage=stage, source=source, reason=reason, age_s=age_s)
            for stage, source, reason, age_s in it.degradations
        ],
        timings_us={stage: _us(seconds) for stage, seconds in it.timings.items()},
        software=__version__,
        test=it.test,
    )


def _discreet(it: FeatureUsed, redaction: Redaction) -> FeatureUsed:
    """Return a feature as it may be recorded: a text may be what a field of a transaction was."""
    if not isinstance(it.value, str | bytes):
        return it
    kept = redaction.redacted({it.name: it.value}).get(it.name)
    return it if kept == it.value else replace(it, value=kept, redacted=True)


def feature(it: FeatureUsed, at_us: int) -> features_pb2.Feature:
    """Return a feature as it was at a time."""
    message = features_pb2.Feature(
        name=it.name.replace(".", ":", 1),
        status=STATUSES[it.status],  # type: ignore[arg-type]  # wants names
        source=SOURCES[it.source],  # type: ignore[arg-type]
    )
    if it.age_us is not None:
        message.event_time_us, message.age_ms = at_us - it.age_us, it.age_us // 1000
    if it.source and not it.redacted:
        fill(message.value, _kind(it.value), it.value)
    return message


def rules(rulebook: Rulebook) -> pb.ListRulesResponse:
    """Return the rules in force."""
    it = rulebook.rules
    return pb.ListRulesResponse(
        rules=[_rule(each, rulebook) for each in (*it.rules, *it.off)],
        rules_version=it.version,
        policy_version=rulebook.policy.version,
    )


def _rule(rule: Rule, rulebook: Rulebook) -> pb.Rule:
    it = rule.declared
    return pb.Rule(
        id=it.id,
        when=it.when,
        severity=it.severity,  # type: ignore[arg-type]
        score=it.score,
        action=it.action,  # type: ignore[arg-type]
        mode=it.mode,  # type: ignore[arg-type]
        description=it.description,
        hits=rulebook.hits[it.id],
        errors=rulebook.errors[it.id],
    )


def _violation(rule: Declared) -> pb.RuleViolation:
    return pb.RuleViolation(
        rule_id=rule.id,
        severity=rule.severity,  # type: ignore[arg-type]
        score=rule.score,
        action=rule.action,  # type: ignore[arg-type]
        description=rule.description,
    )


def _score(it: Asked, weighed: Weighed) -> pb.ModelScore:
    duration_us = _us(it.seconds)
    if it.said is None:
        failed = pb.ModelScore.FAILED
        return pb.ModelScore(
            model=it.name, status=failed, reason=it.reason, duration_us=duration_us
        )
    return pb.ModelScore(
        model=it.name,
        version=it.said.version,
        status=pb.ModelScore.SCORED,
        raw=it.said.raw,
        calibrated=weighed.calibrated if weighed.model else None,
        weight=weighed.weight,
        duration_us=duration_us,
    )


def _used(it: Asked, weighed: Weighed) -> ModelUsed:
    return ModelUsed(
        name=it.name,
        version="" if it.said is None else it.said.version,
        raw=None if it.said is None else it.said.raw,
        calibrated=weighed.calibrated if weighed.model else None,
        weight=weighed.weight,
        reason=it.reason,
        duration_us=_us(it.seconds),
    )


def _kind(value: Held | list[float] | None) -> Kind:
    match value:
        case bool():
            return Kind("bool")
        case int():
            return Kind("int64")
        case float():
            return Kind("float64")
        case bytes():
            return Kind("bytes")
        case list() | tuple():
            return _kind_of_list(value)
        case _:
            return Kind("string")


def _kind_of_list(value: Sequence[float | str]) -> Kind:
    if not value or isinstance(value[0], str):
        return Kind("string_list")
    return Kind("float_list", len(value))


def _us(seconds: float) -> int:
    return round(seconds * _US)


def _name(it: Asked) -> str:
    return it.name
