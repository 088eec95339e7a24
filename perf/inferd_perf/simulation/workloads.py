"""What callers do: how calls arrive, how long they wait, how large they are, who makes them.

The workloads W1 to W10 of the evaluation, `priority` and `bulk`. Loads are shares of the
machine's capacity in rows, on average. W5 stands in for the Azure Functions trace
(Shahrad et al., ATC 2020), which is not part of this repository: it has the shape of that
trace, not its data.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from inferd_perf.simulation.arrivals import SECOND_NS, Arrive
from inferd_perf.simulation.calls import Calls, Column, Retries, none_of
from inferd_perf.simulation.streams import Purpose, stream

MILLISECOND_NS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A class of calls."""

    share: float
    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Calls of `least` to `most` rows, each equally likely."""

    share: float
    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Calls that only share a batch among themselves; `cost` multiplies the time of a run."""

    share: float
    key: Hashable
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong with the machine; times as shares of the simulated time."""

    slow: tuple[tuple[float, float, float], ...] = ()
    stall_share: float = 0.0
    stall_factor: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A declared pattern of calls. Draw from it with `calls`."""

    name: str
    title: str
    arrive: Arrive
    deadlines_ms: tuple[float, ...]
    rows: tuple[Rows, ...] = (Rows(share=1.0, least=1, most=1),)
    keys: tuple[Key, ...] = ()
    #: Criticalities; without any, the classes are the deadlines.
    kinds: tuple[Kind, ...] = ()
    #: The share of all calls that each caller makes; without any, callers are not told apart.
    callers: tuple[float, ...] = ()
    poison_share: float = 0.0
    retries: Retries | None = None
    trouble: Trouble = Trouble()
    #: The loads at which it is reported.
    loads: tuple[float, ...] = (1.0,)
    #: When a burst ends, in seconds, to see how soon the server recovers.
    burst_over_s: float | None = None

    @property
    def rows_each(self) -> float:
        """The rows of a call, on average."""
        return sum(each.share * (each.least + each.most) / 2 for each in self.rows)

    @property
    def cost(self) -> float:
        """How many times as long a row takes as the profile says, on average."""
        return sum(each.share * each.cost for each in self.keys) if self.keys else 1.0

    def calls(self, *, rows_per_s: float, duration_s: float, seed: int) -> Calls:
        """Draw all calls of `duration_s` seconds at so many rows per second."""
        rate = rows_per_s / self.rows_each
        sent_s = self.arrive(rate, duration_s, stream(seed, Purpose.ARRIVALS))
        count = len(sent_s)
        deadlines = stream(seed, Purpose.DEADLINES).integers(len(self.deadlines_ms), size=count)
        within = np.array([round(ms * MILLISECOND_NS) for ms in self.deadlines_ms], np.int64)
        kinds = self._kinds(seed, count) if self.kinds else deadlines
        names = [each.name for each in self.kinds] or [f"{ms:g} ms" for ms in self.deadlines_ms]
        weights = np.array([each.weight for each in self.kinds] or [1.0] * len(names))
        burst = self.burst_over_s
        return Calls(
            sent_ns=np.rint(sent_s * SECOND_NS).astype(np.int64),
            within_ns=within[deadlines],
            rows=self._rows(seed, count),
            kind=kinds,
            kinds=tuple(names),
            weight=weights[kinds],
            key=_choose(seed, Purpose.KEYS, count, [each.share for each in self.keys]),
            keys=tuple(each.key for each in self.keys) or (None,),
            costs={each.key: each.cost for each in self.keys},
            caller=_choose(seed, Purpose.CALLERS, count, self.callers),
            named=bool(self.callers),
            poison=stream(seed, Purpose.FAULTS).random(count) < self.poison_share,
            retries=self.retries,
            burst_over_ns=None if burst is None else round(burst * SECOND_NS),
            duration_s=duration_s,
        )

    def _kinds(self, seed: int, count: int) -> Column:
        return _choose(seed, Purpose.CRITICALITY, count, [each.share for each in self.kinds])

    def _rows(self, seed: int, count: int) -> Column:
        random = stream(seed, Purpose.ROWS)
        which = random.choice(len(self.rows), size=count, p=[each.share for each in self.rows])
        least = np.array([each.least for each in self.rows])[which]
        most = np.array([each.most for each in self.rows])[which]
        return random.integers(least, most + 1)


def _choose(seed: int, purpose: Purpose, count: int, shares: Sequence[float]) -> Column:
    """Return an index into `shares` per call; zeros where there is nothing to choose from."""
    if not shares:
        return none_of(count)
    return stream(seed, purpose).choice(len(shares), size=count, p=list(shares))
