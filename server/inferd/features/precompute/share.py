"""What work in the background may take of a thread, and what it took. Pure.

Background work that awaits is interrupted by everything else on its thread, so that what the thread
worked from its beginning to its end is not all its own. But between two pieces of it the
others can be watched, and they will have gone on like that.
"""

from math import exp

MEMORY_S = 1.0
"""For how long what the others did says what they will do."""
BUSIEST = 0.9
"""The others are taken to leave this much to spare: of a thread that is always busy one
cannot tell whose work it was."""


class CpuShare:
    """An allowance of CPU time: so many seconds per second, and a few at once.

    In any stretch of T seconds no more than `share * T + burst_s` is spent, plus what the last
    piece of work took beyond what it had waited for.
    """

    __slots__ = ("_burst_s", "_left_s", "_share", "_updated")

    def __init__(self, share: float, *, burst_s: float, now: float) -> None:
        self._share = share
        self._burst_s = burst_s
        self._left_s = burst_s
        self._updated = now

    def wait_s(self, cost_s: float, now: float) -> float:
        """Return the seconds until work that is expected to take `cost_s` may begin; 0: now.

        What takes more than there ever is at once may begin when all of that is there.
        """
        self._earn(now)
        lacking_s = min(cost_s, self._burst_s) - self._left_s
        return max(0.0, lacking_s / self._share)

    def spend(self, cost_s: float, now: float) -> None:
        """Count what work took. If that was more than there is, the rest is a debt."""
        self._earn(now)
        self._left_s -= cost_s

    def _earn(self, now: float) -> None:
        self._left_s = min(self._burst_s, self._left_s + (now - self._updated) * self._share)
        self._updated = now


class OwnTime:
    """Tells what work in the background took of its thread from what the thread worked."""

    __slots__ = ("_others",)

    def __init__(self) -> None:
        #: The part of the time that others use, from 0 to 1.
        self._others = 0.0

    def between(self, wall_s: float, cpu_s: float) -> None:
        """Learn what the thread worked while nothing was done in the background."""
        if wall_s > 0:
            used = min(BUSIEST, cpu_s / wall_s)
            self._others += (used - self._others) * (1 - exp(-wall_s / MEMORY_S))

    def of(self, wall_s: float, cpu_s: float) -> float:
        """Return the seconds of `cpu_s` that were its own, in a stretch of `wall_s`.

        While it works nobody else does, so others have their part only of the time it leaves:
        cpu = own + others * (wall - own).
        """
        own_s = (cpu_s - self._others * wall_s) / (1 - self._others)
        return min(max(own_s, 0.0), cpu_s)
