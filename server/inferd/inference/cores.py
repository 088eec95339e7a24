"""Which cores belong to which instance: each has its own, so that none waits for another's."""

import threading
from collections.abc import Sequence


class Cores:
    """Deals out the cores of the process. Any thread may ask."""

    def __init__(self, cores: Sequence[int]) -> None:
        """`cores` are the system's numbers of those that may be dealt; empty: none."""
        self._cores = tuple(cores)
        self._next = 0
        self._lock = threading.Lock()

    def deal(self, wanted: Sequence[int]) -> list[tuple[int, ...]]:
        """Return for every instance of one model as many cores as it wants; none twice.

        Where there are not enough for all of them, everyone goes without. The next model gets
        the next cores, and those that were dealt first when there are no more.
        """
        total = sum(wanted)
        if total > len(self._cores):
            return [()] * len(wanted)
        with self._lock:
            at, self._next = self._next, (self._next + total) % len(self._cores or (0,))
        turned = self._cores[at:] + self._cores[:at]
        ends = [sum(wanted[: index + 1]) for index in range(len(wanted))]
        return [turned[end - count : end] for end, count in zip(ends, wanted, strict=True)]
