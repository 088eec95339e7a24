"""The entities and views that there are, made ready for use: found by name, and by nothing else.

Whoever names something that is not there is told what is meant most likely.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inferd.errors import InvalidRequest
from inferd.features import declaration
from inferd.features.declaration import Entity, Feature
from inferd.features.rows import Codec
from inferd.features.suggestions import nearest

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

    def id_of(self, given: EntityId, *, field: str) -> EntityId:
        """Return an id, if the entity can have it. Raises `InvalidRequest` naming `field`."""
        if self.entity.id == "int64":
            if type(given) is int and -(2**63) <= given < 2**63:
                return given
        elif isinstance(given, str) and 0 < _size(given) <= MAX_ID_BYTES:
            return given
        expected = "int64" if self.entity.id == "int64" else f"string of 1 to {MAX_ID_BYTES} bytes"
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
        self.entities = {each.name: each for each in declared.entities}
        self.views = {each.name: View(each, self.entities[each.entity]) for each in declared.views}
        self.events = {each.name: each for each in declared.events}
        self.tables = {each.name: each for each in declared.tables}

    @classmethod
    def read(cls, data: object) -> "Definitions":
        """Return what a file declares, or raise `DeclarationError` with all that is wrong."""
        return cls(declaration.read(data))

    def view(self, name: str, *, field: str) -> View:
        """Return the view of that name. Raises `InvalidRequest` naming `field`."""
        try:
            return self.views[name]
        except KeyError:
            raise InvalidRequest(
                f"there is no view {name!r:.80}; {nearest(name, self.views)}", field=field
            ) from None

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
