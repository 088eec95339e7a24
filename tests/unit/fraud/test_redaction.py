"""What of a transaction is written down."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from inferd.config.fraud import Audit
from inferd.services.fraud.audit_record import AuditRecord, FeatureUsed, ModelUsed, decoded, encoded
from inferd.services.fraud.plain import canonical
from inferd.services.fraud.redaction import Redaction, has_card_number

KEY = "a key of some length"
CARD = "4111 1111-1111 1111"


def redaction(other: str = "drop", key: str = KEY, **fields: str) -> Redaction:
    return Redaction(
        Audit.model_validate({"fields": fields, "other_fields": other, "hash_key": key})
    )


def test_fields_are_kept_hashed_or_dropped() -> None:
    it = redaction(country="keep", card_id="hash")

    kept = it.redacted({"country": "NO", "card_id": "c1", "ip": "10.0.0.1"})

    assert kept.keys() == {"country", "card_id"}
    assert kept["country"] == "NO"
    assert kept["card_id"].startswith("hmac:")
    assert "c1" not in kept["card_id"]


def test_what_is_said_of_a_field_goes_over_what_is_said_of_those_around_it() -> None:
    it = redaction(**{"device.*": "keep", "device.ip": "drop", "*": "hash"})

    kept = it.redacted({"device": {"id": "d", "ip": "1.1.1.1"}, "user": "u"})

    assert kept.keys() == {"device.id", "user"}
    assert kept["device.id"] == "d"


def test_equal_values_are_known_again_and_those_of_other_fields_or_keys_are_not() -> None:
    it = redaction("hash")
    kept = it.redacted({"a": "x", "b": "x"})

    assert it.redacted({"a": "x"})["a"] == kept["a"] != kept["b"]
    assert redaction("hash", key=KEY + "!").redacted({"a": "x"})["a"] != kept["a"]


@pytest.mark.parametrize("value", [CARD, f"paid with {CARD}.", ["ok", CARD], CARD.encode()])
def test_the_number_of_a_card_is_never_kept_whatever_its_field_is_called(value: Any) -> None:
    assert redaction("keep").redacted({"metadata": {"note": value}})["metadata.note"][:5] == "hmac:"
    assert redaction("keep", key="").redacted({"metadata": {"note": value}}) == {}


@pytest.mark.parametrize(
    "value",
    [
        "12 4111111111111111",
        "4111.1111.1111.1111",
        "4111\u00a01111\u00a01111\u00a01111",
        "7/4111111111111111/3",
    ],
)
def test_the_number_of_a_card_is_found_however_it_is_spelt(value: str) -> None:
    assert has_card_number(value)


def test_long_texts_of_digits_are_looked_through_at_once() -> None:
    assert not has_card_number("1 " * 600)


@pytest.mark.parametrize("value", ["4111 1111 1111 1112", "tok_41111", 4111111111111111, 1.5, None])
def test_what_is_no_number_of_a_card_is_taken_for_none(value: Any) -> None:
    assert not has_card_number(value)


@pytest.mark.parametrize("field", ["card_number", "card.holder", "user.name", "cvv"])
def test_names_and_card_numbers_cannot_be_configured_to_be_kept(field: str) -> None:
    with pytest.raises(ValidationError, match=f"fields.{field}: may be hashed or dropped"):
        Audit(fields={field: "keep"})


def test_hashing_needs_a_key() -> None:
    with pytest.raises(ValidationError, match="hash_key is needed"):
        Audit(fields={"card_id": "hash"})
    with pytest.raises(ValidationError, match="at least 16"):
        Audit.model_validate({"hash_key": "short"})


def test_a_fingerprint_is_of_all_fields_in_any_order() -> None:
    it = redaction()
    one = it.fingerprint({"a": 1, "b": {"c": "x"}})

    assert it.fingerprint({"b": {"c": "x"}, "a": 1}) == one
    assert it.fingerprint({"a": 1, "b": {"c": "y"}}) != one
    assert it.fingerprint({"a": 1.0, "b": {"c": "x"}}) != one


def test_without_a_key_nothing_that_is_dropped_can_be_guessed_from_the_fingerprint() -> None:
    it = redaction(key="", a="keep")

    assert it.fingerprint({"a": 1, "card_number": CARD}) == it.fingerprint({"a": 1})
    assert it.fingerprint({"a": 1}) != it.fingerprint({"a": 2})


def test_a_record_comes_back_to_the_last_bit() -> None:
    odd = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 2**63 - 1, b"\xff"]
    record = AuditRecord(
        transaction_id="t",
        inputs_hash="0",
        inputs={"transaction.amount_minor": 1999, "transaction.country": "NO"},
        features=[
            FeatureUsed(name=f"f{n}", value=value, status="FOUND", source="redis", age_us=n)
            for n, value in enumerate(odd)
        ],
        models=[ModelUsed(name="m", version="3", raw=1 / 3, calibrated=0.1, weight=1.0)],
        risk_score=2 / 3,
        risk_level="HIGH",
        decision="REVIEW",
        basis="SCORE",
        rules_version="r",
        policy_version="p",
    )

    again = decoded(encoded(record))

    assert again == record
    assert math.copysign(1, again.features[1].value) == -1
    assert [type(each.value) for each in again.features] == [type(each) for each in odd]
    assert math.isnan(_through(math.nan))
    assert b"\n" not in encoded(record)


def _through(value: Any) -> Any:
    feature = FeatureUsed(name="f", value=value, status="FOUND", source="redis")
    record = AuditRecord(
        transaction_id="t",
        inputs_hash="0",
        inputs={},
        features=[feature],
        risk_score=0.0,
        risk_level="LOW",
        decision="APPROVE",
        basis="SCORE",
        rules_version="r",
        policy_version="p",
    )
    return decoded(encoded(record)).features[0].value


def test_the_canonical_form_has_no_order() -> None:
    assert canonical({"b": 1, "a": [math.nan]}) == canonical({"a": [math.nan], "b": 1})
