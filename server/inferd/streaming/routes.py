"""Which model answers which events, and from what: the configuration's routes, worked out once."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from inferd.config.stream import Route as Settings
from inferd.errors import InvalidRequest
from inferd.streaming.events import Event, Steps, found, path_problem


class Field(NamedTuple):
    """One number of a model's input."""

    path: str
    default: float | None
    #: Where it is in the event; empty for a feature.
    steps: Steps
    #: Where it is among the features; -1 for what is in the event.
    feature: int


class Route(NamedTuple):
    """What is done with the events of one type."""

    settings: Settings
    #: What to ask of the features.
    features: tuple[str, ...]
    #: For each input tensor, its fields.
    inputs: Mapping[str, tuple[Field, ...]]

    def numbers(self, event: Event, features: Sequence[object]) -> dict[str, list[float]]:
        """Return the row of each input tensor. Raises `InvalidRequest` naming what is wrong."""
        return {
            tensor: [_number(field, event, features) for field in fields]
            for tensor, fields in self.inputs.items()
        }


def routed(settings: Settings) -> Route:
    """Return a route that is ready for use."""
    names = dict.fromkeys(
        each.path for inputs in settings.inputs.values() for each in inputs if ":" in each.path
    )
    places = {name: place for place, name in enumerate(names)}
    inputs = {
        tensor: tuple(
            Field(
                each.path,
                each.default,
                () if each.path in places else tuple(each.path.split(".")),
                places.get(each.path, -1),
            )
            for each in fields
        )
        for tensor, fields in settings.inputs.items()
    }
    return Route(settings, tuple(names), inputs)


def problems(routes: Mapping[str, Settings], *, features: bool) -> Iterator[str]:
    """Yield what is wrong with routes, naming the key; `features`: whether there are any."""
    if not routes:
        yield "stream.routes: there are none, so no event would be answered"
    for name, route in routes.items():
        for tensor, fields in route.inputs.items():
            for place, each in enumerate(fields):
                key = f"stream.routes.{name}.inputs.{tensor}.{place}"
                if ":" not in each.path:
                    if problem := path_problem(each.path):
                        yield f"{key}: {problem}"
                elif not features:
                    yield f"{key}: {each.path} is a feature, and none are declared"
        if not (route.model or features):
            yield f"stream.routes.{name}: has no model, and there are no features to record it in"


def _number(field: Field, event: Event, features: Sequence[object]) -> float:
    value = found(event, field.steps) if field.steps else features[field.feature]
    if type(value) is float and math.isfinite(value):
        return value  # as nearly always: there are many for each event
    if value is None:
        if field.default is None:
            raise InvalidRequest(f"{field.path} is missing and has no default", field=field.path)
        return field.default
    if not isinstance(value, int | float):
        raise InvalidRequest(
            f"{field.path} must be a number, got {str(value)[:64]!r}", field=field.path
        )
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidRequest(f"{field.path} must be finite, got {number}", field=field.path)
    return number
