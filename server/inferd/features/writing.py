"""What may be written: rows whose values are of their types, from a time that can be.

A row is the whole of a view: what it leaves out is missing from then on. Its stamp is the time of
its event, so the same row may be written twice, and rows may come in any order.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from msgspec import UNSET

from inferd.cache.blobs import Entry
from inferd.errors import InvalidRequest, Violation
from inferd.features.declaration import Feature
from inferd.features.definitions import US, EntityId, Key, View
from inferd.features.rows import Cell
from inferd.features.suggestions import nearest

EARLIEST_US = 946_684_800 * US
"""The year 2000: whoever has an event from before that has its unit wrong."""
REMEMBERED_US = 600 * US
"""For how long at most a store keeps what has expired, to tell it from what never was."""

MOST_NAMED = 3
"""Of the names in a row that are not known: to find out what was meant takes long."""


class Limits(NamedTuple):
    """How large a row may be, and how far its event ahead of our clock, because clocks differ."""

    max_bytes: int
    ahead_us: int


class Write(NamedTuple):
    """What a view shall hold for one entity."""

    view: View
    entity_id: EntityId
    #: When this came to be so: microseconds since 1970, UTC.
    event_us: int
    #: By feature. None: there is none, and that is known.
    values: Mapping[str, object]


class Checked(NamedTuple):
    """A row that may be written."""

    key: Key
    entry: Entry


def checked(write: Write, *, now_us: int, limits: Limits, field: str = "") -> Checked:
    """Return a row ready for the store. Raises `InvalidRequest` naming all that is wrong.

    `field` is where the row is in its request, e.g. `rows[3]`.
    """
    dot = f"{field}." if field else ""
    view = write.view
    if view.kind != "stored":
        text = f"view {view.name} is {view.kind}: nobody writes its rows"
        raise InvalidRequest(text, field=f"{dot}view")
    entity_id = view.id_of(write.entity_id, field=f"{dot}id")
    wrong = [*wrong_time(write.event_us, now_us, limits.ahead_us, f"{dot}event_time_us")]
    cells = _cells(view, write.values, f"{dot}values", wrong)
    if wrong:
        raise InvalidRequest("; ".join(each.description for each in wrong), violations=wrong)
    blob = view.codec.encode(write.event_us, cells)
    if len(blob) > limits.max_bytes:
        largest = max(view.features, key=lambda each: _size(view, each, cells)).name
        raise InvalidRequest(
            f"a row of view {view.name} may have {limits.max_bytes} bytes, this has {len(blob)};"
            f" {largest} is the largest",
            field=f"{dot}values.{largest}",
        )
    key = Key(view, entity_id)
    return Checked(key, Entry(f"{view.prefix}{entity_id}", blob, _keep_s(write, now_us)))


def wrong_time(event_us: int, now_us: int, ahead_us: int, field: str) -> list[Violation]:
    """Return what is wrong with the time of an event, if anything is."""
    if event_us < EARLIEST_US:
        return [Violation(field, "the event is from before 2000: is that the right unit?")]
    if event_us > now_us + ahead_us:
        ahead_s = (event_us - now_us) / US
        text = f"the event is {ahead_s:.0f} s in the future; {ahead_us / US:g} s may be"
        return [Violation(field, text)]
    return []


def unknown_names(
    given: Iterable[str], known: Collection[str], whole: str, part: str, field: str
) -> Iterable[Violation]:
    """Say of names that are no `part` of the `whole`, at least of some, what may be meant."""
    unknown = sorted(set(given).difference(known))
    for name in unknown[:MOST_NAMED]:
        text = f"{whole} has no {part} {name!r:.80}; {nearest(name, known)}"
        yield Violation(f"{field}.{name:.80}", text)
    if len(unknown) > MOST_NAMED:
        yield Violation(field, f"{whole} has none of {len(unknown) - MOST_NAMED} others either")


def _cells(
    view: View, values: Mapping[str, object], field: str, wrong: list[Violation]
) -> list[Cell]:
    wrong += unknown_names(values, view.places, f"view {view.name}", "feature", field)
    cells: list[Cell] = []
    for feature in view.features:
        try:
            cells.append(_cell(feature, values))
        except ValueError as error:
            text = f"{view.name}:{feature.name}: {error}"
            wrong.append(Violation(f"{field}.{feature.name}", text))
    return cells


def _cell(feature: Feature, values: Mapping[str, object]) -> Cell:
    given = values.get(feature.name, UNSET)
    if given is UNSET:
        if feature.required and feature.default is None:
            raise ValueError("it is required, has no default, and is left out")
        return UNSET
    if given is None:
        if feature.required:
            raise ValueError("it is required, and null")
        return None
    return feature.type.checked(given, finite=not feature.allow_nan)


def _size(view: View, feature: Feature, cells: list[Cell]) -> int:
    alone: list[Cell] = [UNSET] * len(cells)
    place = view.places[feature.name]
    alone[place] = cells[place]
    return len(view.codec.encode(EARLIEST_US, alone))


def _keep_s(write: Write, now_us: int) -> float | None:
    ttl_us = write.view.ttl_us
    if ttl_us is None:
        return None
    left_us = max(0, write.event_us + ttl_us - now_us)
    return (left_us + min(ttl_us, REMEMBERED_US)) / US
