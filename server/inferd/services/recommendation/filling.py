"""Fills the places of a list, one after the other, with contenders that are in their order."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from inferd.config.recommendation.ranking import Ranking as Settings
from inferd.services.recommendation.columns import Ints, Mask, Table
from inferd.services.recommendation.contenders import Contenders, Floats
from inferd.services.recommendation.diversity import Diversity

PINNED: Final = "pinned"
NEW: Final = "new"
CAPS: Final = "caps"
SEEN: Final = "seen"


class _Cap:
    """At most so many with the same text in a field; what has none is not limited."""

    def __init__(self, field: str, codes: Ints, most: int) -> None:
        self.field = field
        self._codes, self._most = codes, most
        self._counts: Counter[int] = Counter()
        self.reached = np.zeros(len(codes), np.bool_)

    def count(self, place: int) -> bool:
        """Count one that is in the list; return whether it is the last that may be."""
        code = int(self._codes[place])
        self._counts[code] += 1
        if not code or self._counts[code] != self._most:
            return False
        self.reached |= self._codes == code
        return True


class Taken(NamedTuple):
    """One that is in the list."""

    place: int
    #: `PINNED`, `NEW`, or empty.
    why: str


class Filling:
    """A list that is being filled. Used once."""

    def __init__(
        self, table: Table, contenders: Contenders, settings: Settings, pins: Mapping[int, int]
    ) -> None:
        """`pins` says which contender is at which place of the list."""
        self._it, self._pins = contenders, pins
        self._diversity = Diversity(
            table.vectors[contenders.rows], _scaled(contenders.worth), settings.diversity
        )
        limits = {
            "brand": settings.max_per_brand,
            "category": settings.max_per_category,
            "merchant": settings.max_per_merchant,
        }
        self._caps = [
            _Cap(field, getattr(table, field)[contenders.rows], most)
            for field, most in limits.items()
            if most is not None
        ]
        #: Those that are neither in the list nor pinned to a place of it.
        self._free = contenders.found.copy()
        #: Those of them that nothing speaks against.
        self._fair = self._free & ~(contenders.hidden | contenders.buried)
        self._passed = np.zeros(len(self._free), np.int64)
        #: By contender.
        self.notes: defaultdict[int, list[str]] = defaultdict(list)
        self.relaxed = dict[str, None]()
        self.taken = list[Taken]()
        for place in pins.values():
            self._count(place)

    def fill(self, count: int, new_places: frozenset[int]) -> None:
        """Take `count`, or all there are."""
        for at in range(count):
            pinned = self._pins.get(at)
            if pinned is not None:
                self._put(pinned, PINNED)
            elif not ((at in new_places and self._take_new()) or self._take_best()):
                break
        late = sorted(at for at in self._pins if at >= len(self.taken))
        for at in late:  # there was not enough to reach their places
            self._put(self._pins[at], PINNED)

    def left(self) -> list[tuple[str, Mask]]:
        """Return which contenders are not in the list, by what kept them out."""
        it, left = self._it, list[tuple[str, Mask]]()
        rest = self._free.copy()
        for why, mask in (
            (SEEN, it.hidden),
            *((f"{cap.field}_cap", cap.reached) for cap in self._caps),
            ("ranked_below", np.ones(len(rest), np.bool_)),
        ):
            left.append((why, rest & mask))
            rest &= ~mask
        return left

    def _take_new(self) -> bool:
        """Take the best of the new, if there is one that nothing speaks against."""
        may_be = self._fair & ~np.isnan(self._it.new)
        if not may_be.any():
            return False
        self._take(int(np.where(may_be, self._it.new, -np.inf).argmax()), NEW)
        return True

    def _take_best(self) -> bool:
        """Take what is best next, of what there is least reason to leave out."""
        among, relaxed = self._among()
        if not among.any():
            return False
        place = self._diversity.best(among)
        better = among[:place]
        self._passed[:place] += better
        moved = int(np.count_nonzero(better)) - int(self._passed[place])
        if moved:
            self.notes[place].append(f"diversity {moved:+d}")
        if relaxed:
            self.relaxed[relaxed] = None
            self.notes[place].append(f"{relaxed} relaxed")
        self._take(place, "")
        return True

    def _among(self) -> tuple[Mask, str]:
        """Return among which to choose, and what gave way for it."""
        if self._fair.any():
            return self._fair, ""
        shown = self._free & ~self._it.hidden
        buried = shown.copy()
        for cap in self._caps:
            buried &= ~cap.reached
        if buried.any():
            return buried, ""
        return (shown, CAPS) if shown.any() else (self._free, SEEN)

    def _take(self, place: int, why: str) -> None:
        self._count(place)
        self._put(place, why)

    def _count(self, place: int) -> None:
        self._free[place] = self._fair[place] = False
        for cap in self._caps:
            if cap.count(place):
                self._fair &= ~cap.reached

    def _put(self, place: int, why: str) -> None:
        self.taken.append(Taken(place, why))
        self._diversity.took(place)


def _scaled(worth: Floats) -> Floats:
    highest = worth.max(initial=0.0)
    return worth / highest if highest else worth
