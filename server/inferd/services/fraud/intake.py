"""What a transaction must be like to be decided on, and what is known of it then.

All that is wrong is told at once. What is right becomes plain values by the names of variables, as
rules, models and features see them.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from inferd.errors import InvalidRequest, Violation
from inferd.features.definitions import US
from inferd.features.kinds import Held, Kind
from inferd.features.suggestions import nearest
from inferd.features.writing import EARLIEST_US
from inferd.services.fraud import money
from inferd.services.fraud.lists import Entities, canonical
from inferd.services.fraud.redaction import (
    Redaction,
    has_card_number,
    is_card_number,
    without_cards,
)
from inferd.services.fraud.rules import Values
from inferd.services.fraud.transactions import FIELDS, Payment, entities, facts, payment_of
from inferd.services.fraud.vocabulary import EntityKind
from inferd.v1 import fraud_pb2 as pb

MAX_ID_BYTES = 128
MAX_TEXT_BYTES = 512
MAX_SHORT_BYTES = 128
MAX_METADATA = 32
MAX_METADATA_KEY_BYTES = 64
A_CARD = "it is the number of a card; a token of it is needed"

DERIVED: Mapping[str, Kind] = {
    "transaction.amount": Kind("float64"),
    "transaction.time_s": Kind("float64"),
}
"""Variables that say the same in other units: the amount in units of its currency, and seconds."""

_REQUIRED = {"id": MAX_ID_BYTES, "user_id": MAX_TEXT_BYTES, "merchant_id": MAX_TEXT_BYTES}
_TEXTS = {
    "payment_method": MAX_SHORT_BYTES,
    "card_id": MAX_TEXT_BYTES,
    "merchant_category": MAX_SHORT_BYTES,
    "segment": MAX_SHORT_BYTES,
}
_DEVICE_TEXTS = {"id": MAX_TEXT_BYTES, "type": MAX_SHORT_BYTES, "user_agent": 1024}


class Taken(NamedTuple):
    """A transaction that can be decided on."""

    id: str
    values: Values
    """By the names of variables; of features, none."""
    payment: Payment
    entities: Entities
    inputs: Values
    """What a record may tell of it."""
    fingerprint: str
    """Tells it from others of the same id."""


class Intake:
    """Takes transactions in."""

    def __init__(
        self,
        metadata: Mapping[str, Kind],
        redaction: Redaction,
        *,
        now_us: Callable[[], int],
        ahead_us: int,
    ) -> None:
        """`metadata` are the variables that it has, by their keys there."""
        self._metadata = metadata
        self._redaction = redaction
        self._now_us = now_us
        self._ahead_us = ahead_us

    @property
    def variables(self) -> dict[str, Kind]:
        """What is known of every transaction, features aside, and of which type it is."""
        return variables(self._metadata)

    def taken(self, transaction: pb.Transaction) -> Taken:
        """Return a transaction, checked. Raises `InvalidRequest` naming all that is wrong."""
        if wrong := [*self._wrong(transaction)]:
            text = "; ".join(f"{each.field}: {each.description}" for each in wrong)
            raise InvalidRequest(text, violations=wrong)
        payment, involved = payment_of(transaction), entities(transaction)
        values = facts(transaction, payment, involved)
        for key, kind in self._metadata.items():
            said = transaction.metadata.get(key)
            values[f"metadata.{key}"] = None if said is None else _parsed(said, kind)
        inputs: dict[str, Held | None] = {
            "transaction.user_agent": transaction.device_info.user_agent,
            **{f"metadata.{key}": value for key, value in transaction.metadata.items()},
            **values,
        }
        values |= derived(values)
        return Taken(
            transaction.id,
            values,
            payment,
            involved,
            inputs,
            self._redaction.fingerprint(inputs),
        )

    def _wrong(self, transaction: pb.Transaction) -> Iterator[Violation]:
        for name, most in _REQUIRED.items():
            yield from _wrong_text(getattr(transaction, name), name, most, least=1)
        for name, most in _TEXTS.items():
            yield from _wrong_text(getattr(transaction, name), name, most)
        for name, most in _DEVICE_TEXTS.items():
            text = getattr(transaction.device_info, name)
            yield from _wrong_text(text, f"device_info.{name}", most)
        if has_card_number(transaction.card_id):
            yield _violation("card_id", A_CARD)
        for name, text in (
            ("id", transaction.id),
            ("user_id", transaction.user_id),
            ("device_info.id", transaction.device_info.id),
        ):
            if is_card_number(text):  # the ids of merchants look like it, and are nobody's secret
                yield _violation(name, A_CARD)
        yield from _wrong_money(transaction)
        yield from _wrong_place(transaction)
        yield from self._wrong_time(transaction.time_us)
        yield from self._wrong_metadata(transaction.metadata)

    def _wrong_time(self, time_us: int) -> Iterator[Violation]:
        if time_us < EARLIEST_US:
            yield _violation("time_us", f"microseconds since 1970 are needed, not {time_us}")
        elif time_us > self._now_us() + self._ahead_us:
            yield _violation("time_us", "it is too far in the future")

    def _wrong_metadata(self, metadata: Mapping[str, str]) -> Iterator[Violation]:
        if len(metadata) > MAX_METADATA:
            yield _violation("metadata", f"there may be {MAX_METADATA}, not {len(metadata)}")
            return
        for key, value in metadata.items():
            field = f"metadata.{without_cards(key):.64}"
            yield from _wrong_text(key, field, MAX_METADATA_KEY_BYTES, least=1)
            yield from _wrong_text(value, field, MAX_TEXT_BYTES)
            kind = self._metadata.get(key)
            if kind is not None:
                yield from _wrong_value(value, field, kind)
            elif not self._redaction.expects(f"metadata.{key}"):
                text = "nothing is done with it, nor is it recorded"
                yield _violation(field, f"{text}; {nearest(key, self._metadata)}")


def asked_id(id: str) -> str:
    """Return the id of a transaction that is asked about. Raises `InvalidRequest`."""
    wrong = [*_wrong_text(id, "transaction_id", MAX_ID_BYTES, least=1)]
    if wrong or is_card_number(id):
        text = wrong[0].description if wrong else A_CARD
        raise InvalidRequest(f"transaction_id: {text}", field="transaction_id")
    return id


def variables(metadata: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return what is known of every transaction with such metadata, and of which type it is."""
    return {**FIELDS, **DERIVED, **{f"metadata.{key}": kind for key, kind in metadata.items()}}


