"""How much a server can take: the search for the highest rate that holds. Pure.

A rate holds when at least `HOLDS` of what is offered is answered in time. Offered less than
its capacity a server holds, offered more it does not, and the search halves what is between.
"""

from dataclasses import dataclass

#: The share of calls in time from which a rate counts as held.
HOLDS = 0.99
_STEP = 1.5
_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is known of a capacity, in calls per second: it is in [held, missed)."""

    held: float = 0.0
    missed: float | None = None

    def told(self, rate: float, *, holds: bool) -> "Bounds":
        """Return what is known after a round at `rate`.

        A round that contradicts an earlier one is believed: machines have bad moments, and
        the later round was closer to the answer.
        """
        if holds:
            missed = None if self.missed is not None and self.missed <= rate else self.missed
            return Bounds(max(rate, self.held), missed)
        return Bounds(0.0 if self.held >= rate else self.held, rate)

    def next_rate(self, guess: float, tolerance: float) -> float | None:
        """Return the rate to try next; None when the bounds are within `tolerance`, a share."""
        if self.missed is None:
            return self.held * _STEP or guess
        if self.missed <= _LEAST or self.missed - self.held <= tolerance * self.missed:
            return None
        return (self.held + self.missed) / 2 if self.held else self.missed / _STEP
