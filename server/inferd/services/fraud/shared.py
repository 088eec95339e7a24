"""Lists and snoozes, as all servers have them that share a store.

They are one blob, because they change seldom and are read all the time: from memory. A change is a
compare-and-swap, so none is lost; beside the blob stands a small one with its stamp, which is what
the others look at, every now and then.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from inferd.cache.blobs import EARLIEST_STAMP, Blobs, Entry, Written
from inferd.call import Call
from inferd.config import resilience
from inferd.deadline import Clock, Deadline
from inferd.errors import DependencyFailed, Exhausted, InferdError
from inferd.resilience.dependency import Dependency
from inferd.services.fraud.expiring import NoRoom
from inferd.services.fraud.lists import Entry as Listed
from inferd.services.fraud.lists import ListName, Lists
from inferd.services.fraud.snoozes import MAX_SNOOZES, Snooze, Snoozes
from inferd.services.fraud.vocabulary import EntityKind

GUARD = "fraud_lists"
GUARDED_AS = resilience.Dependency(timeout_ms=1000)
LOOK = "/inferd.v1.FraudService/lists"
WHOLE, STAMP = "standing", "stamp"
ATTEMPTS = 10
"""Of a change, while other servers make theirs."""

log = logging.getLogger(__name__)

Ends = dict[tuple[str, str, str], int]
"""Until when something is there, in microseconds since 1970."""


class Document(msgspec.Struct, array_like=True):
    """All that was said."""

    #: By list, kind and value.
    lists: Ends = {}
    #: By rule, kind and value.
    snoozes: Ends = {}


Change = Callable[[Document, int], int]
"""Changes a document, at a time, and returns how much was changed. Raises `NoRoom`."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Document]).decode
_decode_stamp = msgspec.msgpack.Decoder(tuple[int, None]).decode


