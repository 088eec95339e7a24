"""What cannot be, in a declaration whose single parts can: names, references, types, kinds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from inferd.features.derivation import EVENT_FIELDS, Aggregation
from inferd.features.kinds import Kind
from inferd.features.suggestions import nearest

if TYPE_CHECKING:
    from inferd.features.declaration import Declaration, Feature, View

_COUNTS = ("count", "distinct")
_NUMBERS = ("int64", "float64")
_TAKES: Mapping[str, Sequence[str]] = {
    **dict.fromkeys(("distinct", "last", "count", "rate"), ()),
    "newest": ("string", "int64"),
}
"""Of which types something is that is not of numbers; none: of any."""


def contradictions(declared: "Declaration") -> Iterable[str]:
    """Return all in which a declaration contradicts itself, each with its path."""
    entities = [each.name for each in declared.entities]
    yield from _miscounted("entities", entities)
    yield from _miscounted("views", [each.name for each in declared.views])
    yield from _repeated("events", [each.name for each in declared.events])
    yield from _repeated("tables", [each.name for each in declared.tables])
    for table in declared.tables:
        yield from _repeated(f"tables.{table.name}.columns", [each.name for each in table.columns])
        if table.key.type.is_list:
            yield f"tables.{table.name}.key.type: a list is no key"
    for event in declared.events:
        yield from _miscounted(f"events.{event.name}.fields", [each.name for each in event.fields])
    said: dict[str, Kind] = {}
    for view in declared.views:
        path = f"views.{view.name}"
        for each in view.request:
            if said.setdefault(each.name, each.type) != each.type:
                yield f"{path}.request.{each.name}.type: elsewhere it is {said[each.name]}"
        yield from _miscounted(f"{path}.features", [each.name for each in view.features])
        yield from _repeated(f"{path}.request", [each.name for each in view.request])
        if view.entity not in entities:
            yield (
                f"{path}.entity: there is no entity {view.entity!r:.80};"
                f" {nearest(view.entity, entities)}"
            )
        if view.name == "request":
            yield f"{path}.name: in references, it stands for what the caller says"
        yield from _of_one_kind(view, path)
        yield from _of_no_use(view, path)
        if view.events is None:
            yield from _of_no_events(view, path)
        else:
            yield from _aggregated(view, declared, path)


def _of_no_events(view: "View", path: str) -> Iterable[str]:
    aggregates = ", ".join(each.name for each in view.features if each.aggregate is not None)
    if aggregates:
        yield f"{path}.events: it is missing, and says of what {aggregates} are aggregates"
    elif view.by is not None:
        yield f"{path}.by: there are no events"


def _of_one_kind(view: "View", path: str) -> Iterable[str]:
    for feature in view.features:
        at = f"{path}.features.{feature.name}"
        ways = ("aggregate", "transform", "cel", "lookup")
        said = [way for way in ways if getattr(feature, way) is not None]
        if len(said) > 1:
            yield f"{at}: it is one of {' and '.join(said)}, not both"
        elif view.kind == "aggregated" and said != ["aggregate"]:
            yield f"{at}: all features of a view of events are aggregates"
        elif said != ["aggregate"] and bool(said) != (view.kind != "stored"):
            yield f"{at}: in one view, all features are computed, or none is"


def _of_no_use(view: "View", path: str) -> Iterable[str]:
    """Return what is said of a view that is said of another kind only."""
    if view.kind != "computed":
        for key in ("request", "cache_ttl_s"):
            if getattr(view, key):
                yield f"{path}.{key}: nothing is computed"
        return
    if view.request and view.cache_ttl_s is not None:
        yield f"{path}.cache_ttl_s: what depends on the request cannot be cached"
    for key in ("ttl_s", "max_age_s"):
        if getattr(view, key) is not None:
            yield f"{path}.{key}: nothing is stored; what it is computed from has one"
    for feature in view.features:
        if feature.allow_nan:
            yield f"{path}.features.{feature.name}.allow_nan: what is computed is finite"


def _aggregated(view: "View", declared: "Declaration", path: str) -> Iterable[str]:
    events = {each.name: each for each in declared.events}
    ids = {each.name: each.id for each in declared.entities}.get(view.entity)
    by = view.by or view.entity
    fields = dict(EVENT_FIELDS)
    yield from _repeated(f"{path}.events", view.events or ())
    for name in view.events or ():
        event = events.get(name)
        if event is None:
            yield f"{path}.events: there are no events {name!r:.80}; {nearest(name, events)}"
            return
        its = {each.name: each.type for each in event.fields}
        if by not in its:
            yield f"{path}.by: event {name} has no field {by!r:.80}; {nearest(by, its)}"
        elif ids is not None and its[by].name != ids:
            yield f"{path}.by: {by} is {its[by]}, and the ids of {view.entity} are {ids}"
        for field, kind in its.items():
            if fields.setdefault(field, kind) != kind:
                yield f"{path}.events: {field} of {name} is {kind}, elsewhere it is {fields[field]}"
    for feature in view.features:
        if feature.aggregate is not None:
            at = f"{path}.features.{feature.name}"
            told = " or ".join(view.events or ())
            yield from _aggregate(feature, feature.aggregate, fields, told, at)


def _aggregate(
    feature: "Feature", aggregate: Aggregation, fields: Mapping[str, Kind], event: str, at: str
) -> Iterable[str]:
    kind = None
    if aggregate.of is not None:
        kind = fields.get(aggregate.of)
        if kind is None:
            of = aggregate.of
            yield f"{at}.aggregate.of: event {event} has no field {of!r:.80}; {nearest(of, fields)}"
            return
        takes = _TAKES.get(aggregate.function, _NUMBERS)
        if takes and kind.name not in takes:
            function = aggregate.function
            yield f"{at}.aggregate.of: {aggregate.of} is {kind}, and there is no {function} of it"
            return
    expected = Kind("float64")
    if aggregate.function in _COUNTS:
        expected = Kind("int64")
    elif aggregate.function == "newest":
        expected = Kind("string_list")
    elif kind is not None and aggregate.function in ("last", "min", "max"):
        expected = kind
    if feature.type != expected:
        yield f"{at}.type: {aggregate.function} is {expected} here, not {feature.type}"


def _miscounted(path: str, names: Sequence[str]) -> Iterable[str]:
    if not names:
        yield f"{path}: there are none"
    yield from _repeated(path, names)


def _repeated(path: str, names: Sequence[str]) -> Iterable[str]:
    for name in sorted({each for each in names if names.count(each) > 1}):
        yield f"{path}.{name}: declared {names.count(name)} times"
