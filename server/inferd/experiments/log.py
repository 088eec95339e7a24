"""Puts on record who used which arm and what came of it, behind everybody's back.

What is written down, docs/experiments.md says. Nobody waits and nothing is raised: what cannot be
written is counted.
"""

from asyncio import Future
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from inferd.cache.journal.chain import Entry
from inferd.errors import InferdError
from inferd.experiments.plan import Assigned, Assignments, Unit

EXPOSURE, OUTCOME, PICKS = "exposure", "outcome", "picks"
US = 1_000_000
CLOSED = "CLOSED"
"""Why something is not on record: the log is not open (yet, or any more)."""

_json = msgspec.json.Encoder().encode


class Records(Protocol):
    """What keeps records: `cache.journal.journal.Journal`."""

    def begin(self, entry: Entry) -> "Future[int]":
        """Have a record written, unless it was; return what waits for its number, once it is safe.

        Raises `InferdError`, then or at once.
        """


class Log:
    """Records, and how many could not be written. Lives on the event loop."""

    def __init__(self) -> None:
        self._records: Records | None = None
        #: Records that are safe, by kind.
        self.written: Counter[str] = Counter()
        #: Those that are not there, by kind and reason.
        self.dropped: Counter[tuple[str, str]] = Counter()

    def open(self, records: Records) -> None:
        """Write to these from now on."""
        self._records = records

    def close(self) -> None:
        """Write no more. Whoever gave the records closes them."""
        self._records = None

    def put(self, entry: Entry, then: Callable[[bool], None] | None = None) -> None:
        """Have a record written; `then` is told whether it is safe, now or later."""
        if self._records is None:
            self._drop(entry.kind, CLOSED, then)
            return
        try:
            safe = self._records.begin(entry)
        except InferdError as error:
            self._drop(entry.kind, error.reason, then)
            return
        safe.add_done_callback(partial(self._done, entry.kind, then))

    def _done(self, kind: str, then: Callable[[bool], None] | None, safe: "Future[int]") -> None:
        error = None if safe.cancelled() else safe.exception()
        if safe.cancelled() or error is not None:
            reason = error.reason if isinstance(error, InferdError) else CLOSED
            self._drop(kind, reason, then)
            return
        self.written[kind] += 1
        if then is not None:
            then(True)

    def _drop(self, kind: str, reason: str, then: Callable[[bool], None] | None) -> None:
        self.dropped[kind, reason] += 1
        if then is not None:
            then(False)


class Exposures:
    """Records uses of arms: of every unit one for each arm and window.

    The log knows its last records again, also after a restart, and writes none twice. What is
    remembered here only keeps it from being asked again and again.
    """

    def __init__(
        self, log: Log, *, window_s: float, remember: int, now_us: Callable[[], int]
    ) -> None:
        """Take windows that begin at multiples of `window_s` since 1970."""
        self.log = log
        #: Hears of units in arms, as guardrails do: experiment, revision, arm and unit.
        self.listener: Callable[[str, int, str, str], None] | None = None
        self._window_us = round(window_s * US)
        self._remember = remember
        self._now_us = now_us
        self._window = -1
        #: Of the window: experiments with their revision and arm, and units.
        self._seen: set[tuple[str, int, str, str]] = set()

    def used(self, assignments: Assignments, unit: Unit) -> None:
        """Note that an answer was what its arms made it. To be called once it is given.

        Returns at once, and never raises. Arms that were forced do not count.
        """
        if not assignments.arms:
            return
        now_us = self._now_us()
        window = now_us // self._window_us
        if window != self._window:
            self._window = window
            self._seen.clear()
        for arm in assignments.arms:
            value = unit.get(arm.unit, "")
            key = arm.experiment, arm.revision, arm.arm, value
            if arm.forced or key in self._seen:
                continue
            if len(self._seen) < self._remember:
                self._seen.add(key)
            self._write(arm, value, now_us, key)

    def _write(
        self, arm: Assigned, value: str, now_us: int, key: tuple[str, int, str, str]
    ) -> None:
        if self.listener is not None:
            self.listener(arm.experiment, arm.revision, arm.arm, value)
        said = {
            "experiment": arm.experiment,
            "revision": arm.revision,
            "arm": arm.arm,
            "unit": arm.unit,
            "window_us": self._window * self._window_us,
        }

        def then(safe: bool) -> None:
            if safe:
                arm.tally.exposed += 1
            else:
                self._seen.discard(key)  # the next use may have more luck

        self.log.put(Entry(EXPOSURE, value, now_us, _json(said)), then)


class Outcomes:
    """Records what units did, and what was measured of arms."""

    def __init__(self, log: Log, *, now_us: Callable[[], int]) -> None:
        self.log = log
        #: Hears of what units did, as guardrails do: unit, metric and amount.
        self.listener: Callable[[str, str, float], None] | None = None
        self._now_us = now_us
        self._last_us = 0

    def happened(
        self,
        unit: str,
        value: str,
        metric: str,
        amount: float = 1.0,
        *,
        at_us: int = 0,
        event: str = "",
        request: str = "",
        item: str = "",
    ) -> None:
        """Note what a unit (`user_id`, and its value) did, such as a click.

        `at_us`: 0: now. `event`: the same is counted once; empty: it is always another one.
        `request`, `item`: the answer that led to it, and what of it.
        """
        if self.listener is not None:
            self.listener(value, metric, amount)
        said: dict[str, Any] = {"unit": unit, "metric": metric, "amount": amount}
        said |= {"event": event or self._unique(), "request": request, "item": item}
        self.log.put(Entry(OUTCOME, value, at_us or self._now_us(), _json(said)))

    def shown(
        self,
        experiment: str,
        unit: str,
        value: str,
        request: str,
        picks: Mapping[str, Sequence[str]],
    ) -> None:
        """Note which items of an answer are which team's: its picks by the name of the arm."""
        said = {"experiment": experiment, "unit": unit, "request": request, "picks": picks}
        self.log.put(Entry(PICKS, value, self._now_us(), _json(said)))

    def _unique(self) -> str:
        """Return what no other event is called: equal records would be taken for one."""
        self._last_us = max(self._now_us(), self._last_us + 1)
        return f"@{self._last_us}"
