"""What is read: values, each with what is to be thought of it, how old it is, and who said so.

A value is given only if it may be relied on. Otherwise the declared default stands in, and the
status says why.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from msgspec import UNSET

from inferd.features.definitions import EntityId, Key, View
from inferd.features.kinds import Held
from inferd.features.rows import Cell, Row

NOTHING: Mapping[str, Held] = MappingProxyType({})

DEFAULT = "default"
"""The source of a declared default."""


class Status(StrEnum):
    """What is to be thought of a value."""

    PRESENT = "PRESENT"
    #: Somebody wrote that there is none.
    NULL = "NULL"
    #: Nobody wrote anything.
    MISSING = "MISSING"
    #: It was there, and its time to live is over.
    EXPIRED = "EXPIRED"
    #: It is older than its view's `max_age_s`.
    OUTSIDE_MAX_AGE = "OUTSIDE_MAX_AGE"
    #: The store did not answer in time, failed, or was left alone because it does.
    TIMED_OUT = "TIMED_OUT"
    #: What there is, is newer than what was asked for; only the last is kept.
    NEWER_ONLY = "NEWER_ONLY"


# Looked up once: an enum's members take long to find.
_PRESENT, _NULL, _MISSING = Status.PRESENT, Status.NULL, Status.MISSING


class Value(NamedTuple):
    """One feature of one entity."""

    #: None: there is none, and no default either.
    value: Held | None
    status: Status
    #: When it came to be so; None where nothing was read. Also of what is not given.
    event_us: int | None
    #: The store's name, or `default`; empty where there is no value.
    source: str


class Lookup(NamedTuple):
    """Features of one view of one entity."""

    view: View
    entity_id: EntityId
    #: Where they stand in the view (`View.places_of`).
    places: Sequence[int]
    #: Nothing newer is given. None: the last.
    as_of_us: int | None = None
    #: What the caller says besides, for what is computed: by name, of the declared types.
    given: Mapping[str, Held] = NOTHING

    @property
    def key(self) -> Key:
        """Whose row of which view."""
        return Key(self.view, self.entity_id)


class Found:
    """What is known of a `Lookup`. Values are put together for those who look at them."""

    __slots__ = ("_values", "cells", "event_us", "lookup", "mixed", "source", "status")

    def __init__(
        self,
        lookup: Lookup,
        status: Status,
        *,
        event_us: int | None = None,
        cells: Sequence[Cell] = (),
        source: str = "",
        values: Sequence[Value] | None = None,
    ) -> None:
        """`values`: where they differ in status or source, and `cells` do not tell."""
        self.lookup = lookup
        #: Of the row. Of one that is PRESENT, single values may be NULL or MISSING.
        self.status = status
        self.event_us = event_us
        #: What there is in the row, in the order of `places`; of one that is not PRESENT, nothing.
        self.cells = cells
        self.source = source
        #: Whether values have statuses and sources of their own.
        self.mixed = values is not None
        self._values = values

    @property
    def values(self) -> Sequence[Value]:
        """In the order of `places`."""
        if self._values is None:
            self._values = self._given() if self.status is _PRESENT else self._defaults()
        return self._values

    @property
    def lacking(self) -> list[str]:
        """Required features that have neither a value nor a default, as `view:feature`."""
        view = self.lookup.view
        if not view.has_required:
            return []
        return [
            f"{view.name}:{view.features[place].name}"
            for place, value in zip(self.lookup.places, self.values, strict=True)
            if value.value is None and view.features[place].required
        ]

    def _given(self) -> list[Value]:
        event_us, source = self.event_us, self.source
        values = []
        for place, cell in zip(self.lookup.places, self.cells, strict=True):
            if cell is UNSET:
                values.append(_default(self.lookup.view, place, _MISSING, None))
            elif cell is None:
                values.append(Value(None, _NULL, event_us, source))
            else:
                values.append(Value(cell, _PRESENT, event_us, source))
        return values

    def _defaults(self) -> list[Value]:
        view, status, event_us = self.lookup.view, self.status, self.event_us
        return [_default(view, place, status, event_us) for place in self.lookup.places]


def judged(lookup: Lookup, row: Row | None, now_us: int) -> Found:
    """Return what is known, given the row that was read. `now_us` is the time of day."""
    if row is None:
        return Found(lookup, _MISSING)
    view, event_us, at_us = lookup.view, row.event_us, now_us
    if lookup.as_of_us is not None:
        at_us = min(now_us, lookup.as_of_us)
        if event_us > at_us:
            return Found(lookup, Status.NEWER_ONLY, event_us=event_us)
    age_us = at_us - event_us
    if view.ttl_us is not None and age_us >= view.ttl_us:
        return Found(lookup, Status.EXPIRED, event_us=event_us)
    if view.max_age_us is not None and age_us > view.max_age_us:
        return Found(lookup, Status.OUTSIDE_MAX_AGE, event_us=event_us)
    cells = row.cells
    if lookup.places != view.everything:
        cells = tuple([cells[place] for place in lookup.places])
    return Found(lookup, _PRESENT, event_us=event_us, cells=cells, source=row.source)


def _default(view: View, place: int, status: Status, event_us: int | None) -> Value:
    default = view.features[place].default
    return Value(default, status, event_us, "" if default is None else DEFAULT)
