"""Rows close at hand: what was read from the store is kept in this process for a while.

Whoever writes a row elsewhere has it forgotten here, as soon as word of it comes (the store tells,
`forget`); what this process writes, it forgets itself. A row that is being read while word of a
change comes may be the old one, and is not kept. While no word can come, nothing is kept at all.
That nothing is there is known for a shorter while.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from random import Random
from typing import Final

from inferd.cache.local import Local
from inferd.call import Call
from inferd.deadline import Clock, Deadline
from inferd.features.definitions import Key
from inferd.features.rows import Row

Read = Callable[[Call, Deadline, Sequence[Key]], Awaitable[Sequence[Row | None]]]
"""Reads the rows of keys, in their order. Raises `InferdError`."""

SOURCE = "l1_cache"
NOTHING_FOR_S = 1.0
"""How long it is known that there is no row."""
ROW_BYTES = 400
"""What a row takes besides its values, about."""
VALUE_BYTES = 40


class _Nothing:
    """Stands for a row that is not there."""


_NOTHING: Final = _Nothing()


class NearRows:
    """Keeps rows between a store and whoever reads. Lives on the event loop."""

    def __init__(
        self,
        kept: Local[Row | _Nothing],
        *,
        ttl_s: float,
        jitter: float,
        clock: Clock,
        random: Random,
        live: Callable[[], bool] = lambda: True,
    ) -> None:
        """Keep rows for `ttl_s`, give or take `jitter` of it, while `live` says that word comes."""
        self._kept = kept
        self._ttl_s = ttl_s
        self._jitter = jitter
        self._clock = clock
        self._random = random
        self._live = live
        #: Of keys that are being read: how many read them, and whether they changed meanwhile.
        self._reading: dict[str, _Reading] = {}

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def hits(self) -> int:
        """How many rows that were asked for were at hand."""
        return self._kept.hits

    @property
    def misses(self) -> int:
        """How many were not."""
        return self._kept.misses

    def through(self, read: Read) -> Read:
        """Return what asks `read` only for what is not at hand."""

        async def near(call: Call, deadline: Deadline, keys: Sequence[Key]) -> Sequence[Row | None]:
            get, now = self._kept.get, self._clock()
            names = [f"{key.view.prefix}{key.entity_id}" for key in keys]
            found: list[Row | _Nothing | None] = [get(name, now) for name in names]
            lacking = [at for at, row in enumerate(found) if row is None]
            if lacking:
                fresh = await self._read(
                    call,
                    deadline,
                    read,
                    [keys[at] for at in lacking],
                    [names[at] for at in lacking],
                )
                for at, row in zip(lacking, fresh, strict=True):
                    found[at] = row
            return [row if isinstance(row, Row) else None for row in found]

        return near

    def forget(self, names: Iterable[str]) -> None:
        """Forget the rows of these keys of the store: they have changed."""
        for name in names:
            self._kept.discard(name)
            if reading := self._reading.get(name):
                reading.changed = True

    def forget_all(self) -> None:
        """Forget everything: there may have been changes that nobody told of."""
        self._kept.clear()
        for reading in self._reading.values():
            reading.changed = True

    async def _read(
        self,
        call: Call,
        deadline: Deadline,
        read: Read,
        keys: Sequence[Key],
        names: Sequence[str],
    ) -> Sequence[Row | None]:
        for name in names:
            self._reading.setdefault(name, _Reading()).readers += 1
        try:
            rows = await read(call, deadline, keys)
        except BaseException:
            for name in names:
                self._done(name)
            raise
        now, live = self._clock(), self._live()
        for name, row in zip(names, rows, strict=True):
            if not self._done(name) and live:
                self._keep(name, row, now)
        return rows

    def _done(self, name: str) -> bool:
        """Have one reader less; return whether the row changed while it read."""
        reading = self._reading[name]
        reading.readers -= 1
        if not reading.readers:
            del self._reading[name]
        return reading.changed

    def _keep(self, name: str, row: Row | None, now: float) -> None:
        ttl_s = self._ttl_s * (1 + self._jitter * (2 * self._random.random() - 1))
        if row is None:
            ttl_s = min(ttl_s, NOTHING_FOR_S)
            self._kept.put(name, _NOTHING, now=now, ttl_s=ttl_s, size=ROW_BYTES)
        else:
            near = row._replace(source=SOURCE)
            self._kept.put(name, near, now=now, ttl_s=ttl_s, size=_size(row))


class _Reading:
    """A key that is being read."""

    __slots__ = ("changed", "readers")

    def __init__(self) -> None:
        self.readers = 0
        self.changed = False


def _size(row: Row) -> int:
    """Return the bytes that a row takes, about."""
    held = 0
    for cell in row.cells:
        held += len(cell) if isinstance(cell, str | bytes) else VALUE_BYTES
        if isinstance(cell, tuple):
            held += 32 * len(cell)
            held += sum(len(each) for each in cell if isinstance(each, str))
    return ROW_BYTES + held
