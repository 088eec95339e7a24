"""What a transaction must be like to be decided on."""

from typing import Any

import pytest

from inferd.config.fraud import Audit
from inferd.errors import InvalidRequest
from inferd.features.kinds import Kind
from inferd.services.fraud.intake import A_CARD, Intake, Taken, asked_id
from inferd.services.fraud.redaction import Redaction
from inferd.services.fraud.standing_calls import entity
from inferd.v1 import fraud_pb2 as pb
from support.deciding import a_transaction

CARD = "4111 1111 1111 1111"
NOW_US = 1_700_000_000_000_000
METADATA = {"account_days": Kind("float64"), "address": Kind("string")}


def taken(fields: dict[str, str] | None = None, **said: Any) -> Taken:
    redaction = Redaction(Audit.model_validate({"fields": fields or {}}))
    intake = Intake(METADATA, redaction, now_us=lambda: NOW_US, ahead_us=0)
    return intake.taken(a_transaction(**{"id": "t", "user_id": "ann", **said}, at_us=NOW_US))


def refused(**said: Any) -> dict[str, str]:
    """Return what is wrong with a transaction, by its field."""
    with pytest.raises(InvalidRequest) as caught:
        taken(**said)
    told = [str(caught.value), *(each.description for each in caught.value.violations)]
    assert not any("1111" in each for each in told), "nobody is told the number"
    return {each.field: each.description for each in caught.value.violations}


@pytest.mark.parametrize("card", [CARD, "4111111111111111", "4111-1111-1111-1111", f"u{CARD}"])
@pytest.mark.parametrize("field", ["id", "user_id", "card_id"])
def test_the_number_of_a_card_is_refused_where_it_would_be_a_key(field: str, card: str) -> None:
    assert refused(**{field: card}) == {f"transaction.{field}": A_CARD}


def test_the_number_of_a_card_is_no_device_and_no_metadata() -> None:
    assert refused(device_info={"id": CARD}) == {"transaction.device_info.id": A_CARD}
    assert refused(metadata={"address": f"at {CARD}"}) == {"transaction.metadata.address": A_CARD}


@pytest.mark.parametrize(
    "said", [{"country": CARD}, {"currency": CARD}, {"device_info": {"ip": CARD}}]
)
def test_what_is_wrong_is_told_without_the_number_of_a_card(said: dict[str, Any]) -> None:
    assert [*refused(**said).values()] == [A_CARD]
    assert "it is no float64" in str(refused(metadata={"account_days": CARD}))
    assert len(refused(metadata={CARD: "x"})) == 1


@pytest.mark.parametrize(
    "id",
    [
        "1763850000000003",  # microseconds since 1970, with a digit that is right for a card
        "202611220000111",
        "4111111111111112",
        "550e8400-e29b-41d4-a716-446655440000",
        "41111111111111111111111111111111",
    ],
)
def test_other_numbers_are_good_ids(id: str) -> None:
    assert taken(id=id, user_id=id).id == id


def test_a_merchants_number_is_nobodys_secret() -> None:
    assert taken(merchant_id="4111111111111111").values["transaction.merchant_id"]


def test_a_key_of_metadata_that_nobody_knows_is_refused_and_the_right_one_is_named() -> None:
    wrong = refused(metadata={"acount_days": "3"})

    assert wrong.keys() == {"transaction.metadata.acount_days"}
    assert "did you mean account_days?" in wrong["transaction.metadata.acount_days"]


@pytest.mark.parametrize("name", ["metadata.note", "metadata.*"])
@pytest.mark.parametrize("treatment", ["keep", "drop"])
def test_metadata_of_which_the_audit_trail_knows_are_taken(name: str, treatment: str) -> None:
    it = taken({name: treatment}, metadata={"note": "x", "account_days": "3"})

    assert it.inputs["metadata.note"] == "x"


@pytest.mark.parametrize("id", ["", "x" * 129, "4111111111111111"])
def test_who_asks_without_a_good_id_is_told_so(id: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        asked_id(id)

    assert [each.field for each in caught.value.violations] == ["transaction_id"]
    assert asked_id("t-1") == "t-1"


def test_no_list_has_the_number_of_a_card() -> None:
    with pytest.raises(InvalidRequest, match="a token of it is needed"):
        entity(pb.FraudEntity(kind=pb.FraudEntity.CARD, value=CARD), "entity")
