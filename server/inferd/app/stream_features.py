"""Features for a stream: its events are recorded, and features read of those they are about."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial

from inferd.app.translation import Translator, selected
from inferd.call import Call
from inferd.config.stream import Route
from inferd.deadline import Deadline
from inferd.errors import InvalidRequest
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.definitions import Definitions
from inferd.features.online import OnlineFeatures
from inferd.features.values import Lookup
from inferd.services.features.selection import Column
from inferd.streaming.events import Event
from inferd.streaming.routes import routed

KEPT = 1024
"""Lists of names. There is one for each route."""

NUMBERS = frozenset({"int64", "float64", "bool"})
"""The types of features that an input tensor may be made of."""


def problems(definitions: Definitions, routes: Mapping[str, Route]) -> Iterator[str]:
    """Yield which routes ask for features that there are not, or that are no numbers."""
    for name, route in routes.items():
        try:
            for each in selected(definitions, routed(route).features):
                _check_numbers(each.columns)
        except InvalidRequest as error:
            yield f"stream.routes.{name}.inputs: {error}"


def _check_numbers(columns: Sequence[Column]) -> None:
    for each in columns:
        if each.feature.type.name not in NUMBERS:
            raise InvalidRequest(f"{each.name} is {each.feature.type}, and no number")


class StreamFeatures:
    """Records and reads (`inferd.streaming.features`). Lives on the event loop."""

    def __init__(
        self, definitions: Definitions, online: OnlineFeatures, aggregator: Aggregator
    ) -> None:
        self._online = online
        self._aggregator = aggregator
        self._translator = Translator(definitions)
        self._selected = lru_cache(maxsize=KEPT)(partial(selected, definitions))

    async def record(self, call: Call, deadline: Deadline, event: Event) -> None:
        """Add an event to what is aggregated of those it is about, if anything is."""
        write = self._translator.streamed(event)
        if write is not None:
            await self._aggregator.record(call, deadline, [self._aggregator.checked(write)])

    async def vector(
        self, call: Call, deadline: Deadline, event: Event, names: Sequence[str]
    ) -> Sequence[object]:
        """Return the values of `view:feature` names, in order; None for what is not there.

        Each view is read for whom its own events would be, so the order means nothing.
        """
        selections, said = self._selected(tuple(names)), self._translator.said(event)
        lookups = [
            Lookup(view, self._translator.entity_id(view, event), places, None, said)
            for each in selections
            for view, places in each.parts
        ]
        found = iter(await self._online.get(call, deadline, lookups))
        values: dict[str, object] = {}
        for each in selections:
            rows = [next(found).values for _ in each.parts]
            values |= {name: rows[part][at].value for name, part, at, _ in each.columns}
        return [values[name] for name in names]
