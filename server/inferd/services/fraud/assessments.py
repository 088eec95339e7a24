"""Where assessments are kept by transaction, for all servers that share a store.

Of those that write the first stays: all write the same stamp, and a store takes a blob only if its
stamp is newer than what is there. An assessment is written together with its audit record, and once
more, without it and newer, when the record is safe. So whoever finds one whose server died in
between can see to the record in its place.
"""

from collections.abc import Sequence

import msgspec

from inferd.cache.blobs import EARLIEST_STAMP, Blobs, Entry, Written
from inferd.call import Call
from inferd.config import resilience
from inferd.config.fraud import Idempotency as Settings
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed
from inferd.resilience.dependency import Dependency
from inferd.services.fraud.audit import Place

GUARD = "fraud_assessments"
_LIMIT = resilience.Limit(mode="fixed", initial=1000)
_BREAKER = resilience.Breaker(open_s=0.3, open_max_s=1.0)
READS_GUARDED_AS = resilience.Dependency(timeout_ms=15, limit=_LIMIT, breaker=_BREAKER)
WRITES_GUARDED_AS = resilience.Dependency(
    timeout_ms=25, limit=_LIMIT, breaker=_BREAKER, hedge=resilience.Hedge(enabled=False)
)
"""Unless the configuration says otherwise. The whole decision has a tenth of a second."""

DECIDED, ON_RECORD = EARLIEST_STAMP, EARLIEST_STAMP + 1
"""Stamps."""


class Assessed(msgspec.Struct, frozen=True, array_like=True):
    """An assessment as it is kept."""

    #: Of the transaction; another transaction with the same id has another.
    fingerprint: str
    #: The answer, encoded.
    assessment: bytes
    #: When it was decided, in microseconds since 1970, and by which server.
    at_us: int
    server: str
    #: The audit record, as long as it is not known to be safe.
    record: bytes = b""
    #: Where it is, once it is.
    place: Place | None = None


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(tuple[int, Assessed])


class Assessments:
    """Reads and writes a store. Lives on the event loop."""

    def __init__(
        self, blobs: Blobs, settings: Settings, *, reads: Dependency, writes: Dependency
    ) -> None:
        self._blobs = blobs
        self._keep_s = settings.ttl_s
        self._read = reads.guards(self._get, repeatable=True)
        self._write = writes.guards(self._put, repeatable=True)

    async def get(self, call: Call, deadline: Deadline, id: str) -> Assessed | None:
        """Return what is known of a transaction. Raises what a guard raises."""
        (blob,) = await self._read(call, deadline, [id])
        return None if blob is None else _decoded(blob)

    async def keep(self, call: Call, deadline: Deadline, id: str, it: Assessed) -> Assessed:
        """Keep an assessment, unless there is one.

        Return the one that is there then, which may be this one from before. Raises what a guard
        raises; then it may be there all the same.
        """
        (written,) = await self._write(call, deadline, [self._entry(id, it, DECIDED)])
        if written is Written.STORED:
            return it
        first = await self.get(call, deadline, id)
        if first is None:
            raise DependencyFailed("the store has just forgotten an assessment")
        return first

    async def mark(
        self, call: Call, deadline: Deadline, on_record: Sequence[tuple[str, Assessed]]
    ) -> None:
        """Keep that assessments are on record, which must be those that are there.

        Raises what a guard raises.
        """
        entries = [self._entry(id, it, ON_RECORD) for id, it in on_record]
        await self._write(call, deadline, entries)

    def _entry(self, id: str, it: Assessed, stamp: int) -> Entry:
        # An integer of eight bytes is always written as one from this stamp on.
        return Entry(id, _encode((stamp, it)), self._keep_s)

    async def _get(self, _: Call, __: Deadline, ids: Sequence[str]) -> Sequence[bytes | None]:
        return await self._blobs.get(ids)

    async def _put(self, _: Call, __: Deadline, entries: Sequence[Entry]) -> Sequence[Written]:
        return await self._blobs.put(entries)


def _decoded(blob: bytes) -> Assessed:
    try:
        return _decoder.decode(blob)[1]
    except msgspec.MsgspecError as error:
        raise DependencyFailed("what is kept of an assessment cannot be read") from error
