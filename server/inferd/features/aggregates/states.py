"""States at hand: what is known of the blobs in the store, so that few of them are read or decoded.

A blob carries a number that grows by one with every write, and of two blobs a store keeps the one
with the larger number. So whoever writes number n + 1 knows whether it was built on what is there.
"""

from collections import Counter, OrderedDict
from typing import NamedTuple

from inferd.cache.blobs import EARLIEST_STAMP, HEAD, LATEST_STAMP, Entry, stamp_of
from inferd.deadline import Clock
from inferd.features.aggregates.views import AggregatedView
from inferd.features.windows import State

STATE_BYTES = 2000
BLOB_TIMES = 4
"""What a state takes at hand: so much, and so many times as much as its blob, about."""


class Base(NamedTuple):
    """A state to which events are added."""

    state: State
    #: Of its blob; 0: there is none.
    stamp: int

    def entry(self, view: AggregatedView, key: str) -> Entry:
        """Return what is written of it after events were added.

        The first stamp is always the same, so that of two servers that begin a state one is told.
        """
        stamp = max(self.stamp + 1, EARLIEST_STAMP)
        return Entry(key, self.state.encode(stamp), view.keep_s)


class _Kept(NamedTuple):
    base: Base
    #: Tells its blob from others.
    blob_hash: int
    size: int
    #: In monotonic seconds.
    until: float


class States:
    """Keeps states by key, those that were used last. Lives on the event loop.

    A payment of the shop puts twenty here, and more than `cache.local` does would cost it dearly:
    what is over leaves when it is asked for, or makes room like any other.
    """

    def __init__(self, *, max_states: int, max_bytes: int, clock: Clock) -> None:
        #: Who was used longest ago comes first.
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._max_states = max_states
        self._max_bytes = max_bytes
        self._bytes = 0
        self._clock = clock
        #: Blobs that are no states of their view, by view.
        self.corrupt: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, view: AggregatedView, key: str, state: State, blob: bytes) -> None:
        """Keep the state of a blob that is in the store."""
        self.forget(key)
        size = STATE_BYTES + BLOB_TIMES * len(blob)
        base, until = Base(state, stamp_of(blob)), self._clock() + view.keep_s
        self._kept[key] = _Kept(base, hash(blob), size, until)
        self._bytes += size
        while self._bytes > self._max_bytes or len(self._kept) > self._max_states:
            self._bytes -= self._kept.popitem(last=False)[1].size

    def take(self, view: AggregatedView, key: str, now_us: int) -> Base | None:
        """Take out what events may be added to; None: it must be read.

        It is taken out because with more events it is not what is in the store. A state without an
        event in its longest window may be forgotten by the store at any time, and then begun anew
        by another server; that one's first write would not be noticed, so it is read again.
        """
        kept = self._get(key)
        if kept is None:
            return None
        self.forget(key)
        recent = kept.base.state.newest_us > now_us - view.plan.longest_us
        return kept.base if recent else None

    def forget(self, key: str) -> None:
        """Forget what is not in the store any more."""
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size

    def known(self, view: AggregatedView, key: str, blob: bytes) -> State | None:
        """Return the state of a blob that was read; None: it is of none. It is to be read only."""
        kept = self._get(key)
        if kept is not None and kept.blob_hash == hash(blob):
            self._kept.move_to_end(key)
            return kept.base.state
        state = self.decoded(view, blob)
        if state is not None:
            self.keep(view, key, state, blob)
        return state

    def _get(self, key: str) -> _Kept | None:
        kept = self._kept.get(key)
        return None if kept is None or kept.until <= self._clock() else kept

    def base(self, view: AggregatedView, blob: bytes | None) -> Base:
        """Return what events are added to, given what is in the store."""
        if blob is None:
            return Base(State(view.plan), 0)
        state = self.decoded(view, blob)
        if state is not None:
            return Base(state, stamp_of(blob))
        # The store may go by the stamp of what it has, whatever else that is.
        stamp = stamp_of(blob) if blob.startswith(HEAD) else 0
        return Base(State(view.plan), stamp if stamp < LATEST_STAMP else 0)

    def decoded(self, view: AggregatedView, blob: bytes) -> State | None:
        """Return the state of a blob, which nobody else has; None, counted: it is of none."""
        # What has no next stamp could never be written again.
        later = stamp_of(blob) >= LATEST_STAMP
        state = None if later else State.decode(view.plan, blob)
        if state is None:
            self.corrupt[view.view.name] += 1
        return state
