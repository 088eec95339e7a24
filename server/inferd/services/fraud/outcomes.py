"""How transactions turned out: the last that was said of each, and how that compares.

A label is kept under its transaction's id, with the time when it became known as its stamp: so the
later one stays, in whichever order they come.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from inferd.cache.blobs import Blobs, Entry, Written
from inferd.call import Call
from inferd.config import resilience
from inferd.deadline import Deadline
from inferd.errors import DependencyFailed
from inferd.resilience.dependency import Dependency
from inferd.services.fraud.vocabulary import Decision

GUARD = "fraud_outcomes"
GUARDED_AS = resilience.Dependency(timeout_ms=1000)
AT_A_TIME = 500
"""Labels that are read together."""


class Label(msgspec.Struct, frozen=True, array_like=True):
    """What a transaction turned out to be."""

    fraud: bool
    source: str = ""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Label]).decode


class Labels:
    """Keeps labels, and counts them. Lives on the event loop."""

    def __init__(self, blobs: Blobs, guard: Dependency, *, keep_s: float) -> None:
        self._blobs = blobs
        self._keep_s = keep_s
        self._read = guard.guards(self._get, repeatable=True)
        self._write = guard.guards(self._put)
        #: Labels by what had been decided, and what it turned out to be.
        self.taken: Counter[tuple[str, str]] = Counter()

    async def put(self, call: Call, deadline: Deadline, id: str, label: Label, at_us: int) -> bool:
        """Keep a label; return whether it is newer than what is known. Raises `InferdError`."""
        entry = Entry(id, _encode((at_us, label)), self._keep_s)
        return await self._write(call, deadline, entry) is Written.STORED

    def count(self, decision: int, label: Label) -> None:
        """Count a label of something that was decided."""
        turned_out = "fraud" if label.fraud else "legitimate"
        self.taken[Decision(decision).name, turned_out] += 1

    async def get(self, call: Call, deadline: Deadline, ids: Iterable[str]) -> Mapping[str, Label]:
        """Return the labels that are known. Raises `InferdError`."""
        wanted, found = [*ids], dict[str, Label]()
        for begin in range(0, len(wanted), AT_A_TIME):
            part = wanted[begin : begin + AT_A_TIME]
            blobs = await self._read(call, deadline, part)
            found |= {
                each: _label(blob)
                for each, blob in zip(part, blobs, strict=True)
                if blob is not None
            }
        return found

    async def _get(self, _: Call, __: Deadline, ids: Sequence[str]) -> Sequence[bytes | None]:
        return await self._blobs.get(ids)

    async def _put(self, _: Call, __: Deadline, entry: Entry) -> Written:
        (written,) = await self._blobs.put([entry])
        return written


def _label(blob: bytes) -> Label:
    try:
        return _decode(blob)[1]
    except msgspec.MsgspecError as error:
        raise DependencyFailed("what is kept of an outcome cannot be read") from error
