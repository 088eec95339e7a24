"""The features that rules and models are told: which they are, whose, and what was found.

All are read at once. Those of somebody whom the transaction does not name have their defaults, like
those of somebody of whom nothing is known yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from inferd.features.definitions import Definitions, EntityId, View
from inferd.features.kinds import Held, Kind
from inferd.features.suggestions import nearest
from inferd.features.values import Found, Lookup, Status
from inferd.services.fraud.audit_record import FeatureUsed
from inferd.services.fraud.rules import Values

JOIN = "|"
_ESCAPED = str.maketrans({JOIN: f"\\{JOIN}", "\\": "\\\\"})
_LATE = Status.TIMED_OUT

Sources = Mapping[str, Sequence[str]]
"""Names, and the variables that say what they are."""


class Told(NamedTuple):
    """What rules and models are told of features."""

    values: dict[str, Held | None]
    used: list[FeatureUsed]
    failed: bool
    """Whether nothing could be read."""
    partly: bool
    """Whether something could not."""


NOTHING_NEEDED = Told({}, [], failed=False, partly=False)


def said(values: Values, source: Sequence[str]) -> Held | None:
    """Return what variables say together; None if one of them is not known, or empty.

    Others never say the same: a `|` in a value has a backslash before it, and so has a backslash.
    """
    if len(source) == 1:
        value = values[source[0]]
        return None if value == "" else value
    parts = [values[name] for name in source]
    if any(each is None or each == "" for each in parts):
        return None
    return JOIN.join(str(each).translate(_ESCAPED) for each in parts)


class _Part(NamedTuple):
    """What is read of one view."""

    view: View
    places: Sequence[int]
    names: Sequence[str]
    source: Sequence[str]


class Reading:
    """What is read for every transaction. It never changes."""

    def __init__(self, parts: Sequence[_Part], given: Mapping[str, str]) -> None:
        self._parts = parts
        self._given = given

    def __len__(self) -> int:
        return len(self._parts)

    def lookups(self, values: Values) -> list[Lookup]:
        """Return what to ask about a transaction; nobody's features are with an empty id."""
        given = {
            name: value
            for name, source in self._given.items()
            if (value := values[source]) is not None
        }
        return [
            Lookup(part.view, _id(said(values, part.source)), part.places, given=given)
            for part in self._parts
        ]

    def told(self, found: Sequence[Found], now_us: int) -> Told:
        """Return what was found, in the order of `lookups`."""
        values: dict[str, Held | None] = {}
        used: list[FeatureUsed] = []
        late = {True: [0, 0], False: [0, 0]}  # by whether it is computed: late ones, and all
        for part, each in zip(self._parts, found, strict=True):
            count = late[part.view.kind == "computed"]
            for name, (value, status, event_us, source) in zip(
                part.names, each.values, strict=True
            ):
                values[name] = value
                age_us = None if event_us is None else max(0, now_us - event_us)
                used.append(
                    FeatureUsed(name=name, value=value, status=status, source=source, age_us=age_us)
                )
                count[0] += status is _LATE
                count[1] += 1
        # What is computed may be computed from nothing but defaults.
        read_late, read_all = late[False] if late[False][1] else late[True]
        failed = 0 < read_all == read_late
        return Told(values, used, failed, partly=any(it[0] for it in late.values()))


class Needs:
    """Which features there can be, for transactions."""

    def __init__(
        self, definitions: Definitions, entities: Sources, given: Mapping[str, str]
    ) -> None:
        """`entities`: which variables say whose features; `given`: what is said besides."""
        self._views = {
            name: view for name, view in definitions.views.items() if view.entity.name in entities
        }
        self._entities = entities
        self._given = given

    @property
    def variables(self) -> dict[str, Kind]:
        """All features that can be asked for, and their types."""
        return {
            f"{view.name}.{feature.name}": feature.type
            for view in self._views.values()
            for feature in view.features
        }

    def reading(self, names: Iterable[str]) -> Reading:
        """Return how to read features; of `names`, those that are none are left out."""
        wanted: dict[View, list[str]] = {}
        for name in dict.fromkeys(names):
            view_name, _, feature = name.partition(".")
            view = self._views.get(view_name)
            if view is not None and feature in view.places:
                wanted.setdefault(view, []).append(feature)
        parts = [
            _Part(
                view,
                view.places_of(features, field="features"),
                [f"{view.name}.{each}" for each in features],
                self._entities[view.entity.name],
            )
            for view, features in wanted.items()
        ]
        return Reading(parts, self._given)


def problems(
    definitions: Definitions,
    entities: Sources,
    given: Mapping[str, str],
    variables: Mapping[str, Kind],
) -> Iterable[str]:
    """Yield what does not fit what is declared, each with its key."""
    for name, source in entities.items():
        yield from unknown(f"entities.{name}", source, variables)
        if name not in definitions.entities:
            yield f"entities.{name}: {nearest(name, definitions.entities)}"
        elif definitions.entities[name].id == "int64":
            yield f"entities.{name}: its ids are int64, and those of transactions are texts"
    for name, variable in given.items():
        yield from unknown(f"request.{name}", [variable], variables)
        expected = definitions.said.get(name)
        if expected is None:
            yield f"request.{name}: nothing is computed with it; {nearest(name, definitions.said)}"
        elif variable in variables and not fits(variables[variable], expected):
            yield f"request.{name}: it is {expected}, and {variable} is {variables[variable]}"


def unknown(key: str, names: Iterable[str], variables: Mapping[str, Kind]) -> Iterable[str]:
    """Yield which variables there are not."""
    for name in names:
        if name not in variables:
            yield f"{key}: there is no variable {name}; {nearest(name, variables)}"


def fits(kind: Kind, expected: Kind) -> bool:
    """Return whether values of one type are good for another: integers are for floats."""
    return kind == expected or (kind.name, expected.name) == ("int64", "float64")


def _id(value: Held | None) -> EntityId:
    return "" if value is None else str(value)
