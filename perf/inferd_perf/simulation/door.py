"""Envoy's part in an overload: to refuse some calls before the event loop hears of them.

It decides by the server's own `Shedding`: while the loop is busier than it should be and refuses
many calls, Envoy draws lots. What it refuses costs the loop nothing. All calls are of one class.
"""

from collections.abc import Callable

from inferd.call import Criticality
from inferd.transport.envoy.shares import Shedding
from inferd_perf.simulation.loop import Loop
from inferd_perf.simulation.streams import Purpose, stream

MILLISECOND_NS = 1_000_000
#: Between adjustments, and until Envoy follows one.
TICK_NS = 50 * MILLISECOND_NS
FOLLOWS_NS = 10 * MILLISECOND_NS
CHUNK = 1024


class Door:
    """Draws lots for as long as any call is `pending`. `open` it first."""

    def __init__(
        self, above_busy: float, seed: int, loop: Loop, pending: Callable[[], int]
    ) -> None:
        self._decision = Shedding(above_busy)
        self._loop = loop
        self._pending = pending
        #: Calls that have ended in the loop since the last look, those of them that others have
        #: crowded out, and how long the loop had worked by then.
        self._ended, self._lost, self._worked_ns = 0, 0, 0
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
        shares = self._decision.shares(busy=busy, ended=self._ended, lost=self._lost, named={})
        self._ended, self._lost, self._worked_ns = 0, 0, self._loop.busy_ns
        share = shares[Criticality.CRITICAL]
        self._loop.at(self._loop.now + FOLLOWS_NS, self._turn_away, share)
        if self._pending():
            self.open()

    def _turn_away(self, share: float) -> None:
        self._share = share
