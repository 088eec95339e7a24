"""Computed views, some of which are good for a while: those are computed seldom, and cached.

What was computed from less than everything, because something was late, is given to those who
wait for it and kept by nobody.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec
from msgspec import UNSET

from inferd.cache.multilevel import MultiLevel
from inferd.call import Call
from inferd.deadline import Deadline
from inferd.errors import InferdError
from inferd.features.compute.work import SOURCE, status_of
from inferd.features.definitions import US, View
from inferd.features.rows import Cell, Row
from inferd.features.values import Found, Lookup, Status, Value, judged


class Computed(NamedTuple):
    """A whole view of one entity, as it was computed."""

    #: When, in microseconds since 1970.
    at_us: int
    row: Row
    #: What there is if something was late. None: it is all in the row.
    late: Sequence[Value] | None = None


class ComputedCodec:
    """Writes and reads what was computed of one view."""

    def __init__(self, view: View) -> None:
        self._rows = view.codec
        self._decode = msgspec.msgpack.Decoder(tuple[int, bytes]).decode

    def encode(self, value: Computed) -> bytes:
        """Return a value as a blob; its stamp is when it was computed."""
        row = self._rows.encode(value.row.event_us, value.row.cells)
        return msgspec.msgpack.encode((value.at_us, row))

    def decode(self, blob: bytes) -> Computed | None:
        """Return what a blob says; None for one that is corrupt."""
        try:
            at_us, encoded = self._decode(blob)
        except msgspec.MsgspecError:
            return None
        row = self._rows.decode(encoded, SOURCE)
        return None if row is None else Computed(at_us, row)


class Computes(Protocol):
    """Computes views (`inferd.features.compute.engine`)."""

    async def fetch(
        self,
        call: Call,
        deadline: Deadline,
        lookups: Sequence[Lookup],
        *,
        part_by_part: bool = False,
    ) -> list[Found]:
        """Return what is known by the deadline. Never raises `InferdError`."""


class ComputedViews:
    """Reads computed views. Lives on the event loop."""

    def __init__(
        self,
        engine: Computes,
        caches: Mapping[View, MultiLevel[Computed]],
        *,
        now_us: Callable[[], int],
    ) -> None:
        """Cache those views for which there is one in `caches`."""
        self._engine = engine
        self._caches = caches
        self._now_us = now_us

    async def fetch(self, call: Call, deadline: Deadline, lookups: Sequence[Lookup]) -> list[Found]:
        """Return what is known, in the order of `lookups`. Never raises `InferdError`."""
        parts: dict[View | None, list[Lookup]] = {}
        for each in lookups:
            parts.setdefault(self._cached(each), []).append(each)
        if len(parts) == 1:
            ((view, part),) = parts.items()
            return await self._read(call, deadline, view, part)
        answers = await asyncio.gather(
            *(self._read(call, deadline, view, part) for view, part in parts.items())
        )
        found = {view: iter(answer) for view, answer in zip(parts, answers, strict=True)}
        return [next(found[self._cached(each)]) for each in lookups]

    async def load(
        self, view: View, call: Call, deadline: Deadline, names: Sequence[str]
    ) -> list[Computed]:
        """Compute a whole view of entities that are named as in its cache."""
        ids = [view.id_in(name) for name in names]
        at_us = self._now_us()
        lookups = [Lookup(view, each, view.everything) for each in ids]
        found = await self._engine.fetch(call, deadline, lookups, part_by_part=True)
        return [_computed(at_us, each) for each in found]

    def left_s(self, view: View, value: Computed) -> float:
        """Return for how much longer what was computed is good, in seconds."""
        if value.late is not None or view.cache_ttl_us is None:
            return 0.0
        return (value.at_us + view.cache_ttl_us - self._now_us()) / US

    def _cached(self, lookup: Lookup) -> View | None:
        """Return the view whose cache is asked; None: it is computed."""
        return lookup.view if lookup.as_of_us is None and lookup.view in self._caches else None

    async def _read(
        self, call: Call, deadline: Deadline, view: View | None, lookups: Sequence[Lookup]
    ) -> list[Found]:
        if view is None:
            return await self._engine.fetch(call, deadline, lookups)
        names = [f"{view.prefix}{each.entity_id}" for each in lookups]
        try:
            answers = await self._caches[view].get(call, deadline, names, partial(self.load, view))
        except InferdError:
            return [Found(each, Status.TIMED_OUT) for each in lookups]
        now_us = self._now_us()
        return [
            _found(lookup, value, source, now_us)
            for lookup, (value, source) in zip(lookups, answers, strict=True)
        ]


def _computed(at_us: int, found: Found) -> Computed:
    """Return what was computed as it is cached."""
    event_us = at_us if found.event_us is None else found.event_us
    if any(value.status is Status.TIMED_OUT for value in found.values):
        return Computed(at_us, Row(event_us, (), SOURCE), late=found.values)
    return Computed(at_us, Row(event_us, tuple(map(_cell, found.values)), SOURCE))


def _cell(value: Value) -> Cell:
    return UNSET if value.status is not Status.PRESENT else value.value


def _found(lookup: Lookup, value: Computed | None, source: str, now_us: int) -> Found:
    if value is None or value.late is None:
        row = None if value is None else value.row._replace(source=source)
        return judged(lookup, row, now_us)
    values = [value.late[place] for place in lookup.places]
    status, event_us = status_of(lookup, values), value.row.event_us
    return Found(lookup, status, event_us=event_us, source=SOURCE, values=values)
