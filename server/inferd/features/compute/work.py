"""One entity's features of one view, while they are being computed: what is known, what is next.

What is known is a list of slots (`inferd.features.compute.plan`). A slot that could not be filled
in time is filled with its default, and says so; so does all that was computed from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from inferd.features.compute.plan import Recipe, Step
from inferd.features.derivation import Table
from inferd.features.kinds import Held
from inferd.features.values import DEFAULT, Found, Lookup, Status, Value

SOURCE = "computed"

Row = Mapping[str, Held]
"""What a table says of a key, by column; a column may be absent."""
Rows = Mapping[Held, Row]

_PRESENT, _MISSING, _TIMED_OUT = Status.PRESENT, Status.MISSING, Status.TIMED_OUT
_SOUND = (Status.PRESENT, Status.NULL)


class Wanted(NamedTuple):
    """A row of a table that a step is for."""

    number: int
    table: Table
    key: Held


class Work:
    """What is known of a look-up so far."""

    def __init__(self, lookup: Lookup, recipe: Recipe, at_hand: Mapping[str, Rows]) -> None:
        """`at_hand`: the tables that need not be asked."""
        self.lookup = lookup
        self._recipe = recipe
        self._at_hand = at_hand
        #: What is to be read first.
        self.bases = [
            Lookup(view, lookup.entity_id, places, lookup.as_of_us, lookup.given)
            for view, places in recipe.bases.items()
        ]
        #: What the caller says that matters.
        self.said = [_said(lookup.given.get(name)) for name in recipe.requests]
        self._read = sum(map(len, recipe.bases.values()))
        self._first = self._read + len(self.said)
        self._slots: list[Value | None] = [
            *[None] * self._read,
            *self.said,
            *[None] * len(recipe.steps),
        ]
        self._left: Sequence[int] = range(len(recipe.steps))

    def take(self, found: Iterable[Found]) -> None:
        """Take in what was read, in the order of `bases`."""
        self._slots[: self._read] = [value for each in found for value in each.values]

    def advance(self) -> list[Wanted]:
        """Take all steps that can be taken; return what must be looked up elsewhere for others."""
        wanted, left = [], []
        steps = self._recipe.steps
        for number in self._left:
            step = steps[number]
            inputs = self._inputs(step)
            if inputs is None:
                left.append(number)
            elif want := self._take(number, step, inputs):
                wanted.append(want)
        self._left = left
        return wanted

    def looked_up(self, number: int, row: Row | None) -> None:
        """Take in what a table has; None: it has nothing."""
        step = self._recipe.steps[number]
        inputs = self._inputs(step)
        assert inputs is not None, "it was looked up by them"
        self._slots[self._first + number] = _looked_up(step, inputs, row)

    def fail(self, number: int) -> None:
        """Do without what a table has."""
        step = self._recipe.steps[number]
        self._slots[self._first + number] = _stand_in(step, _TIMED_OUT)

    def leave(self) -> None:
        """Do without what is not computed yet: there is no time to compute it."""
        for number in range(len(self._recipe.steps)):
            if self._slots[self._first + number] is None:
                self.fail(number)

    @property
    def hopeless(self) -> bool:
        """Whether something required can come no more."""
        required = self.lookup.view.has_required
        return required and _lacks(self.lookup, self._outputs()) is not None

    def found(self, now_us: int) -> Found:
        """Return what is known; where it is not known yet, a default stands in.

        `now_us` is when what depends on no event came to be so.
        """
        self._finish()
        as_of_us = self.lookup.as_of_us
        at_us = now_us if as_of_us is None else min(now_us, as_of_us)
        values = [
            value._replace(event_us=at_us)
            if value.event_us is None and value.source == SOURCE
            else value
            for value in self._outputs()
            if value is not None
        ]
        events = [value.event_us for value in values if value.event_us is not None]
        return Found(
            self.lookup,
            status_of(self.lookup, values),
            event_us=max(events, default=None),
            source=SOURCE,
            values=values,
        )

    def _finish(self) -> None:
        """Do without what is not there yet."""
        for number, step in enumerate(self._recipe.steps):
            if self._slots[self._first + number] is None:
                inputs = self._inputs(step)
                assert inputs is not None, "steps come after what they need"
                if self._take(number, step, inputs):
                    self.fail(number)

    def _inputs(self, step: Step) -> Sequence[Value] | None:
        """Return what a step is taken with; None: not all of it is known yet."""
        slots, inputs = self._slots, []
        for slot in step.inputs:
            value = slots[slot]
            if value is None:
                return None
            inputs.append(value)
        return inputs

    def _take(self, number: int, step: Step, inputs: Sequence[Value]) -> Wanted | None:
        """Take a step; return what must be looked up elsewhere for it."""
        if step.compute is not None:
            value = step.compute([each[0] for each in inputs])
            self._slots[self._first + number] = _judged(step, value, inputs)
            return None
        assert step.table is not None, "what is not computed is looked up"
        key, row = inputs[0].value, None
        if key is not None:
            rows = self._at_hand.get(step.table.name)
            if rows is None:
                return Wanted(number, step.table, key)
            row = rows.get(key)
        self._slots[self._first + number] = _looked_up(step, inputs, row)
        return None

    def _outputs(self) -> list[Value | None]:
        return [self._slots[slot] for slot in self._recipe.outputs]


def status_of(lookup: Lookup, values: Sequence[Value]) -> Status:
    """Return what is to be thought of values as a whole: whether some of them are late.

    Where something required is lacking for good, the rest was given up, and time is not the reason.
    """
    late = any(value.status is _TIMED_OUT for value in values)
    return _TIMED_OUT if late and _lacks(lookup, values) in (None, _TIMED_OUT) else _PRESENT


def _lacks(lookup: Lookup, values: Sequence[Value | None]) -> Status | None:
    """Return why something required will not come; None: all that is required came, or may."""
    view, why = lookup.view, None
    if view.has_required:
        for place, value in zip(lookup.places, values, strict=True):
            if value is not None and value.value is None and view.features[place].required:
                why = value.status
                if why is not _TIMED_OUT:
                    break
    return why


def _said(value: Held | None) -> Value:
    return Value(value, _MISSING if value is None else _PRESENT, None, "")


def _looked_up(step: Step, key: Sequence[Value], row: Row | None) -> Value:
    return _judged(step, None if row is None else row.get(step.column), key)


def _judged(step: Step, value: Held | None, inputs: Sequence[Value]) -> Value:
    """Return a value with what is to be thought of it, given what it is from."""
    late, event_us = False, None
    for _, status, at_us, _ in inputs:
        late = late or status is _TIMED_OUT
        if at_us is not None and (event_us is None or at_us > event_us):
            event_us = at_us
    if value is not None:
        return Value(value, _TIMED_OUT if late else _PRESENT, event_us, SOURCE)
    unsound = (each.status for each in inputs if each.status not in _SOUND)
    return _stand_in(step, _TIMED_OUT if late else next(unsound, _MISSING))


def _stand_in(step: Step, status: Status) -> Value:
    default = step.view.features[step.place].default
    return Value(default, status, None, "" if default is None else DEFAULT)
