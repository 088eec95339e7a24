"""What is on record of a decision, and what of it is told later."""

from typing import Any

import pytest

from inferd.config.fraud import Audit
from inferd.errors import DependencyFailed
from inferd.features.values import Status
from inferd.services.fraud.audit_record import AuditRecord, FeatureUsed, decoded, encoded
from inferd.services.fraud.engine import Decision
from inferd.services.fraud.features import Told
from inferd.services.fraud.intake import Intake
from inferd.services.fraud.messages import feature, recalled, recorded
from inferd.services.fraud.past import Past
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.verdict import Verdict
from inferd.services.fraud.vocabulary import Basis, RiskLevel
from inferd.services.fraud.vocabulary import Decision as Choice
from support.deciding import a_transaction
from support.fraud import policy, rule_set

CARD = "4111 1111 1111 1111"
KEY = "a key of some length"


def on_record(features: dict[str, Any], **audit: Any) -> AuditRecord:
    """Return what is read back of a decision that was told these features."""
    redaction = Redaction(Audit.model_validate({"hash_key": KEY, **audit}))
    intake = Intake({}, redaction, now_us=lambda: 0, ahead_us=2**62)
    used = [
        FeatureUsed(name=name, value=value, status=Status.PRESENT, source="redis", age_us=7)
        for name, value in features.items()
    ]
    decision = Decision(
        taken=intake.taken(a_transaction("t")),
        at_us=10,
        rules=rule_set(),
        policy=policy(models={"a": {}}),
        verdict=Verdict(Choice.APPROVE, RiskLevel.LOW, 0.0, Basis.SCORE, ()),
        told=Told(features, used, failed=False, partly=False),
    )
    return decoded(encoded(recorded(decision, redaction)))


def test_a_feature_that_is_a_text_is_recorded_as_a_field_of_a_transaction_would_be() -> None:
    said = {
        "a.kept": "x",
        "a.hashed": "x",
        "a.other": "x",
        "a.card": CARD,
        "a.count": 3,
        "a.no": None,
    }
    fields = {"a.kept": "keep", "a.hashed": "hash", "a.card": "keep"}

    it = on_record(said, fields=fields)

    values = {each.name: each.value for each in it.features}
    assert (values["a.kept"], values["a.other"], values["a.count"]) == ("x", None, 3)
    assert values["a.hashed"].startswith("hmac:")
    assert values["a.card"].startswith("hmac:")
    assert [each.redacted for each in it.features] == [False, True, True, True, False, False]


def test_a_feature_that_is_not_recorded_is_unknown_later_and_explained_without_its_value() -> None:
    it = on_record({"a.other": "x", "a.kept": "y"}, fields={"a.kept": "keep"})

    assert {name for name in Past(10, it).values if name.startswith("a.")} == {"a.kept"}
    hidden, told = (feature(each, 10) for each in it.features)
    assert (hidden.name, hidden.age_ms, hidden.HasField("value")) == ("a:other", 0, False)
    assert told.value.string_value == "y"


def test_a_record_from_before_answers_were_recorded_answers_nothing() -> None:
    assert recalled(encoded(on_record({})), {}) is None


def test_a_record_that_cannot_be_understood_is_told_to_be_so() -> None:
    with pytest.raises(DependencyFailed, match="cannot be read"):
        recalled(b'{"transaction_id": 7}', {})
