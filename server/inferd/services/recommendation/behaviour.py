"""What everybody does with items: how much, how lately, and what with what.

Of each item and each kind of act there is a count for each half-life: what happened a half-life ago
counts half (as in Metarank's trending and windowed counters, with no windows to turn over). An item
that somebody did something with has a slot, from 1 on. Slot 0 is for all others: its counts are 0.
When there is no more room, the quarter of the items with the least to them is forgotten.

The same class learns from the past, event by event, and serves. Late events count what they would
count by now. Not kept over restarts: which items are of one session.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
import numpy as np

from inferd.cache.kept import Changed
from inferd.config.recommendation.catalogue import Behaviour as Settings
from inferd.services.recommendation.columns import Ints, Table
from inferd.services.recommendation.covisitation import CoVisits, Floats, Near
from inferd.services.recommendation.vocabulary import Act

_US: Final = 1_000_000
HALF_LIVES: Final = {"1h": 3600 * _US, "1d": 86_400 * _US, "7d": 7 * 86_400 * _US}
"""In microseconds, by name."""
_PLACES: Final = {name: place for place, name in enumerate(HALF_LIVES)}
_HALF_LIVES_US: Final = np.array([*HALF_LIVES.values()], np.float64)
ACTS: Final = len(Act)
"""Columns of counts: of `Act(1)`, `Act(2)`, ..."""
#: What it says of two items that somebody had to do with both.
_PULL: Final = {Act.VIEW: 1.0, Act.CLICK: 1.0, Act.CART: 2.0, Act.PURCHASE: 3.0}
#: What a table remembers of a row of which nobody did anything.
NO_SLOT: Final = -1
#: Slots in one piece of a snapshot.
_PIECE: Final = 2048
_FORGOTTEN: Final = 0.25


class _Piece(msgspec.Struct, frozen=True, array_like=True):
    """Some slots, in a snapshot."""

    width: int
    ids: list[str]
    counts: bytes
    updated_us: bytes
    neighbours: bytes
    weights: bytes
    mass: bytes
    together_us: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Piece).decode


class Behaviour:
    """What everybody does. Lives on the event loop."""

    def __init__(self, settings: Settings, *, max_items: int) -> None:
        """Know nothing. There are at most about so many items at a time."""
        self._settings = settings
        self._capacity = 2 * max_items + 1
        #: By slot; the first is nobody's.
        self.ids = [""]
        self._slots: dict[str, int] = {}
        #: Another one whenever slots change hands.
        self.numbering = object()
        #: Float32 [half-lives, n, acts].
        self._counts = np.zeros((len(HALF_LIVES), self._capacity, ACTS), np.float32)
        self._updated_us = np.zeros(self._capacity, np.int64)
        self._together = self._no_covisits()
        #: What users did last, newest first: items, and when.
        self._sessions: OrderedDict[str, deque[tuple[str, int]]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many slots there are, with the first."""
        return len(self.ids)

    def record(self, user: str, item: str, type: Act, at_us: int) -> None:
        """Take note that a user did something."""
        slot = self._slot(item)
        age_us = at_us - int(self._updated_us[slot])
        change = np.exp2(-abs(age_us) / _HALF_LIVES_US)
        if age_us >= 0:
            self._counts[:, slot] *= change[:, None]
            self._counts[:, slot, type - 1] += 1
            self._updated_us[slot] = at_us
        else:  # it comes late
            self._counts[:, slot, type - 1] += change
        pull = _PULL.get(type)
        if pull is not None:
            self._join(user, item, pull, at_us)

    def slots(self, ids: Iterable[str]) -> Ints:
        """Return the slots of items, int64 [k]; 0: nobody did anything with it."""
        return np.fromiter((self._slots.get(id, 0) for id in ids), np.int64)

    def slots_of(self, table: Table, rows: Ints) -> Ints:
        """Return the slots of rows, int64 [k]. The table remembers them, and who has none."""
        self._tell(table)
        found = table.slots[rows]
        missing = np.flatnonzero(found == 0)
        if len(missing):
            these, ids = rows[missing], table.ids
            slots = self.slots(ids[row] for row in these.tolist())
            table.slots[these] = np.where(slots > 0, slots, NO_SLOT)
            found[missing] = slots
        return np.maximum(found, 0)

    def _tell(self, table: Table) -> None:
        """Have a table know of the slots that there are since it was asked about last."""
        if table.slots_of is not self.numbering:
            table.slots.fill(0)
            table.slots_of = self.numbering
        else:
            for slot in range(table.slots_until, len(self)):
                row = table.row(self.ids[slot])
                if row is not None:
                    table.slots[row] = slot
        table.slots_until = len(self)

    def counts(self, slots: Ints, half_life: str, now_us: int) -> Floats:
        """Return how often what was done, float32 [k, acts], by a half-life of `HALF_LIVES`."""
        place = _PLACES[half_life]
        counts: Floats = self._counts[place, slots] * self._fade(slots, place, now_us)[:, None]
        return counts

    def ctr(self, slots: Ints, half_life: str, now_us: int) -> Floats:
        """Return how many impressions are clicked, float32 [k]: (a + clicks) / (b + impressions).

        a and b are what the configuration says; an item of which nothing is known has a / b.
        """
        counts = self.counts(slots, half_life, now_us)
        clicks, shown = counts[:, Act.CLICK - 1], counts[:, Act.IMPRESSION - 1]
        of = self._settings
        ctr: Floats = (of.ctr_clicks + clicks) / (of.ctr_impressions + shown)
        return ctr

    def demand(self, weights: Floats, half_life: str, now_us: int) -> Floats:
        """Return the weighted sum of what was done with each slot, float32 [len(self)].

        `weights` is float32 [acts].
        """
        place, every = _PLACES[half_life], slice(0, len(self))
        demand: Floats = self._counts[place, every] @ weights
        demand *= self._fade(every, place, now_us)
        return demand

    def near(self, ids: Sequence[str], shares: Floats, now_us: int) -> Near:
        """Return what goes together with any of these items, each of which counts its share."""
        return self._together.near(self.slots(ids), shares, now_us)

    def covisits(self, near: Near, slots: Ints) -> Floats:
        """Return how much each of these slots goes together with what `near` is of, float32 [k]."""
        if not len(near.slots):
            return np.zeros(len(slots), np.float32)
        places = np.minimum(np.searchsorted(near.slots, slots), len(near.slots) - 1)
        return np.where(near.slots[places] == slots, near.strength[places], np.float32(0))

    def pieces(self) -> Iterator[bytes]:
        """Yield all that is to be kept, piece by piece: others may have their turn in between.

        Each item is as it was when its piece was made. Raises `Changed` where slots have changed
        hands since the first.
        """
        together, begin, numbering = self._together, 1, self.numbering
        while begin < len(self):
            these = slice(begin, min(begin + _PIECE, len(self)))
            yield _encode(
                _Piece(
                    together.neighbours.shape[1],
                    self.ids[these],
                    self._counts[:, these].tobytes(),
                    self._updated_us[these].tobytes(),
                    together.neighbours[these].tobytes(),
                    together.weights[these].tobytes(),
                    together.mass[these].tobytes(),
                    together.updated_us[these].tobytes(),
                )
            )
            begin = these.stop
            if self.numbering is not numbering:
                raise Changed

    def restore(self, pieces: Iterable[bytes]) -> None:
        """Know what was kept; nothing may be known yet. What there is no room for is left out.

        Raises `msgspec.MsgspecError`, `ValueError` for what no `pieces` made.
        """
        for blob in pieces:
            piece = _decode(blob)
            count = min(len(piece.ids), self._capacity - len(self))
            self._restore(piece, slice(len(self), len(self) + count), count)
        neighbours = self._together.neighbours[: len(self)]
        beyond = neighbours >= len(self)
        self._together.weights[: len(self)][beyond] = neighbours[beyond] = 0

    def _restore(self, piece: _Piece, these: slice, count: int) -> None:
        self.ids += piece.ids[:count]
        self._slots.update(zip(piece.ids[:count], range(these.start, these.stop), strict=True))
        counts = np.frombuffer(piece.counts, np.float32).reshape(len(HALF_LIVES), -1, ACTS)
        self._counts[:, these] = counts[:, :count]
        self._updated_us[these] = np.frombuffer(piece.updated_us, np.int64)[:count]
        together = self._together
        neighbours = np.frombuffer(piece.neighbours, np.int32).reshape(-1, piece.width)[:count]
        weights = np.frombuffer(piece.weights, np.float32).reshape(-1, piece.width)[:count]
        width = min(piece.width, together.neighbours.shape[1])
        strongest = np.argsort(-weights, axis=1, kind="stable")[:, :width]
        together.neighbours[these, :width] = np.take_along_axis(neighbours, strongest, 1)
        together.weights[these, :width] = np.take_along_axis(weights, strongest, 1)
        together.mass[these] = np.frombuffer(piece.mass, np.float32)[:count]
        together.updated_us[these] = np.frombuffer(piece.together_us, np.int64)[:count]

    def _slot(self, item: str) -> int:
        slot = self._slots.get(item)
        if slot is None:
            if len(self) == self._capacity:
                self._forget()
            slot = self._slots[item] = len(self)
            self.ids.append(item)
        return slot

    def _join(self, user: str, item: str, pull: float, at_us: int) -> None:
        """Say that an item goes together with what the user did just before."""
        of = self._settings
        session = self._sessions.pop(user, None)
        if session is None:
            session = deque(maxlen=of.session_items)
            if len(self._sessions) >= of.max_users:
                self._sessions.popitem(last=False)
        self._sessions[user] = session
        slot, own = self._slots[item], None
        for each in session:
            other, before_us = each
            if other == item:
                own = each
            elif abs(at_us - before_us) <= of.session_s * _US and other in self._slots:
                self._together.add(slot, self._slots[other], pull, at_us)
                self._together.add(self._slots[other], slot, pull, at_us)
        if own is not None:
            session.remove(own)
        session.appendleft((item, at_us))

    def _fade(self, slots: Ints | slice, place: int, now_us: int) -> Floats:
        """Return what is left of counts, float32 [k]."""
        age_us = np.maximum(now_us - self._updated_us[slots], 0)
        fade: Floats = np.exp2(-age_us / _HALF_LIVES_US[place]).astype(np.float32)
        return fade

    def _forget(self) -> None:
        """Forget the items with the least to them, and number the others anew."""
        now_us = int(self._updated_us.max())
        everything = np.ones(ACTS, np.float32)
        much = self.demand(everything, "7d", now_us)
        much[0] = np.inf
        kept = np.sort(np.argsort(-much, kind="stable")[: int(len(self) * (1 - _FORGOTTEN))])
        numbers = np.zeros(self._capacity, np.int32)
        numbers[kept] = np.arange(len(kept))
        before, together, count = self._together, self._no_covisits(), len(kept)
        counts, updated_us = np.zeros_like(self._counts), np.zeros_like(self._updated_us)
        counts[:, :count], updated_us[:count] = self._counts[:, kept], self._updated_us[kept]
        neighbours = numbers[before.neighbours[kept]]
        together.neighbours[:count] = neighbours
        together.weights[:count] = np.where(neighbours > 0, before.weights[kept], 0)
        together.mass[:count] = before.mass[kept]
        together.updated_us[:count] = before.updated_us[kept]
        self._counts, self._updated_us, self._together = counts, updated_us, together
        self.ids = [self.ids[slot] for slot in kept.tolist()]
        self._slots = {id: slot for slot, id in enumerate(self.ids) if slot}
        self.numbering = object()

    def _no_covisits(self) -> CoVisits:
        of = self._settings
        return CoVisits(self._capacity, of.neighbours, of.covisits_half_life_s * _US)
