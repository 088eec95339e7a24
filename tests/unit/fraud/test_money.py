"""Money is a whole number of minor units, and nothing is rounded behind anybody's back."""

import math
from typing import Any

import pytest

from inferd.errors import InvalidRequest
from inferd.services.fraud.money import MAX_MINOR, agreed, minor_units
from inferd.services.fraud.transactions import FIELDS, entities, facts, payment_of
from inferd.services.fraud.vocabulary import EntityKind
from inferd.v1 import fraud_pb2 as pb


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        (19.99, "EUR", 1999),
        (0.29, "EUR", 29),  # 28.999999999999996 by floats
        (1.1, "EUR", 110),
        (8.2, "USD", 820),  # 819.9999999999999
        (1999, "JPY", 1999),
        (1.005, "KWD", 1005),
        (1e13, "EUR", MAX_MINOR),
        (0.0, "EUR", 0),
    ],
)
def test_a_float_is_what_somebody_wrote(amount: float, currency: str, minor: int) -> None:
    assert minor_units(amount, currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "problem"),
    [
        (1.005, "EUR", "EUR has 2 decimals, and 1.005 has more"),
        (0.5, "JPY", "JPY has 0 decimals"),
        (-1.0, "EUR", "0 to"),
        (1e14, "EUR", "0 to"),
        (1e308, "EUR", "0 to"),
        (5e-324, "EUR", "has more"),
        (math.nan, "EUR", "not nan"),
        (math.inf, "EUR", "not inf"),
        (1.0, "eur", "three capital letters"),
        (1.0, "", "three capital letters"),
    ],
)
def test_what_is_no_amount_is_refused(amount: float, currency: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        minor_units(amount, currency)


def test_two_ways_to_say_an_amount_must_agree() -> None:
    assert agreed(1999, 19.99, "EUR") == agreed(1999, 0.0, "EUR") == agreed(None, 19.99, "EUR")
    assert agreed(0, 0.0, "EUR") == 0
    for minor, amount, problem in (
        (1998, 19.99, "19.99 EUR is 1999 minor units, not 1998"),
        (None, 0.0, "there is no amount"),
        (-1, 0.0, "0 to"),
    ):
        with pytest.raises(ValueError, match=problem):
            agreed(minor, amount, "EUR")


def test_rules_see_all_fields_of_a_transaction_each_of_its_type() -> None:
    transaction = pb.Transaction(
        user_id="bob", amount=19.99, currency="EUR", location={"latitude": 1, "longitude": 2}
    )

    said = facts(transaction, payment_of(transaction), entities(transaction))

    assert said.keys() == FIELDS.keys()
    for name, value in said.items():
        assert FIELDS[name].checked(value, finite=True) == value
    assert said["transaction.amount_minor"] == 1999
    assert payment_of(transaction) == (1999, "EUR", "", "")
    nowhere = pb.Transaction(amount=1, currency="EUR")
    assert facts(nowhere, payment_of(nowhere), {})["transaction.latitude"] is None


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"amount": 1, "currency": "euro"}, "transaction.currency"),
        ({"amount": 0.001, "currency": "EUR"}, "transaction.amount"),
        ({"amount": 1, "amount_minor": 1, "currency": "EUR"}, "transaction.amount_minor"),
        ({"currency": "EUR"}, "transaction.amount"),
        ({"amount_minor": -1, "currency": "EUR"}, "transaction.amount_minor"),
    ],
)
def test_an_amount_that_is_none_is_refused_by_its_field(said: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        payment_of(pb.Transaction(**said))

    assert [each.field for each in refused.value.violations] == [field]


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"user_id": "x" * 513}, "transaction.user_id"),
        ({"device_info": {"ip": "192.0.2"}}, "transaction.device_info.ip"),
        ({"country": "NLD"}, "transaction.country"),
    ],
)
def test_who_cannot_be_involved_is_refused_by_its_field(said: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        entities(pb.Transaction(**said))

    assert [each.field for each in refused.value.violations] == [field]


def test_who_is_involved_is_told_as_far_as_it_is_known() -> None:
    transaction = pb.Transaction(
        user_id="bob", device_info={"ip": "::FFFF:192.0.2.1"}, country="nl"
    )

    assert entities(transaction) == {
        EntityKind.USER: "bob",
        EntityKind.IP: "192.0.2.1",
        EntityKind.COUNTRY: "NL",
    }
