"""What aggregates are told of transactions: that they happened, and how they turned out.

A transaction is recorded behind everybody's back, together with those of the next milliseconds:
so the store is asked once for several of them. An outcome is recorded while its reporter waits,
for it is worth nothing unless it is safe.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256

from inferd.call import Call
from inferd.config.fraud_service import Fraud as Settings
from inferd.config.fraud_service import FraudEvent
from inferd.deadline import Clock, Deadline
from inferd.errors import InferdError
from inferd.features.aggregates.aggregator import Aggregator
from inferd.features.aggregates.events import CheckedEvent, EventWrite
from inferd.features.definitions import Definitions
from inferd.features.kinds import Held, Kind
from inferd.features.suggestions import nearest
from inferd.services.fraud.features import fits, said, unknown
from inferd.services.fraud.intake import Taken

GATHER_S = 0.01
"""For so long transactions are gathered, to be recorded at once."""
RECORD = "/inferd.v1.FraudService/record"
OUTCOME_VARIABLES: Mapping[str, Kind] = {
    "outcome.fraud": Kind("float64"),
    "transaction.id": Kind("string"),
}
"""Variables of outcome events, beside those of transactions."""

log = logging.getLogger(__name__)

Kept = dict[str, Held | None]
"""Fields of an event."""


class Happenings:
    """Records events. Lives on the event loop."""

    def __init__(self, settings: Settings, aggregator: Aggregator, *, clock: Clock) -> None:
        self._transaction = settings.transaction_event
        self._outcome = settings.outcome_event
        self._within_s = settings.record_ms / 1000
        self._aggregator = aggregator
        self._clock = clock
        #: What is recorded next.
        self._told: list[Taken] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()
        #: Transactions that were recorded, and those that were not, or perhaps not.
        self.recorded = self.unrecorded = 0

    def transaction(self, taken: Taken) -> None:
        """Have a transaction recorded. Returns at once, and never raises."""
        if self._transaction is None:
            return
        self._told.append(taken)
        if len(self._told) == 1:
            task = asyncio.get_running_loop().create_task(self._recorded(self._transaction))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    def involved(self, taken: Taken) -> Kept:
        """Return what an outcome event will say of a transaction, as far as it is known by now."""
        if self._outcome is None:
            return {}
        variables = {**taken.values, "transaction.id": taken.id}
        return {
            name: said(variables, source)
            for name, source in self._outcome.fields.items()
            if "outcome.fraud" not in source
        }

    async def outcome(
        self, call: Call, deadline: Deadline, id: str, involved: Kept, *, fraud: bool, at_us: int
    ) -> None:
        """Record how a transaction turned out, and return when that is safe. Raises `InferdError`.

        Another outcome of it is another event.
        """
        if self._outcome is None:
            return
        fields = dict(involved)
        for name, source in self._outcome.fields.items():
            if "outcome.fraud" in source:
                fields[name] = float(fraud)
        event_id = sha256(f"{id}\0{fraud}".encode(errors="replace")).hexdigest()
        event = self._checked(self._outcome.event, event_id, at_us, fields)
        await self._aggregator.record(call, deadline, [event])

    async def close(self) -> None:
        """Wait for what is under way: it does not take long."""
        self._hurry.set()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _recorded(self, declared: FraudEvent) -> None:
        now = self._clock()
        call, deadline = Call(RECORD, arrived=now), Deadline(now + self._within_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(GATHER_S):
                await self._hurry.wait()
        told, self._told = self._told, []
        events = [event for taken in told if (event := self._event(declared, taken)) is not None]
        try:
            await self._aggregator.record(call, deadline, events)
            self.recorded += len(events)
        except InferdError as error:
            self._missed(len(events), error)

    def _event(self, declared: FraudEvent, taken: Taken) -> CheckedEvent | None:
        """Return what is recorded of a transaction; None, counted: it cannot be."""
        fields = {name: said(taken.values, source) for name, source in declared.fields.items()}
        at_us = taken.values["transaction.time_us"]
        assert isinstance(at_us, int), "it was checked"
        try:
            return self._checked(declared.event, taken.id, at_us, fields)
        except InferdError as error:
            self._missed(1, error)
            return None

    def _missed(self, count: int, error: InferdError) -> None:
        if not self.unrecorded:
            log.warning("a transaction is not recorded, and others may not be: %s", error)
        self.unrecorded += count

    def _checked(self, name: str, id: str, at_us: int, fields: Kept) -> CheckedEvent:
        declared = self._aggregator.definitions.events[name]
        return self._aggregator.checked(EventWrite(declared, id, at_us, fields))


def problems(
    settings: Settings, definitions: Definitions, variables: Mapping[str, Kind]
) -> Iterable[str]:
    """Yield what events cannot say, each with its key."""
    events = {
        "transaction_event": (settings.transaction_event, variables),
        "outcome_event": (settings.outcome_event, {**variables, **OUTCOME_VARIABLES}),
    }
    for key, (event, known) in events.items():
        if event is not None:
            yield from _problems(key, event, definitions, known)


def _problems(
    key: str, event: FraudEvent, definitions: Definitions, variables: Mapping[str, Kind]
) -> Iterable[str]:
    declared = definitions.events.get(event.event)
    if declared is None:
        yield f"{key}.event: {nearest(event.event, definitions.events)}"
        return
    fields = {each.name: each for each in declared.fields}
    for name, field in fields.items():
        if field.required and name not in event.fields:
            yield f"{key}.fields.{name}: events {event.event} need it"
    for name, source in event.fields.items():
        path = f"{key}.fields.{name}"
        yield from unknown(path, source, variables)
        if name not in fields:
            yield f"{path}: events {event.event} have no such field; {nearest(name, fields)}"
        elif {*source} <= variables.keys():
            kind = variables[source[0]] if len(source) == 1 else Kind("string")
            if not fits(kind, fields[name].type):
                yield f"{path}: it is {fields[name].type}, and {'|'.join(source)} is {kind}"
