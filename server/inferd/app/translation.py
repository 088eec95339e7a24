"""What JSON means by what is declared of features: ids, values, and events of a stream.

An event of a declared type says its fields in its `data`. Of whom it is, its `user_id` says where
`data` does not: this goes for the entity that is called `user`, or for the only one that there is.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import UTC, datetime, timedelta

from inferd.errors import InvalidRequest
from inferd.features.aggregates.events import EventWrite
from inferd.features.compute import cells
from inferd.features.definitions import Definitions, EntityId, View
from inferd.features.kinds import Held, Kind
from inferd.features.values import NOTHING
from inferd.features.writing import Write
from inferd.services.features.selection import Selection, Selections, id_of
from inferd.streaming.events import Event

USER = "user"

_BYTES = Kind("bytes")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

Said = Mapping[str, object]
"""Values by name, as JSON has them: bytes are Base64."""


class Translator:
    """Knows what is declared. Raises `InvalidRequest` naming the `field` that is wrong."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        names = [*definitions.entities]
        self._user = names[0] if len(names) == 1 else USER
        views, events = definitions.views.values(), definitions.events.values()
        self._views = {
            each.name: [view for view in views if each.name in (view.declared.events or ())]
            for each in events
        }
        self._bytes_in_view = {
            view: _bytes((it.name, it.type) for it in view.features) for view in views
        }
        self._bytes_in_event = {
            it.name: _bytes((of.name, of.type) for of in it.fields) for it in events
        }
        self._bytes_said = _bytes(definitions.said.items())

    def row(self, view: str, id: object, event_us: int, said: Said, *, field: str) -> Write:
        """Return what is to be written."""
        it = self._definitions.view(view, field=f"{field}.view")
        values = _from_json(said, self._bytes_in_view[it], f"{field}.values")
        return Write(it, any_id(it, id, field=f"{field}.id"), event_us, values)

    def event(self, name: str, id: str, event_us: int, said: Said, *, field: str) -> EventWrite:
        """Return what is to be recorded."""
        declared = self._definitions.event(name, field=f"{field}.event")
        fields = _from_json(said, self._bytes_in_event[name], f"{field}.fields")
        return EventWrite(declared, id, event_us, fields)

    def given(self, said: Said, *, field: str) -> Mapping[str, Held]:
        """Return what somebody says who asks, for features to be computed with."""
        if not said:
            return NOTHING
        return self._definitions.given(_from_json(said, self._bytes_said, field), field=field)

    def streamed(self, event: Event) -> EventWrite | None:
        """Return what is to be recorded of an event; None: no view is of events of this type."""
        views = self._views.get(event.event_type)
        if not views:
            return None
        declared, data = self._definitions.events[event.event_type], event.data
        said = {each.name: data[each.name] for each in declared.fields if each.name in data}
        fields = _from_json(said, self._bytes_in_event[declared.name], "data")
        for view in views:
            by = _by(view)
            if self._is_users(view) and event.user_id and fields.get(by) is None:
                user = id_of(view, event.user_id, field="user_id")
                fields = {**fields, by: user}
        event_us = (event.timestamp - _EPOCH) // _US
        return EventWrite(declared, event.id, event_us, fields)

    def entity_id(self, view: View, event: Event) -> EntityId:
        """Return of whom the features of a view are that are asked for because of an event."""
        by = _by(view)
        said = event.data.get(by)
        if said is None and self._is_users(view):
            return id_of(view, event.user_id, field="user_id")
        if said is None:
            text = (
                f"the event does not say which {view.entity.name} it is about: data.{by} is missing"
            )
            raise InvalidRequest(text, field=f"data.{by}")
        return any_id(view, said, field=f"data.{by}")

    def said(self, event: Event) -> Mapping[str, Held]:
        """Return what an event says for features to be computed with."""
        data, names = event.data, self._definitions.said
        said = {name: data[name] for name in names if data.get(name) is not None}
        return self.given(said, field="data")

    def _is_users(self, view: View) -> bool:
        return view.entity.name == self._user


def selected(definitions: Definitions, names: Sequence[str]) -> list[Selection]:
    """Return what names of views and `view:feature` mean, by entity. Raises `InvalidRequest`."""
    by_entity: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        view = definitions.view(name.partition(":")[0], field=f"features[{number}]")
        by_entity.setdefault(view.entity.name, []).append(name)
    selections = Selections(definitions)
    return [selections.of(entity, its) for entity, its in by_entity.items()]


def any_id(view: View, said: object, *, field: str) -> EntityId:
    """Return an id that is written as itself or as a text. Raises `InvalidRequest`."""
    if isinstance(said, str):
        return id_of(view, said, field=field)
    return view.id_of(said, field=field)


def _by(view: View) -> str:
    """Return the name of the field that says of whom an event is."""
    return view.declared.by or view.entity.name


def _bytes(kinds: Iterable[tuple[str, Kind]]) -> Set[str]:
    """Return the names of what is bytes."""
    return {name for name, kind in kinds if kind.name == "bytes"}


def _from_json(said: Said, bytes_: Set[str], field: str) -> Said:
    """Return values by name; whether they are of their types is for others to say."""
    if bytes_.isdisjoint(said):
        return said
    values = dict(said)
    for name in bytes_ & values.keys():
        if values[name] is not None:
            try:
                values[name] = cells.from_json(_BYTES, values[name])
            except ValueError as error:
                raise InvalidRequest(f"{name}: {error}", field=f"{field}.{name}") from error
    return values
