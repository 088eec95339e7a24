"""What may be recorded: events as they are declared, from a time that can be, of somebody.

One event is of several entities at once, a payment of its user and of its merchant, and goes into
the views of each. Its id is what tells it from others: the same one may come twice.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from inferd.errors import InvalidRequest, Violation
from inferd.features.aggregates.views import AggregatedView
from inferd.features.definitions import MAX_ID_BYTES
from inferd.features.derivation import Event, EventField
from inferd.features.kinds import Scalar
from inferd.features.writing import Limits, unknown_names, wrong_time

MAX_EVENT_ID_BYTES = 128

Cells = tuple[Scalar | None, ...]


class EventWrite(NamedTuple):
    """Something that happened."""

    event: Event
    #: The same for what happened once, however often it is told: 1 to 128 bytes.
    event_id: str
    #: When it happened: microseconds since 1970, UTC.
    event_us: int
    #: None is as good as left out.
    fields: Mapping[str, object]


class Share(NamedTuple):
    """What one view gets of an event."""

    of: AggregatedView
    #: Of the entity's state.
    key: str
    #: In the order of `AggregatedView.reads`.
    values: Cells


class CheckedEvent(NamedTuple):
    """An event that may be recorded."""

    name: str
    event_id: str
    event_us: int
    #: At least one.
    shares: tuple[Share, ...]


def checked_event(
    write: EventWrite,
    views: Sequence[AggregatedView],
    *,
    now_us: int,
    limits: Limits,
    field: str = "",
) -> CheckedEvent:
    """Return an event ready to be recorded. Raises `InvalidRequest` naming all that is wrong.

    `views` are those of such events; `limits.max_bytes` are for its texts and bytes together;
    `field` is where the event is in its request, e.g. `events[3]`.
    """
    dot = f"{field}." if field else ""
    wrong = [
        *_wrong_id(write.event_id, f"{dot}event_id"),
        *wrong_time(write.event_us, now_us, limits.ahead_us, f"{dot}event_time_us"),
    ]
    values = _values(write.event, write.fields, f"{dot}fields", wrong)
    wrong += _too_large(write.event, values, limits.max_bytes, f"{dot}fields")
    shares = _shares(write, values, views, f"{dot}fields", wrong)
    if wrong:
        raise InvalidRequest("; ".join(each.description for each in wrong), violations=wrong)
    return CheckedEvent(write.event.name, write.event_id, write.event_us, shares)


def _wrong_id(event_id: str, field: str) -> list[Violation]:
    try:
        if 0 < len(event_id.encode()) <= MAX_EVENT_ID_BYTES:
            return []
    except UnicodeEncodeError:
        pass
    text = f"ids of events are of 1 to {MAX_EVENT_ID_BYTES} bytes, not {event_id!r:.80}"
    return [Violation(field, text)]


def _values(
    event: Event, given: Mapping[str, object], field: str, wrong: list[Violation]
) -> dict[str, Scalar | None]:
    names = [each.name for each in event.fields]
    wrong += unknown_names(given, names, f"event {event.name}", "field", field)
    values: dict[str, Scalar | None] = {}
    for each in event.fields:
        try:
            values[each.name] = _value(each, given.get(each.name))
        except ValueError as error:
            text = f"{event.name}.{each.name}: {error}"
            wrong.append(Violation(f"{field}.{each.name}", text))
    return values


def _value(field: EventField, given: object) -> Scalar | None:
    if given is None:
        if field.required:
            raise ValueError("it is required, and left out or null")
        return None
    value = field.type.checked_finite(given)
    assert not isinstance(value, tuple), "an event has no lists"
    return value


def _too_large(
    event: Event, values: Mapping[str, Scalar | None], max_bytes: int, field: str
) -> list[Violation]:
    sizes = {name: _size(value) for name, value in values.items()}
    total = sum(sizes.values())
    if total <= max_bytes:
        return []
    largest = max(sizes, key=sizes.__getitem__)
    text = (
        f"texts and bytes of an event {event.name} may have {max_bytes} bytes together,"
        f" these have {total}; {largest} is the largest"
    )
    return [Violation(f"{field}.{largest}", text)]


def _too_long(
    values: Mapping[str, Scalar | None], view: AggregatedView, field: str
) -> Iterable[Violation]:
    """Say which texts are too long for lists, which keep very many of them."""
    for name in view.lists:
        size = _size(values.get(name))
        if size > MAX_ID_BYTES:
            text = (
                f"in lists of view {view.view.name}, texts have up to {MAX_ID_BYTES} bytes;"
                f" {name} has {size}"
            )
            yield Violation(f"{field}.{name}", text)


def _size(value: Scalar | None) -> int:
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes) else 0


def _shares(
    write: EventWrite,
    values: Mapping[str, Scalar | None],
    views: Sequence[AggregatedView],
    field: str,
    wrong: list[Violation],
) -> tuple[Share, ...]:
    """Return who gets what; an entity that the event does not name gets nothing."""
    shares = []
    event = write.event
    said = {**values, "event.name": event.name, "event.time_us": write.event_us}
    for each in views:
        entity_id = values.get(each.by)
        if not isinstance(entity_id, int | str):
            continue
        try:
            key = each.key(each.view.id_of(entity_id, field=f"{field}.{each.by}"))
        except InvalidRequest as error:
            wrong += [each for each in error.violations if each not in wrong]
        else:
            wrong += [it for it in _too_long(said, each, field) if it not in wrong]
            shares.append(Share(each, key, tuple([said.get(name) for name in each.reads])))
    if not shares and not wrong:
        names = ", ".join(dict.fromkeys(each.by for each in views))
        text = f"event {event.name} is of nobody: it says none of {names}"
        wrong.append(Violation(field, text if views else f"no view is of events {event.name}"))
    return tuple(shares)
