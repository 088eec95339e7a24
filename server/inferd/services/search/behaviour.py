"""What everybody does with what they find: how much, how lately, and for which query.

A document is clicked more often at the top, whatever it is. So what counts as having been shown is
how likely the place was looked at, and a rate is clicks per expected look (clicks over expected
clicks, Zhang and Jones 2007). For a query, a click counts 1 / that likelihood (inverse propensity
scoring, Joachims, Swaminathan and Schnabel 2017).

All counts fade: what happened a half-life ago counts half. Nothing is about a single user. All that
is kept is bounded; what is forgotten first is what has the least to it.

The same class learns from the past, event by event, and serves. Late events count what they would
count by now.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from inferd.config.search.behaviour import SearchBehaviour as Settings

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

DAY_US: Final = 86_400_000_000
HALF_LIVES: Final = {"1d": DAY_US, "7d": 7 * DAY_US, "30d": 30 * DAY_US}
"""In microseconds, by name."""
_PLACES: Final = {name: place for place, name in enumerate(HALF_LIVES)}
_HALF_LIVES_US: Final = np.array([*HALF_LIVES.values()], np.float64)
_LONGEST: Final = "30d"
_PAIRS_US: Final = HALF_LIVES[_LONGEST]
#: Documents, or queries, in one piece of a snapshot.
_PIECE: Final = 1000
_FORGOTTEN: Final = 0.25


class Act(IntEnum):
    """What is counted of a document. The first is what is expected of what was shown."""

    LOOK = 0
    CLICK = 1
    CART = 2
    PURCHASE = 3


class _Documents(msgspec.Struct, frozen=True, array_like=True, tag="documents"):
    """The counts of some documents, in a snapshot."""

    ids: list[str]
    counts: bytes
    updated_us: bytes


class _Queries(msgspec.Struct, frozen=True, array_like=True, tag="queries"):
    """The clicks of some queries, in a snapshot."""

    texts: list[str]
    clicks: list[dict[str, float]]
    updated_us: list[int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Documents | _Queries).decode


@dataclass(slots=True)
class _Pairs:
    """The clicks of one query, by document, as of a time."""

    updated_us: int
    clicks: dict[str, float] = field(default_factory=dict)
    #: Clicks since the start of this server.
    changes: int = 0

    def add(self, document: str, weight: float, at_us: int, most: int) -> None:
        """Count a click; keep the documents with the most of them."""
        self.changes += 1
        fade = 2.0 ** -(abs(at_us - self.updated_us) / _PAIRS_US)
        if at_us > self.updated_us:
            self.clicks = {each: clicks * fade for each, clicks in self.clicks.items()}
            self.updated_us = at_us
        else:  # it comes late
            weight *= fade
        self.clicks[document] = self.clicks.get(document, 0.0) + weight
        if len(self.clicks) > most:
            others = (each for each in self.clicks if each != document)
            del self.clicks[min(others, key=self.clicks.__getitem__, default=document)]


class SearchBehaviour:
    """What everybody does. Lives on the event loop."""

    def __init__(self, settings: Settings) -> None:
        """Know nothing."""
        self._settings = settings
        self._examined = np.array(settings.examined, np.float64)
        #: Slot 0 is for all documents that nothing is known of.
        self._capacity = settings.max_documents + 1
        self._slots: dict[str, int] = {}
        #: Float32 [half-lives, n, acts], as of `_updated_us`.
        self._counts = np.zeros((len(HALF_LIVES), 1, len(Act)), np.float32)
        self._updated_us = np.zeros(1, np.int64)
        self._queries: OrderedDict[str, _Pairs] = OrderedDict()

    def shown(self, ids: Sequence[str], at_us: int, *, first: int = 0) -> None:
        """Take note of a page that somebody was shown, whose first hit is at the place `first`."""
        places = np.clip(np.arange(first, first + len(ids)), 0, len(self._examined) - 1)
        self._count(ids, Act.LOOK, self._examined[places], at_us)

    def record(self, query: str, document: str, act: Act, at_us: int, *, place: int = 0) -> None:
        """Take note of what somebody did with what they found at a place, from 0.

        `query` is the text that was searched for in the end, as `SearchFeatures` is told it. With
        an empty one nothing counts for a query. `at_us` must not be in the future.
        """
        self._count([document], act, np.ones(1), at_us)
        if not query or act is not Act.CLICK:
            return
        pairs = self._queries.get(query)
        if pairs is None:
            pairs = self._queries[query] = _Pairs(at_us)
            if len(self._queries) > self._settings.max_queries:
                self._queries.popitem(last=False)
        self._queries.move_to_end(query)
        likely = self._examined[min(max(place, 0), len(self._examined) - 1)]
        pairs.add(document, 1 / float(likely), at_us, self._settings.query_documents)

    def changes(self, query: str) -> int:
        """Return another number whenever somebody has clicked something for a query."""
        pairs = self._queries.get(query)
        return 0 if pairs is None else pairs.changes

    def slots(self, ids: Iterable[str]) -> Ints:
        """Return where the counts of documents are, int64 [k]; good until the next event."""
        return np.fromiter((self._slots.get(id, 0) for id in ids), np.int64)

    def counts(self, slots: Ints, half_life: str, now_us: int) -> Floats:
        """Return how often what was done, float32 [k, acts], by a half-life of `HALF_LIVES`."""
        place = _PLACES[half_life]
        age_us = np.maximum(now_us - self._updated_us[slots], 0)
        fade = np.exp2(-age_us / _HALF_LIVES_US[place]).astype(np.float32)
        counts: Floats = self._counts[place, slots] * fade[:, None]
        return counts

    def ctr(self, slots: Ints, half_life: str, now_us: int) -> Floats:
        """Return clicks per expected look, float32 [k], drawn to what the configuration says."""
        counts = self.counts(slots, half_life, now_us)
        clicks, looks = counts[:, Act.CLICK], counts[:, Act.LOOK]
        of = self._settings
        ctr: Floats = (of.ctr_clicks + clicks) / (of.ctr_looks + looks)
        return ctr

    def clicks_for(self, query: str, ids: Sequence[str], now_us: int) -> Floats:
        """Return the clicks on documents when this was searched for, float32 [k]."""
        pairs = self._queries.get(query)
        if pairs is None:
            return np.zeros(len(ids), np.float32)
        fade = 2.0 ** -(max(0, now_us - pairs.updated_us) / _PAIRS_US)
        found = np.fromiter((pairs.clicks.get(id, 0.0) for id in ids), np.float32, len(ids))
        return found * np.float32(fade)

    def share_for(self, query: str, ids: Sequence[str], now_us: int) -> Floats:
        """Return documents' shares of the clicks on a query, float32 [k], drawn to 0."""
        pairs = self._queries.get(query)
        if pairs is None:
            return np.zeros(len(ids), np.float32)
        fade = 2.0 ** -(max(0, now_us - pairs.updated_us) / _PAIRS_US)
        total = sum(pairs.clicks.values()) * fade
        share: Floats = self.clicks_for(query, ids, now_us) / np.float32(
            total + self._settings.pair_clicks
        )
        return share

    def pieces(self) -> Iterator[bytes]:
        """Yield all that is to be kept, piece by piece: others may have their turn in between.

        Everything is as it was when its piece was made.
        """
        ids, texts = [*self._slots], [*self._queries]
        for begin in range(0, len(ids), _PIECE):
            some = [id for id in ids[begin : begin + _PIECE] if id in self._slots]
            slots = self.slots(some)
            counts, updated_us = self._counts[:, slots], self._updated_us[slots]
            yield _encode(_Documents(some, counts.tobytes(), updated_us.tobytes()))
        for begin in range(0, len(texts), _PIECE):
            some = [text for text in texts[begin : begin + _PIECE] if text in self._queries]
            pairs = [self._queries[text] for text in some]
            clicks, times = [it.clicks for it in pairs], [it.updated_us for it in pairs]
            yield _encode(_Queries(some, clicks, times))

    def restore(self, pieces: Iterable[bytes]) -> None:
        """Know what was kept. What there is no room for is left out.

        Raises `msgspec.MsgspecError`, `ValueError` for what no `pieces` made; what came before it
        is known then.
        """
        for blob in pieces:
            match _decode(blob):
                case _Documents(ids, counts, updated_us):
                    shape = len(HALF_LIVES), len(ids), len(Act)
                    kept = np.frombuffer(counts, np.float32).reshape(shape)
                    times = np.frombuffer(updated_us, np.int64).reshape(len(ids))
                    for place, id in enumerate(ids[: self._capacity - 1 - len(self._slots)]):
                        slot = self._add(id)
                        self._counts[:, slot], self._updated_us[slot] = kept[:, place], times[place]
                case _Queries(texts, all_clicks, all_times):
                    rows = zip(texts, all_clicks, all_times, strict=True)
                    for text, clicks, time_us in rows:
                        if len(self._queries) < self._settings.max_queries:
                            self._queries[text] = _Pairs(time_us, clicks)

    def _count(self, ids: Sequence[str], act: Act, much: NDArray[np.float64], at_us: int) -> None:
        """Count something of documents, all different; `much` is [k]."""
        for id in ids:
            self._add(id)
        slots = self.slots(ids)
        age_us = at_us - self._updated_us[slots]
        change = np.exp2(-np.abs(age_us) / _HALF_LIVES_US[:, None])
        is_late = age_us < 0
        self._counts[:, slots] *= np.where(is_late, 1.0, change)[..., None]
        self._counts[:, slots, act] += np.where(is_late, change, 1.0) * much
        self._updated_us[slots] = np.maximum(self._updated_us[slots], at_us)
        self._counts[:, 0] = 0  # whoever was forgotten at once

    def _add(self, document: str) -> int:
        """Return the slot of a document, which has one from now on."""
        slot = self._slots.get(document)
        if slot is None:
            if len(self._slots) + 1 == self._capacity:
                self._forget()
            slot = self._slots[document] = len(self._slots) + 1
            if slot == len(self._updated_us):
                self._grow()
        return slot

    def _grow(self) -> None:
        """Make room for twice as many, up to all that there may be."""
        more = min(max(1024, 2 * len(self._updated_us)), self._capacity) - len(self._updated_us)
        self._counts = np.pad(self._counts, ((0, 0), (0, more), (0, 0)))
        self._updated_us = np.pad(self._updated_us, (0, more))

    def _forget(self) -> None:
        """Forget the documents with the least to them, and number the others anew."""
        ids = [*self._slots]
        slots = np.arange(1, len(ids) + 1)
        much = self.counts(slots, _LONGEST, int(self._updated_us.max())).sum(axis=1)
        most = max(1, int(len(ids) * (1 - _FORGOTTEN)))
        kept = np.sort(np.argsort(-much, kind="stable")[:most])
        counts, updated_us = np.zeros_like(self._counts), np.zeros_like(self._updated_us)
        counts[:, 1 : most + 1] = self._counts[:, kept + 1]
        updated_us[1 : most + 1] = self._updated_us[kept + 1]
        self._counts, self._updated_us = counts, updated_us
        self._slots = {ids[each]: slot for slot, each in enumerate(kept.tolist(), 1)}
