"""Which features a request is about: from names to views, and to places in them.

Callers ask for the same features again and again, so what was worked out once is kept.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from inferd.errors import InvalidRequest
from inferd.features.declaration import Entity, Feature
from inferd.features.definitions import Definitions, EntityId, View
from inferd.features.kinds import Held
from inferd.features.values import NOTHING, Lookup

MAX_KEPT = 1024
"""Selections; beyond that, all are forgotten."""
MAX_DIGITS = 20
"""Of an int64, and its sign."""


class Column(NamedTuple):
    """One feature that was asked for."""

    #: `view:feature`.
    name: str
    #: Which of the selection's parts it is in, and where in that.
    part: int
    at: int
    feature: Feature


class Part(NamedTuple):
    """What is to be read of one view."""

    view: View
    #: Where its features stand in it.
    places: Sequence[int]


class Selection(NamedTuple):
    """What is to be read of an entity."""

    entity: Entity
    #: One for each view.
    parts: tuple[Part, ...]
    #: In the order of the request.
    columns: tuple[Column, ...]

    def lookups(
        self, ids: Sequence[EntityId], as_of_us: int | None, given: Mapping[str, Held] = NOTHING
    ) -> list[Lookup]:
        """Return what to ask the store: for each part in turn, one look-up per id."""
        return [
            Lookup(view, each, places, as_of_us, given)
            for view, places in self.parts
            for each in ids
        ]


class Selections:
    """Finds what requests name."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._kept: dict[tuple[str, ...], Selection] = {}

    def of(self, entity: str, features: Sequence[str]) -> Selection:
        """Return what is meant; by no features at all, every view of the entity.

        Raises `InvalidRequest` with what may have been meant instead.
        """
        key = (entity, *features)
        selection = self._kept.get(key)
        if selection is None:
            selection = self._found(entity, features)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[key] = selection
        return selection

    def _found(self, name: str, features: Sequence[str]) -> Selection:
        entity = self._definitions.entity(name, field="entity")
        places: dict[View, list[int]] = {}
        columns: dict[str, Column] = {}
        for field, view, asked in self._named(entity, features):
            ours = places.setdefault(view, [])
            part = [*places].index(view)
            for place in asked:
                feature = view.features[place]
                full = f"{view.name}:{feature.name}"
                if full in columns:
                    raise InvalidRequest(f"{full} is asked for twice", field=field)
                columns[full] = Column(full, part, len(ours), feature)
                ours.append(place)
        parts = tuple(
            # A view as a whole is read with less to do.
            Part(view, view.everything if [*view.everything] == each else tuple(each))
            for view, each in places.items()
        )
        return Selection(entity, parts, tuple(columns.values()))

    def _named(
        self, entity: Entity, features: Sequence[str]
    ) -> Iterator[tuple[str, View, Iterable[int]]]:
        if not features:
            views = [each for each in self._definitions.views.values() if each.entity is entity]
            if not views:
                raise InvalidRequest(f"entity {entity.name} has no views", field="entity")
            yield from (("features", view, range(len(view.features))) for view in views)
        for number, name in enumerate(features):
            field = f"features[{number}]"
            in_view, colon, feature = name.partition(":")
            view = self._definitions.view(in_view, field=field)
            if view.entity is not entity:
                raise InvalidRequest(
                    f"view {view.name} is of entity {view.entity.name}, not of {entity.name}",
                    field=field,
                )
            places = view.places_of([feature], field=field) if colon else range(len(view.features))
            yield field, view, places


def id_of(view: View, text: str, *, field: str) -> EntityId:
    """Return the id that a text stands for. Raises `InvalidRequest` naming `field`."""
    return view.id_of(_integer(text) if view.entity.id == "int64" else text, field=field)


def _integer(text: str) -> int | str:
    """Return the integer that a text is, written as one is; any other text as it is."""
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and len(text) <= MAX_DIGITS:
        number = int(text)
        if str(number) == text:
            return number
    return text
