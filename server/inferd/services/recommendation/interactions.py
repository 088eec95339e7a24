"""What users do with items: checked, recorded as events of features, and told to who wants to know.

An interaction is told when it is safe, and at most once: whoever sends it again is answered, and
nobody hears of it a second time.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from inferd.call import Call
from inferd.config.recommendation.interactions import InteractionEvent
from inferd.config.recommendation.interactions import Interactions as Settings
from inferd.errors import InvalidRequest, Violation
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.aggregates.backlog import Recorded
from inferd.features.aggregates.events import MAX_EVENT_ID_BYTES, CheckedEvent, EventWrite
from inferd.features.definitions import MAX_ID_BYTES, Definitions
from inferd.features.kinds import Held, Kind
from inferd.features.suggestions import nearest
from inferd.services.features.batch import AT_A_TIME, Batch, checked
from inferd.services.recommendation.items import Item
from inferd.services.recommendation.vocabulary import Act
from inferd.v1 import recommendation_pb2 as pb

MAX_REQUEST_ID_BYTES = 128
MAX_QUANTITY = 1_000_000

_TEXT, _INT = Kind("string"), Kind("int64")
SAID: Mapping[str, Kind] = {
    "user_id": _TEXT,
    "item_id": _TEXT,
    "act": _TEXT,
    "time_us": _INT,
    "request_id": _TEXT,
    "position": _INT,
    "quantity": _INT,
    "amount_minor": _INT,
    "item.category": _TEXT,
    "item.brand": _TEXT,
    "item.merchant": _TEXT,
    "item.price_minor": _INT,
    "item.currency": _TEXT,
}
"""What there is to be said of an interaction, and the types."""
_ITEMS = {name for name in SAID if name.startswith("item.")} | {"amount_minor"}
"""What the catalogue says of its item."""

_ACTS: Mapping[int, Act] = {int(each): each for each in Act}
_RESULTS = {
    Recorded.ADDED: pb.RecordInteractionsResponse.ADDED,
    Recorded.DUPLICATE: pb.RecordInteractionsResponse.DUPLICATE,
    Recorded.TOO_OLD: pb.RecordInteractionsResponse.TOO_OLD,
}


class Interaction(NamedTuple):
    """What a user did with an item."""

    user_id: str
    item_id: str
    act: Act
    #: When, in microseconds since 1970.
    time_us: int
    #: Of the answer that the item was in. Empty: none.
    request_id: str
    #: In that answer, from 0.
    position: int | None
    #: How much was bought.
    quantity: int


Listener = Callable[[Interaction], None]
"""Is told what was recorded. Returns soon, and does not raise."""


class _Ready(NamedTuple):
    interaction: Interaction
    event: CheckedEvent


class Interactions:
    """Records interactions. Lives on the event loop."""

    def __init__(
        self,
        settings: Settings,
        aggregator: Aggregator,
        *,
        most: int,
        item: Callable[[str], Item | None],
        listeners: Sequence[Listener] = (),
    ) -> None:
        """Take at most so many in a request. `item` finds what the catalogue has."""
        self._events = {Act[act.upper()]: it for act, it in settings.events.items()}
        self._aggregator = aggregator
        self._most = most
        self._item = item
        self._listeners = listeners
        #: Interactions by what was done and what became of them, in lower and upper case.
        self.counts: Counter[tuple[str, str]] = Counter()

    async def record(
        self, request: pb.RecordInteractionsRequest, call: Call
    ) -> pb.RecordInteractionsResponse:
        """Record what a request says.

        Raises `InvalidRequest` if none of it can be, and another `InferdError` where it is open
        what was.
        """
        batch = await self._checked(request)
        if not batch.good:
            raise batch.refusal()
        return await self._answered(batch, call)

    async def stream(
        self, requests: AsyncIterator[pb.RecordInteractionsRequest], call: Call
    ) -> AsyncGenerator[pb.RecordInteractionsResponse, None]:
        """Record what is streamed in, one request after the other.

        What is wrong with a request is in its answer. Raises `InferdError` as `record` else does.
        """
        async for request in requests:
            try:
                batch = await self._checked(request)
            except InvalidRequest as error:  # there is nothing in it, or too much
                batch = Batch[_Ready]([], [error] * len(request.interactions))
            yield await self._answered(batch, call)

    async def _checked(self, request: pb.RecordInteractionsRequest) -> Batch[_Ready]:
        return await checked(
            request.interactions, self._ready, field="interactions", most=self._most
        )

    async def _answered(self, batch: Batch[_Ready], call: Call) -> pb.RecordInteractionsResponse:
        events = [each.event for each in batch.good]
        recorded = await self._aggregator.record(call, call.deadline, events)
        added: list[Interaction] = []
        for (interaction, _), result in zip(batch.good, recorded, strict=True):
            self.counts[interaction.act.name.lower(), result.name] += 1
            if result is Recorded.ADDED:
                added.append(interaction)
        await self._tell(added)
        left = iter(recorded)
        return pb.RecordInteractionsResponse(
            results=[
                pb.RecordInteractionsResponse.Result(status=_RESULTS[next(left)])
                if problem is None
                else _rejected(problem)
                for problem in batch.problems
            ]
        )

    async def _tell(self, added: Iterable[Interaction]) -> None:
        left = iter(added)
        try:
            for number, interaction in enumerate(left, start=1):
                self._told(interaction)
                if number % AT_A_TIME == 0:
                    await asyncio.sleep(0)  # others have deadlines, too
        finally:
            for interaction in left:  # whoever sent them has left, and still they happened
                self._told(interaction)

    def _told(self, interaction: Interaction) -> None:
        for listener in self._listeners:
            listener(interaction)

    def _ready(self, message: pb.Interaction, field: str) -> _Ready:
        """Return an interaction that can be recorded. Raises `InvalidRequest` naming all."""
        wrong = [*_problems(message, field)]
        act = _ACTS.get(message.type)
        declared = None if act is None else self._events.get(act)
        if act is None:
            known = ", ".join(Act.__members__)
            wrong.append(Violation(f"{field}.type", f"it is one of {known}, not {message.type}"))
        elif declared is None:
            text = f"interactions of type {act.name} are not recorded here"
            wrong.append(Violation(f"{field}.type", text))
        if wrong or act is None or declared is None:
            raise _refusal(wrong)
        interaction = Interaction(
            user_id=message.user_id,
            item_id=message.item_id,
            act=act,
            time_us=message.time_us or self._aggregator.now_us(),
            request_id=message.request_id,
            position=message.position if message.HasField("position") else None,
            quantity=message.quantity or 1,
        )
        return _Ready(interaction, self._event(declared, interaction, message.event_id, field))

    def _event(
        self, declared: InteractionEvent, interaction: Interaction, event_id: str, field: str
    ) -> CheckedEvent:
        fields = declared.fields
        item = None
        if any(source in _ITEMS for source in fields.values()):
            item = self._item(interaction.item_id)
        write = EventWrite(
            self._aggregator.definitions.events[declared.event],
            event_id or uuid4().hex,
            interaction.time_us,
            {name: _said(source, interaction, item) for name, source in fields.items()},
        )
        try:
            return self._aggregator.checked(write, field=field)
        except InvalidRequest as error:
            wrong = [_in_own_words(each, fields, field) for each in error.violations]
            raise _refusal(wrong) from error


def problems(settings: Settings, definitions: Definitions) -> Iterable[str]:
    """Yield what interactions cannot be recorded as, each with its key."""
    for act, event in settings.events.items():
        key = f"events.{act}"
        declared = definitions.events.get(event.event)
        if declared is None:
            near = nearest(event.event, definitions.events)
            yield f"{key}.event: there are no events {event.event}; {near}"
            continue
        if not any(event.event in (it.declared.events or ()) for it in definitions.views.values()):
            yield f"{key}.event: no view is of events {event.event}"
        fields = {each.name: each for each in declared.fields}
        for name, field in fields.items():
            if field.required and name not in event.fields:
                yield f"{key}.fields.{name}: events {event.event} need it"
        for name, source in event.fields.items():
            path = f"{key}.fields.{name}"
            if name not in fields:
                yield f"{path}: events {event.event} have no such field; {nearest(name, fields)}"
            elif not _fits(SAID[source], fields[name].type):
                yield f"{path}: it is {fields[name].type}, and {source} is {SAID[source]}"


def _problems(message: pb.Interaction, field: str) -> Iterable[Violation]:
    for name in ("user_id", "item_id"):
        if not 1 <= len(getattr(message, name).encode()) <= MAX_ID_BYTES:
            yield Violation(f"{field}.{name}", f"it has 1 to {MAX_ID_BYTES} bytes")
    for name, most in (("request_id", MAX_REQUEST_ID_BYTES), ("event_id", MAX_EVENT_ID_BYTES)):
        if len(getattr(message, name).encode()) > most:
            yield Violation(f"{field}.{name}", f"it has at most {most} bytes")
    if message.position < 0:
        yield Violation(f"{field}.position", f"places are counted from 0, not {message.position}")
    if not 0 <= message.quantity <= MAX_QUANTITY:
        text = f"it is at most {MAX_QUANTITY}, and not negative; not {message.quantity}"
        yield Violation(f"{field}.quantity", text)


def _said(source: str, it: Interaction, item: Item | None) -> Held | None:
    """Return what an interaction, or the item that it is about, says."""
    if source == "act":
        return it.act.name.lower()
    if source == "amount_minor":
        return None if item is None else item.price_minor * it.quantity
    name = source.removeprefix("item.")
    said: Held | None = getattr(it if name == source else item, name, None)
    return None if said == "" else said


def _in_own_words(violation: Violation, sources: Mapping[str, str], field: str) -> Violation:
    """Return what is wrong with an event by the field of the interaction that it is from."""
    name = violation.field.removeprefix(field).removeprefix(".")
    if name == "event_time_us":
        name = "time_us"
    elif name.startswith("fields"):
        source = sources.get(name.removeprefix("fields."), "user_id")
        name = "item_id" if source in _ITEMS else source
    return Violation(f"{field}.{name}", violation.description)


def _refusal(wrong: Sequence[Violation]) -> InvalidRequest:
    return InvalidRequest("; ".join(each.description for each in wrong), violations=wrong)


def _rejected(problem: InvalidRequest) -> pb.RecordInteractionsResponse.Result:
    return pb.RecordInteractionsResponse.Result(
        status=pb.RecordInteractionsResponse.REJECTED,
        problems=[f"{each.field}: {each.description}" for each in problem.violations],
    )


def _fits(kind: Kind, expected: Kind) -> bool:
    """Return whether values of one type are good for another: integers are for floats."""
    return kind == expected or (kind.name, expected.name) == ("int64", "float64")
