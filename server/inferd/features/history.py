"""What was known when: rows and events are replayed, and questions answered as a server would have.

Rows, events and questions are given in the order in which they came. The time is the latest that
any of them has, so nothing is ever asked of the future, and an event that comes late is in no
earlier answer. What they mean is decided by the very parts that serve: what may be written, what a
window has of events, how features are computed, and which value may be relied on. So a model learns
from what it will be given.

Only what nobody wrote down is not here: how late a store answered, and for how long a cache kept
what was computed. Whatever is computed is computed when it is asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from inferd.cache.blobs import Written, stamp_of, verdict
from inferd.errors import InvalidRequest
from inferd.features.aggregates.backlog import Recorded
from inferd.features.aggregates.events import CheckedEvent, EventWrite, Share, checked_event
from inferd.features.aggregates.views import AggregatedView
from inferd.features.compute.work import Rows, Work
from inferd.features.definitions import US, Definitions, View
from inferd.features.rows import Row
from inferd.features.values import Found, Lookup, judged
from inferd.features.windows import Added, State
from inferd.features.writing import Limits, Write, checked

SOURCE = "history"

T = TypeVar("T")


class History:
    """Replays what happened. All times are microseconds since 1970, UTC."""

    def __init__(
        self, definitions: Definitions, tables: Mapping[str, Rows], *, limits: Limits
    ) -> None:
        """`tables`: those whose rows are known; what any other says counts as not read in time."""
        self._definitions = definitions
        self._tables = tables
        self._limits = limits
        self._views = {
            view: AggregatedView(view, ahead_us=limits.ahead_us)
            for view in definitions.views.values()
            if view.kind == "aggregated"
        }
        self._views_of = {
            name: [each for each in self._views.values() if each.takes(name)]
            for name in definitions.events
        }
        #: Encoded, as a store has them.
        self._rows = _Kept[bytes]()
        self._states = _Kept[State]()
        #: What time it is.
        self.now_us = 0

    def unknown_tables(self, view: View, places: Sequence[int]) -> set[str]:
        """Return the tables that places of a view need and whose rows are not known."""
        if view.kind != "computed":
            return set()
        recipe = self._definitions.plan.recipe(view, places)
        needed = {step.table.name for step in recipe.steps if step.table is not None}
        for base in recipe.cached:
            needed |= self.unknown_tables(base, recipe.bases[base])
        return needed.difference(self._tables)

    def write(self, write: Write, *, field: str = "") -> Written:
        """Store a row unless a newer one is there. Raises `InvalidRequest` naming all problems."""
        now_us = max(self.now_us, write.event_us)
        _, (key, blob, keep_s) = checked(write, now_us=now_us, limits=self._limits, field=field)
        self.now_us = now_us
        there = self._rows.get(key, now_us)
        result = verdict(stamp_of(blob), None if there is None else stamp_of(there))
        if result is Written.STORED:
            self._rows.keep(key, blob, now_us, keep_s)
        return result

    def record(self, write: EventWrite, *, field: str = "") -> Recorded:
        """Record an event. Raises `InvalidRequest` naming all problems."""
        now_us = max(self.now_us, write.event_us)
        views = self._views_of[write.event.name]
        event = checked_event(write, views, now_us=now_us, limits=self._limits, field=field)
        self.now_us = now_us
        return max([self._added(event, share) for share in event.shares])

    def ask(self, lookups: Sequence[Lookup], at_us: int, *, field: str = "at_us") -> list[Found]:
        """Return what was known at a time, in the order of `lookups`, which name no time.

        Raises `InvalidRequest` where something newer has come already: it might be in the answer.
        """
        if at_us < self.now_us:
            ahead_s = (self.now_us - at_us) / US
            text = f"something {ahead_s:g} s newer came before the question, and might be told"
            raise InvalidRequest(text, field=field)
        self.now_us = at_us
        return [self._found(each) for each in lookups]

    def _added(self, event: CheckedEvent, share: Share) -> Recorded:
        state, now_us = self._states.get(share.key, self.now_us), self.now_us
        if state is None:
            state = State(share.of.plan)
        added = state.add(event.event_us, event.event_id, share.values, now_us=now_us)
        if added is Added.ADDED:
            self._states.keep(share.key, state, now_us, share.of.keep_s)
        return Recorded[added.name]

    def _found(self, lookup: Lookup) -> Found:
        if lookup.view.kind == "computed":
            return self._computed(lookup)
        row = self._row(lookup) if lookup.view.kind == "stored" else self._aggregates(lookup)
        return judged(lookup, row, self.now_us)

    def _row(self, lookup: Lookup) -> Row | None:
        view = lookup.view
        blob = self._rows.get(f"{view.prefix}{lookup.entity_id}", self.now_us)
        return None if blob is None else view.codec.decode(blob, SOURCE)

    def _aggregates(self, lookup: Lookup) -> Row | None:
        view = self._views[lookup.view]
        state = self._states.get(view.key(lookup.entity_id), self.now_us)
        if state is None:
            return None
        return Row(state.newest_us, view.cells(state, self.now_us), SOURCE)

    def _computed(self, lookup: Lookup) -> Found:
        recipe = self._definitions.plan.recipe(lookup.view, lookup.places)
        work = Work(lookup, recipe, self._tables)
        work.take([self._found(each) for each in work.bases])
        work.advance()
        return work.found(self.now_us)


class _Kept(Generic[T]):
    """What a store has, each for its time."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[T, float]] = {}

    def get(self, key: str, now_us: int) -> T | None:
        kept = self._kept.get(key)
        return kept[0] if kept is not None and now_us < kept[1] else None

    def keep(self, key: str, it: T, now_us: int, keep_s: float | None) -> None:
        """Keep something for so long; None: for ever."""
        self._kept[key] = it, float("inf") if keep_s is None else now_us + keep_s * US
