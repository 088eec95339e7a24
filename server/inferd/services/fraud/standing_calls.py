"""Requests about lists and snoozes: what they name, checked."""

from collections.abc import Iterable, Sequence

from inferd.errors import InvalidRequest, Violation
from inferd.services.fraud.expiring import FOREVER_US
from inferd.services.fraud.intake import A_CARD
from inferd.services.fraud.lists import Entry, ListName, canonical
from inferd.services.fraud.redaction import is_card_number
from inferd.services.fraud.vocabulary import EntityKind
from inferd.v1 import fraud_pb2 as pb

_KINDS = {pb.FraudEntity.Kind.Value(each.name): each for each in EntityKind}
_NUMBERS = {each: number for number, each in _KINDS.items()}
_LISTS = {pb.ListEntry.ALLOW: ListName.ALLOW, pb.ListEntry.BLOCK: ListName.BLOCK}
_LIST_NUMBERS = {name: number for number, name in _LISTS.items()}


def entity(message: pb.FraudEntity, field: str) -> tuple[EntityKind, str]:
    """Return who or what is meant. Raises `InvalidRequest` naming the field."""
    kind = _KINDS.get(message.kind)
    if kind is None:
        known = ", ".join(each.name for each in EntityKind)
        raise InvalidRequest(f"a kind is one of {known}", field=f"{field}.kind")
    if kind is not EntityKind.MERCHANT and is_card_number(message.value):
        raise InvalidRequest(A_CARD, field=f"{field}.value")
    try:
        return kind, canonical(kind, message.value)
    except ValueError as error:
        raise InvalidRequest(str(error), field=f"{field}.value") from error


def entries(messages: Sequence[pb.ListEntry], *, most: int, now_us: int) -> list[tuple[Entry, int]]:
    """Return entries, and until when. Raises `InvalidRequest` naming all that is wrong.

    They may not have ended at `now_us`; 0: they may.
    """
    if not 1 <= len(messages) <= most:
        text = f"there must be 1 to {most} entries, not {len(messages)}"
        raise InvalidRequest(text, field="entries")
    good: list[tuple[Entry, int]] = []
    wrong: list[Violation] = []
    for number, message in enumerate(messages):
        try:
            good.append(_entry(message, f"entries[{number}]", now_us))
        except InvalidRequest as error:
            wrong += error.violations
    if wrong:
        text = f"{wrong[0].field}: {wrong[0].description}"
        raise InvalidRequest(text, violations=wrong)
    return good


def described(
    kind: EntityKind, value: str, found: Iterable[tuple[ListName, int]]
) -> list[pb.ListEntry]:
    """Return the lists that a value is on, as messages."""
    return [
        pb.ListEntry(
            list=_LIST_NUMBERS[name],
            entity=pb.FraudEntity(kind=_NUMBERS[kind], value=value),  # type: ignore[arg-type]
            until_us=None if until_us == FOREVER_US else until_us,
        )
        for name, until_us in found
    ]


def _entry(message: pb.ListEntry, field: str, now_us: int) -> tuple[Entry, int]:
    name = _LISTS.get(message.list)
    if name is None:
        raise InvalidRequest("a list is ALLOW or BLOCK", field=f"{field}.list")
    until_us = message.until_us if message.HasField("until_us") else FOREVER_US
    if until_us <= now_us:
        text = f"it is over already; microseconds since 1970 are needed, not {until_us}"
        raise InvalidRequest(text, field=f"{field}.until_us")
    return Entry(name, *entity(message.entity, f"{field}.entity")), until_us
