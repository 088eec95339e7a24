"""Features for a stream: its events are recorded, and features read of those they are about."""

from collections.abc import Sequence
from functools import lru_cache, partial

from inferd.app.translation import Translator, selected
from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import InvalidRequest
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.definitions import Definitions
from inferd.features.online import OnlineFeatures
from inferd.streaming.events import Event

KEPT = 1024
"""Lists of names. There is one for each route."""

NUMBERS = frozenset({"int64", "float64", "bool"})
"""The types of features that an input tensor may be made of."""


class StreamFeatures:
    """Records and reads (`inferd.streaming.features`). Lives on the event loop."""

    def __init__(
        self, definitions: Definitions, online: OnlineFeatures, aggregator: Aggregator
    ) -> None:
        self._online = online
        self._aggregator = aggregator
        self._translator = Translator(definitions)
        self._selected = lru_cache(maxsize=KEPT)(partial(selected, definitions))

    def check(self, names: Sequence[str]) -> None:
        """Raise `InvalidRequest` unless there are all of these, and they are numbers."""
        for each in self._selected(tuple(names)):
            for column in each.columns:
                if column.feature.type.name not in NUMBERS:
                    raise InvalidRequest(
                        f"{column.name} is {column.feature.type}, and no number", field=column.name
                    )

    async def record(self, call: Call, deadline: Deadline, event: Event) -> None:
        """Add an event to what is aggregated of those it is about, if anything is."""
        write = self._translator.streamed(event)
        if write is not None:
            await self._aggregator.record(call, deadline, [self._aggregator.checked(write)])

    async def vector(
        self, call: Call, deadline: Deadline, event: Event, names: Sequence[str]
    ) -> Sequence[object]:
        """Return the values of `view:feature` names, in order; None for what is not there."""
        selections, said = self._selected(tuple(names)), self._translator.said(event)
        lookups = []
        for each in selections:
            entity_id = self._translator.entity_id(each.parts[0].view, event)
            lookups += each.lookups([entity_id], None, said)
        found = iter(await self._online.get(call, deadline, lookups))
        values: dict[str, object] = {}
        for each in selections:
            rows = [next(found).values for _ in each.parts]
            values |= {name: rows[part][at].value for name, part, at, _ in each.columns}
        return [values[name] for name in names]
