"""A log of what happened, line by line: rows, events, and questions, which have answers.

    {"row": {"view": "profile", "id": 7, "event_time_us": 1700000000000000, "values": {"age": 41}}}
    {"event": {"event": "payment", "event_id": "e1", "event_time_us": 1700000001000000,
               "fields": {"user": 7, "amount": 9.5}}}
    {"ask": {"entity": "user", "id": 7, "at_us": 1700000002000000, "request": {"basket": 3}}}

An event of a stream (`inferd.streaming.events`) is a line, too; one of a type that is not declared
tells nothing, and is counted. A line is refused where the server would have refused what it says,
and where it is older than what came before by more than the slack.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from inferd.app.translation import Translator, any_id, selected
from inferd.errors import InvalidRequest
from inferd.features.aggregates.events import EventWrite
from inferd.features.definitions import US, Definitions
from inferd.features.history import History
from inferd.features.kinds import Held
from inferd.features.suggestions import nearest
from inferd.features.values import Status
from inferd.features.writing import wrong_time
from inferd.streaming.events import Event, decoded

MAX_LINE_BYTES = 16 * 1024 * 1024


class _Row(msgspec.Struct, forbid_unknown_fields=True):
    view: str
    id: str | int
    event_time_us: int
    values: dict[str, Any]


class _Event(msgspec.Struct, forbid_unknown_fields=True):
    event: str
    event_id: str
    event_time_us: int
    fields: dict[str, Any]


class _Ask(msgspec.Struct, forbid_unknown_fields=True):
    entity: str
    id: str | int
    at_us: int
    request: dict[str, Any] = {}


class _Line(msgspec.Struct):
    row: _Row | None = None
    event: _Event | None = None
    ask: _Ask | None = None
    #: Of an event of a stream, which has other keys besides.
    event_type: str | None = None


_decode = msgspec.json.Decoder(_Line).decode

_KINDS = _Line.__struct_fields__
"""What a line may be: one of these."""


class Vector(msgspec.Struct, frozen=True):
    """The answer to a question. Where there is no value, the declared default stands in."""

    entity: str
    id: str | int
    at_us: int
    #: By `view:feature`.
    values: Mapping[str, Held | None]
    statuses: Mapping[str, Status]


class Replay:
    """Reads one line after the other."""

    def __init__(
        self,
        definitions: Definitions,
        history: History,
        names: Sequence[str],
        *,
        slack_us: int,
        until_us: int,
    ) -> None:
        """Answer with the features of these names. Nothing is from later than `until_us`.

        Raises `InvalidRequest` for names that there are not, and for features that cannot be told.
        """
        self._translator = Translator(definitions)
        self._declared = definitions.events.keys()
        self._history = history
        self._slack_us = slack_us
        self._until_us = until_us
        selections = selected(definitions, names)
        self._selections = {each.entity.name: each for each in selections}
        for part in (part for each in selections for part in each.parts):
            if unknown := history.unknown_tables(*part):
                raise InvalidRequest(
                    f"view {part.view.name} needs what tables said that are no files, and nobody"
                    f" wrote that down: {', '.join(sorted(unknown))}"
                )
        #: Of all that can be answered.
        self.columns = [column.name for each in selections for column in each.columns]
        #: What became of rows and events, and how many questions there were.
        self.counts: Counter[str] = Counter()
        #: How many events of a stream were left out, by their type, which is not declared.
        self.undeclared: Counter[str] = Counter()

    def take(self, body: bytes) -> Vector | None:
        """Take in a line; return the answer, if it is a question. Raises `InvalidRequest`."""
        try:
            line = _decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"{error}") from error
        kinds = [name for name in _KINDS if getattr(line, name) is not None]
        if len(kinds) != 1:
            text = "a line is a row, an event, or a question (ask)"
            raise InvalidRequest(f"{text}, not {' and '.join(kinds)}" if kinds else text)
        if line.ask is not None:
            return self._answer(line.ask)
        if line.event is not None:
            it = line.event
            named = it.event, it.event_id, it.event_time_us, it.fields
            self._record(self._translator.event(*named, field="event"), "event")
        elif line.row is not None:
            self._write(line.row)
        else:
            self._take_streamed(decoded(body, max_bytes=MAX_LINE_BYTES))
        return None

    def _take_streamed(self, event: Event) -> None:
        write = self._translator.streamed(event)
        if write is not None:
            self._record(write, "")
        elif event.event_type not in self._declared:
            self.undeclared[event.event_type] += 1

    def _write(self, row: _Row) -> None:
        self._check_time(row.event_time_us, "row.event_time_us")
        named = row.view, row.id, row.event_time_us, row.values
        write = self._translator.row(*named, field="row")
        result = self._history.write(write, field="row")
        self.counts[f"rows {result.name}"] += 1

    def _record(self, write: EventWrite, field: str) -> None:
        self._check_time(write.event_us, f"{field}.event_time_us" if field else "timestamp")
        result = self._history.record(write, field=field)
        self.counts[f"events {result.name}"] += 1

    def _answer(self, ask: _Ask) -> Vector:
        self._check_time(ask.at_us, "ask.at_us")
        selection = self._selections.get(ask.entity)
        if selection is None:
            text = f"no feature of {ask.entity!r:.80} is asked for"
            raise InvalidRequest(
                f"{text}; {nearest(ask.entity, self._selections)}", field="ask.entity"
            )
        entity_id = any_id(selection.parts[0].view, ask.id, field="ask.id")
        said = self._translator.given(ask.request, field="ask.request")
        lookups = selection.lookups([entity_id], None, said)
        found = self._history.ask(lookups, ask.at_us, field="ask.at_us")
        rows = [each.values for each in found]
        self.counts["questions"] += 1
        return Vector(
            ask.entity,
            ask.id,
            ask.at_us,
            {name: rows[part][at].value for name, part, at, _ in selection.columns},
            {name: rows[part][at].status for name, part, at, _ in selection.columns},
        )

    def _check_time(self, at_us: int, field: str) -> None:
        if wrong := wrong_time(at_us, self._until_us, 0, field):
            raise InvalidRequest(wrong[0].description, violations=wrong)
        late_us = self._history.now_us - at_us
        if late_us > self._slack_us:
            raise InvalidRequest(
                f"it is {late_us / US:g} s older than what came before; {self._slack_us / US:g} s"
                " may be",
                field=field,
            )
