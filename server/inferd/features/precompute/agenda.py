"""What is to be refreshed now, in which order, and how much of it at once. Pure.

The hottest go first: if there is not time for all, a miss of theirs makes the most callers wait.
Entries are refreshed several at a time, because loads cost less together, but only as many as keep
the thread busy for a moment.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple, Protocol, TypeVar

from inferd.features.precompute.space_saving import Counted, SpaceSaving

Load_contra = TypeVar("Load_contra", contravariant=True)
"""What loads."""

AT_ONCE_S = 0.002
"""What is refreshed at once should take no longer, because everybody else waits for it."""
MOST = 64
"""Entries at once, however little they take."""
LEARNS = 0.2
"""How much the last piece of work says about the next."""
LEAD_SHARE = 0.2
"""An entry is not refreshed before this last part of its life."""


class Refreshable(Protocol[Load_contra]):
    """A cache whose entries can be loaded again while they are there (`MultiLevel`)."""

    def expires_at(self, key: str) -> float | None:
        """Return when an entry will no longer be fresh, in monotonic seconds; None: no entry."""

    async def refresh(self, keys: Sequence[str], load: Load_contra) -> None:
        """Load entries again although they are there. May raise whatever `load` raises."""


class Watched:
    """A cache, who is hot in it, and what it takes to refresh its entries."""

    def __init__(
        self,
        expires_at: Callable[[str], float | None],
        refresh: Callable[[Sequence[str]], Awaitable[None]],
        *,
        tracked: int,
        lead_s: float,
        half_life_s: float,
        now: float,
    ) -> None:
        self.expires_at = expires_at
        self.refresh = refresh
        self.hot: SpaceSaving[str] = SpaceSaving(tracked)
        self.lead_s = lead_s
        #: What one entry takes; until that is known, enough to be refreshed alone.
        self.cost_s = AT_ONCE_S
        #: Keys whose last refresh failed. They are tried alone, or they might fail others.
        self.failed: set[str] = set()
        self._known = False
        self._half_life_s = half_life_s
        self._halved_at = now

    def fades(self, now: float) -> bool:
        """Let counts fade if it is time to. Return whether it was."""
        if now < self._halved_at + self._half_life_s:
            return False
        self._halved_at = now
        self.hot.halve()
        self.failed.clear()
        return True

    def refreshed(self, keys: Sequence[str], took_s: float) -> None:
        """Learn what it took to refresh entries."""
        each_s = took_s / len(keys)
        self.cost_s += (each_s - self.cost_s) * (LEARNS if self._known else 1.0)
        self._known = True
        self.failed.difference_update(keys)


class Due(NamedTuple):
    """An entry that ends soon."""

    key: str
    ends: float


class Piece(NamedTuple):
    """Entries of one cache that are refreshed together."""

    of: Watched
    entries: Sequence[Due]

    @property
    def cost_s(self) -> float:
        """What it is expected to take."""
        return self.of.cost_s * len(self.entries)


def agenda(caches: Iterable[Watched], top: int, now: float) -> list[Piece]:
    """Return which of the `top` hottest entries of all caches are due, the hottest first."""
    hottest = islice(merge(*map(_counted, caches), key=lambda each: -each[1].at_most), top)
    due: list[tuple[Watched, Due]] = []
    alone: list[Piece] = []
    for watched, counted in hottest:
        ends = watched.expires_at(counted.key)
        # Not there: nobody has asked since it ended. The next who does has to wait anyway.
        if ends is None or not now < ends <= now + watched.lead_s:
            continue
        entry = Due(counted.key, ends)
        if counted.key in watched.failed:
            alone.append(Piece(watched, [entry]))
        else:
            due.append((watched, entry))
    return [*_together(due), *alone]


def _counted(watched: Watched) -> Iterable[tuple[Watched, Counted[str]]]:
    # What may not have occurred at all of late is not hot, however high it ranks.
    return ((watched, each) for each in watched.hot if each.at_least > 0)


def _together(due: Sequence[tuple[Watched, Due]]) -> Iterable[Piece]:
    for at in range(0, len(due), MOST):
        # Within so many it is of no account who goes first.
        groups: dict[Watched, list[Due]] = {}
        for watched, entry in due[at : at + MOST]:
            groups.setdefault(watched, []).append(entry)
        for watched, entries in groups.items():
            most = max(1, int(AT_ONCE_S / max(watched.cost_s, AT_ONCE_S / MOST)))
            for first in range(0, len(entries), most):
                yield Piece(watched, entries[first : first + most])
