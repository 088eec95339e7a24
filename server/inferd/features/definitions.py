"""The entities and views that there are, made ready for use: found by name, and by nothing else.

Whoever names something that is not there is told what is meant most likely.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from inferd.errors import InvalidRequest
from inferd.features import declaration
from inferd.features.compute.plan import Plan
from inferd.features.declaration import Entity, Feature
from inferd.features.derivation import Event
from inferd.features.kinds import Held
from inferd.features.rows import Codec
from inferd.features.suggestions import nearest

_HERE = Path()

US = 1_000_000
MAX_ID_BYTES = 512

EntityId = int | str


class View:
    """Features of one entity that are written together. Told apart by identity."""

    def __init__(self, declared: declaration.View, entity: Entity) -> None:
        self.name = declared.name
        self.entity = entity
        self.kind = declared.kind
        self.declared = declared
        self.features: Sequence[Feature] = declared.features
        self.ttl_us = _us(declared.ttl_s)
        self.max_age_us = _us(declared.max_age_s)
        self.cache_ttl_us = _us(declared.cache_ttl_s)
        self.owner = declared.owner
        self.version = declared.version
        self.description = declared.description
        #: Where each feature stands in `features`.
        self.places = {each.name: place for place, each in enumerate(self.features)}
        #: All places.
        self.everything = range(len(self.features))
        self.has_required = any(each.required for each in self.features)
        self.codec = Codec([(each.name, each.type) for each in self.features])
        #: What the keys of its rows begin with.
        self.prefix = f"{self.name}:{self.version}:"

    def __repr__(self) -> str:
        return f"View({self.name})"

    def places_of(self, names: Iterable[str], *, field: str) -> tuple[int, ...]:
        """Return where features stand. Raises `InvalidRequest` naming `field`."""
        return tuple(self._place_of(name, field) for name in names)

    def _place_of(self, name: str, field: str) -> int:
        try:
            return self.places[name]
        except KeyError:
            raise InvalidRequest(
                f"view {self.name} has no feature {name!r:.80}; {nearest(name, self.places)}",
                field=field,
            ) from None

    def id_in(self, key: str) -> EntityId:
        """Return whose row it is that a store has under a key."""
        name = key.removeprefix(self.prefix)
        return int(name) if self.entity.id == "int64" else name

    def id_of(self, given: object, *, field: str) -> EntityId:
        """Return an id, if the entity can have it. Raises `InvalidRequest` naming `field`."""
        if self.entity.id == "int64":
            if type(given) is int and -(2**63) <= given < 2**63:
                return given
        elif isinstance(given, str) and 0 < _size(given) <= MAX_ID_BYTES:
            return given
        expected = "int64" if self.entity.id == "int64" else f"strings of 1 to {MAX_ID_BYTES} bytes"
        raise InvalidRequest(
            f"ids of entity {self.entity.name} are {expected}, not {given!r:.80}", field=field
        )


class Key(NamedTuple):
    """Whose row of which view."""

    view: View
    entity_id: EntityId


class Definitions:
    """Everything that is declared."""

    def __init__(self, declared: declaration.Declaration) -> None:
        """Raise `DeclarationError` naming all that cannot be computed."""
        self.entities = {each.name: each for each in declared.entities}
        self.views = {each.name: View(each, self.entities[each.entity]) for each in declared.views}
        self.events = {each.name: each for each in declared.events}
        self.tables = {each.name: each for each in declared.tables}
        #: What requests may say, for features to be computed with.
        self.said = {each.name: each.type for view in declared.views for each in view.request}
        #: How what is computed is computed.
        self.plan = Plan(self)

    @classmethod
    def read(cls, data: object, *, files_in: Path = _HERE) -> "Definitions":
        """Return what a file declares, or raise `DeclarationError` with all that is wrong.

        The files that it names are relative to `files_in`.
        """
        return cls(declaration.read(data, files_in=files_in))

    def view(self, name: str, *, field: str) -> View:
        """Return the view of that name. Raises `InvalidRequest` naming `field`."""
        try:
            return self.views[name]
        except KeyError:
            first, dot, feature = name.partition(".")
            dotted = dot and first in self.views  # as in definitions
            meant = f"here it is {first}:{feature:.64}" if dotted else nearest(name, self.views)
            raise InvalidRequest(f"there is no view {name!r:.80}; {meant}", field=field) from None

    def event(self, name: str, *, field: str) -> Event:
        """Return what is declared of such events. Raises `InvalidRequest` naming `field`."""
        try:
            return self.events[name]
        except KeyError:
            raise InvalidRequest(
                f"there are no events {name!r:.80}; {nearest(name, self.events)}", field=field
            ) from None

    def given(self, values: Mapping[str, object], *, field: str) -> Mapping[str, Held]:
        """Return what a request says, as it is declared. Raises `InvalidRequest` naming `field`."""
        given = {}
        for name, value in values.items():
            kind = self.said.get(name)
            if kind is None:
                raise InvalidRequest(
                    f"nothing is computed with {name!r:.80}; {nearest(name, self.said)}",
                    field=f"{field}.{name:.80}",
                )
            try:
                given[name] = kind.checked_finite(value)
            except ValueError as error:
                raise InvalidRequest(f"{name}: {error}", field=f"{field}.{name}") from error
        return given

    def entity(self, name: str, *, field: str) -> Entity:
        """Return the entity of that name. Raises `InvalidRequest` naming `field`."""
        try:
            return self.entities[name]
        except KeyError:
            raise InvalidRequest(
                f"there is no entity {name!r:.80}; {nearest(name, self.entities)}", field=field
            ) from None


def _us(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * US)


def _size(text: str) -> int:
    """Return the bytes that a text takes; 0 if it has no UTF-8."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return 0