def derived(values: Values) -> dict[str, Held | None]:
    """Return `DERIVED`, as far as it is known what they are derived from."""
    amount, currency, time_us = (
        values.get(f"transaction.{name}") for name in ("amount_minor", "currency", "time_us")
    )
    units = None
    if isinstance(amount, int) and isinstance(currency, str):
        units = amount / 10 ** money.decimals(currency)
    time_s = time_us / US if isinstance(time_us, int) else None
    return {"transaction.amount": units, "transaction.time_s": time_s}


def _wrong_text(text: str, name: str, most: int, *, least: int = 0) -> Iterator[Violation]:
    if not least <= len(text.encode(errors="replace")) <= most:
        it = f"it has {least} to {most} bytes" if text else "it is required"
        yield _violation(name, it)


def _wrong_value(text: str, name: str, kind: Kind) -> Iterator[Violation]:
    try:
        _parsed(text, kind)
    except ValueError:
        yield _violation(name, f"it is no {kind}")
    if kind.name == "string" and is_card_number(text):
        yield _violation(name, A_CARD)


def _wrong_money(transaction: pb.Transaction) -> Iterator[Violation]:
    try:
        payment_of(transaction)
    except InvalidRequest as error:
        yield from map(_discreet, error.violations)


def _wrong_place(transaction: pb.Transaction) -> Iterator[Violation]:
    if transaction.HasField("location"):
        place = transaction.location
        for name, most in (("latitude", 90), ("longitude", 180)):
            if not abs(degrees := getattr(place, name)) <= most:  # nor if it is not a number
                yield _violation(f"location.{name}", f"{degrees} is not from -{most} to {most}")
    for kind, name, value in (
        (EntityKind.IP, "device_info.ip", transaction.device_info.ip),
        (EntityKind.COUNTRY, "country", transaction.country),
    ):
        if value:
            try:
                canonical(kind, value)
            except ValueError as error:
                yield _discreet(_violation(name, str(error)))


def _discreet(violation: Violation) -> Violation:
    """Return a problem that may be logged: what was said in place of it may be a card's number."""
    told = is_card_number(violation.description)
    return Violation(violation.field, A_CARD) if told else violation


def _violation(name: str, description: str) -> Violation:
    return Violation(f"transaction.{name}", description)


def _parsed(text: str, kind: Kind) -> Held:
    """Return what a text of metadata says. Raises `ValueError`."""
    match kind.name:
        case "int64":
            return kind.checked(int(text), finite=True)
        case "float64":
            number = float(text)
            if not math.isfinite(number):
                raise ValueError("it is not finite")
            return number
        case "bool":
            return {"true": True, "false": False}[text] if text in ("true", "false") else _no_bool()
        case _:
            return text


def _no_bool() -> bool:
    raise ValueError("it is neither true nor false")
