"""What a transaction says by itself, as rules see it, and who is involved in it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, ParamSpec, TypeVar

from inferd.errors import InvalidRequest
from inferd.features.kinds import Held, Kind
from inferd.services.fraud import money
from inferd.services.fraud.lists import Entities, canonical
from inferd.services.fraud.vocabulary import EntityKind
from inferd.v1 import fraud_pb2 as pb

P = ParamSpec("P")
R = TypeVar("R")

_INT, _FLOAT, _STRING = Kind("int64"), Kind("float64"), Kind("string")

FIELDS: Mapping[str, Kind] = {
    "transaction.amount_minor": _INT,
    "transaction.currency": _STRING,
    "transaction.user_id": _STRING,
    "transaction.merchant_id": _STRING,
    "transaction.merchant_category": _STRING,
    "transaction.payment_method": _STRING,
    "transaction.card_id": _STRING,
    "transaction.device_id": _STRING,
    "transaction.device_type": _STRING,
    "transaction.ip": _STRING,
    "transaction.country": _STRING,
    "transaction.segment": _STRING,
    "transaction.latitude": _FLOAT,
    "transaction.longitude": _FLOAT,
    "transaction.time_us": _INT,
}
"""The variables that rules may declare beside features. Texts that are not known are empty."""


class Payment(NamedTuple):
    """What a policy asks of a transaction."""

    amount_minor: int
    """In minor units of the currency."""
    currency: str
    merchant_category: str = ""
    """Empty: not known."""
    segment: str = ""
    """Empty: not known."""


_INVOLVED = {
    EntityKind.USER: "user_id",
    EntityKind.CARD: "card_id",
    EntityKind.DEVICE: "device_info.id",
    EntityKind.IP: "device_info.ip",
    EntityKind.MERCHANT: "merchant_id",
    EntityKind.COUNTRY: "country",
}


def payment_of(transaction: pb.Transaction) -> Payment:
    """Return what a policy asks. Raises `InvalidRequest` naming the field."""
    currency = transaction.currency
    minor = transaction.amount_minor if transaction.HasField("amount_minor") else None
    _check("currency", money.decimals, currency)
    amount = _check(
        "amount" if minor is None else "amount_minor",
        money.agreed,
        minor,
        transaction.amount,
        currency,
    )
    return Payment(amount, currency, transaction.merchant_category, transaction.segment)


def entities(transaction: pb.Transaction) -> dict[EntityKind, str]:
    """Return who and what is involved, as far as it is known, as lists compare it.

    Raises `InvalidRequest` naming the field.
    """
    device = transaction.device_info
    given = (
        (EntityKind.USER, transaction.user_id),
        (EntityKind.CARD, transaction.card_id),
        (EntityKind.DEVICE, device.id),
        (EntityKind.IP, device.ip),
        (EntityKind.MERCHANT, transaction.merchant_id),
        (EntityKind.COUNTRY, transaction.country),
    )
    return {kind: _check(_INVOLVED[kind], canonical, kind, value) for kind, value in given if value}


def facts(
    transaction: pb.Transaction, payment: Payment, involved: Entities
) -> dict[str, Held | None]:
    """Return a value for each of `FIELDS`, given what the functions above say."""
    place = transaction.location if transaction.HasField("location") else None
    return {
        "transaction.amount_minor": payment.amount_minor,
        "transaction.currency": payment.currency,
        "transaction.user_id": involved.get(EntityKind.USER, ""),
        "transaction.merchant_id": involved.get(EntityKind.MERCHANT, ""),
        "transaction.merchant_category": payment.merchant_category,
        "transaction.payment_method": transaction.payment_method,
        "transaction.card_id": involved.get(EntityKind.CARD, ""),
        "transaction.device_id": involved.get(EntityKind.DEVICE, ""),
        "transaction.device_type": transaction.device_info.type,
        "transaction.ip": involved.get(EntityKind.IP, ""),
        "transaction.country": involved.get(EntityKind.COUNTRY, ""),
        "transaction.segment": payment.segment,
        "transaction.latitude": place.latitude if place else None,
        "transaction.longitude": place.longitude if place else None,
        "transaction.time_us": transaction.time_us,
    }


def _check(field: str, check: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    try:
        return check(*args, **kwargs)
    except ValueError as error:
        raise InvalidRequest(str(error), field=f"transaction.{field}") from error
