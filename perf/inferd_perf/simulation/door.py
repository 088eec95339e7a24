"""Envoy's part in an overload: to refuse some calls before the event loop hears of them.

It follows `inferd.transport.envoy.shedding`, number for number: while the loop is busier than it
should be and refuses many calls, Envoy draws lots. What it refuses costs the loop nothing.
"""

from collections.abc import Callable

from inferd_perf.simulation.loop import Loop
from inferd_perf.simulation.streams import Purpose, stream

MILLISECOND_NS = 1_000_000
#: Between adjustments, and until Envoy follows one.
TICK_NS = 50 * MILLISECOND_NS
FOLLOWS_NS = 10 * MILLISECOND_NS
#: Of the calls that reach the loop, those that it should go on refusing itself.
CHOICE = 0.2
#: By how much at a time less is shed again, and more.
EASE, TIGHTEN = 1.15, 0.5
#: Envoy never refuses more than `MOST`, nor bothers with less than `LEAST`.
MOST, LEAST = 0.98, 0.02
CHUNK = 1024


class Door:
    """Draws lots for as long as any call is `pending`. `open` it first."""

    def __init__(
        self, above_busy: float, seed: int, loop: Loop, pending: Callable[[], int]
    ) -> None:
        self._above_busy = above_busy
        self._loop = loop
        self._pending = pending
        #: Calls that have ended in the loop since the last look, those of them that others have
        #: crowded out, and how long the loop had worked by then.
        self._ended, self._lost, self._worked_ns = 0, 0, 0
        self._passing = 1.0
        #: The share of calls that is turned away now.
        self._share = 0.0
        self._random = stream(seed, Purpose.DOOR)
        self._lots: list[float] = []

    def open(self) -> None:
        """Begin to look at the loop every now and then."""
        self._loop.at(self._loop.now + TICK_NS, self._look)

    def note(self, *, lost: bool) -> None:
        """Count a call that has ended in the loop."""
        self._ended += 1
        self._lost += lost

    def turns_away(self) -> bool:
        """Draw a lot for one call."""
        if not self._lots:
            self._lots = self._random.random(CHUNK).tolist()
        return self._lots.pop() < self._share

    def _look(self, _: None) -> None:
        busy = (self._loop.busy_ns - self._worked_ns) / TICK_NS
        share = self.review(busy=busy, ended=self._ended, lost=self._lost)
        self._ended, self._lost, self._worked_ns = 0, 0, self._loop.busy_ns
        self._loop.at(self._loop.now + FOLLOWS_NS, self._turn_away, share)
        if self._pending():
            self.open()

    def _turn_away(self, share: float) -> None:
        self._share = share

    def review(self, *, busy: float, ended: int, lost: int) -> float:
        """Return the share to turn away from now on.

        `busy` is the share of the time in which the loop worked, `ended` the calls that ended
        there, `lost` those of them that were refused for the sake of others.
        """
        lost_part = lost / ended if ended else 0.0
        if busy > self._above_busy and lost_part > CHOICE:
            enough = (1 - lost_part) / (1 - CHOICE)
            self._passing *= max(self._above_busy / busy, enough, TIGHTEN)
        elif busy < self._above_busy or lost_part < CHOICE / 2:
            self._passing *= EASE
        self._passing = min(1.0, max(1.0 - MOST, self._passing))
        share = 1.0 - self._passing
        return share if share >= LEAST else 0.0