class Shared:
    """Lists and snoozes. Lives on the event loop."""

    def __init__(
        self,
        blobs: Blobs,
        guard: Dependency,
        *,
        most: int,
        now_us: Callable[[], int],
        clock: Clock,
    ) -> None:
        self.lists = Lists(most)
        self.snoozes = Snoozes()
        self._most = most
        self._blobs = blobs
        self._read = guard.guards(self._get)
        self._write = guard.guards(self._put)
        self._now_us = now_us
        self._clock = clock
        self._there = Document()
        self._stamp = 0
        #: Whether it was told that the store cannot be read.
        self._away = False

    async def add(
        self, call: Call, deadline: Deadline, entries: Sequence[tuple[Listed, int]]
    ) -> int:
        """Put values, as `canonical` writes them, on lists; return how many were not there.

        Raises `Exhausted`, and what keeps the store from taking it; then nothing is changed.
        """

        def change(it: Document, now_us: int) -> int:
            new = 0
            for entry, until_us in entries:
                new += it.lists.get(entry, 0) <= now_us
                it.lists[entry] = until_us
            if len(it.lists) > self._most:
                raise NoRoom(f"there may be {self._most} entries on all lists together")
            return new

        return await self._change(call, deadline, change)

    async def remove(self, call: Call, deadline: Deadline, entries: Sequence[Listed]) -> int:
        """Take values off lists; return how many were there. Raises as `add`."""

        def change(it: Document, now_us: int) -> int:
            return sum(it.lists.pop(entry, 0) > now_us for entry in entries)

        return await self._change(call, deadline, change)

    async def snooze(self, call: Call, deadline: Deadline, snooze: Snooze, until_us: int) -> None:
        """Leave a rule out for somebody until then. Raises as `add`."""

        def change(it: Document, now_us: int) -> int:
            it.snoozes[snooze] = until_us
            if len(it.snoozes) > MAX_SNOOZES:
                raise NoRoom(f"there may be {MAX_SNOOZES} snoozes")
            return 1

        await self._change(call, deadline, change)

    async def follow(self, every_s: float) -> None:
        """Take over what other servers change, for ever."""
        while True:
            await asyncio.sleep(every_s)
            await self.try_to_look()

    async def try_to_look(self) -> None:
        """Take over what other servers changed, if the store can be read within a second."""
        now = self._clock()
        try:
            await self.look(Call(LOOK, arrived=now), Deadline(now + 1.0))
            self._away = False
        except InferdError as error:
            if not self._away:
                log.warning("lists are as they were: %s", error)
            self._away = True

    async def look(self, call: Call, deadline: Deadline) -> None:
        """Take over what other servers changed. Raises what keeps the store from being read."""
        (blob,) = await self._read(call, deadline, [STAMP])
        if blob is not None and _stamp(blob) > self._stamp:
            await self._fetch(call, deadline)

    async def _change(self, call: Call, deadline: Deadline, change: Change) -> int:
        for _ in range(ATTEMPTS):
            stamp, there = await self._fetch(call, deadline)
            now_us = self._now_us()
            changed = Document(_left(there.lists, now_us), _left(there.snoozes, now_us))
            try:
                count = change(changed, now_us)
            except NoRoom as error:
                raise Exhausted(str(error)) from error
            stamp += 1
            entry = Entry(WHOLE, _encode((stamp, changed)), None)
            if await self._write(call, deadline, entry) is Written.STORED:
                self._take(stamp, changed)
                await self._write(call, deadline, Entry(STAMP, _encode((stamp, None)), None))
                return count
        raise DependencyFailed("other servers change the lists all the time")

    async def _fetch(self, call: Call, deadline: Deadline) -> tuple[int, Document]:
        (blob,) = await self._read(call, deadline, [WHOLE])
        if blob is not None:
            try:
                stamp, there = _decode(blob)
            except msgspec.MsgspecError as error:
                raise DependencyFailed("what is kept of lists cannot be read") from error
            if stamp > self._stamp:
                self._take(stamp, there)
        # Where the store has lost it, what is known here is what there is.
        return max(self._stamp, EARLIEST_STAMP), self._there

    def _take(self, stamp: int, there: Document) -> None:
        """Have lists and snoozes say what a document says: only what differs is touched."""
        if len(there.lists) > self._most or len(there.snoozes) > MAX_SNOOZES:
            raise DependencyFailed("other servers keep more on lists than this one may")
        now_us, before = self._now_us(), self._there
        for name, kind, value in before.lists.keys() - there.lists.keys():
            self.lists.remove(Listed(ListName(name), EntityKind(kind), value), now_us)
        for key, until_us in _differing(before.lists, there.lists):
            name, kind, value = key
            self.lists.add(Listed(ListName(name), EntityKind(kind), value), now_us, until_us)
        for rule, kind, value in before.snoozes.keys() - there.snoozes.keys():
            self.snoozes.snooze(Snooze(rule, EntityKind(kind), value), 0, now_us)
        for key, until_us in _differing(before.snoozes, there.snoozes):
            rule, kind, value = key
            self.snoozes.snooze(Snooze(rule, EntityKind(kind), value), until_us, now_us)
        self._stamp, self._there = stamp, there

    async def _get(self, _: Call, __: Deadline, keys: Sequence[str]) -> Sequence[bytes | None]:
        return await self._blobs.get(keys)

    async def _put(self, _: Call, __: Deadline, entry: Entry) -> Written:
        (written,) = await self._blobs.put([entry])
        return written


def _left(ends: Mapping[tuple[str, str, str], int], now_us: int) -> Ends:
    return {key: until for key, until in ends.items() if until > now_us}


def _differing(before: Ends, there: Ends) -> Sequence[tuple[tuple[str, str, str], int]]:
    return [(key, until) for key, until in there.items() if before.get(key) != until]


def _stamp(blob: bytes) -> int:
    try:
        return _decode_stamp(blob)[0]
    except msgspec.MsgspecError as error:
        raise DependencyFailed("what is kept of lists cannot be read") from error
