"""When a dependency is left alone, and how it is tried again. Pure: `now` is in monotonic seconds.

Closed, calls pass and are counted; when too many of the last ones failed or were slow it opens.
Open, nobody passes for a while: the dependency has peace, and callers know at once. Half open, a
few probes pass, and they decide: it closes, or it opens again and for longer.

    CLOSED -- too many failed or slow --> OPEN -- after a while --> HALF_OPEN
       ^                                   ^                         |    |
       |                                   +-- too many, or overdue -+    |
       +-------------------------------- enough probes were good ---------+

An operator can force it open or closed, from any state, and let go of it again: then it is closed.

A permit carries the generation, which is new with every state: what comes back from an earlier
state, however late, changes nothing. A call that says nothing about the dependency is not counted,
and if it was a probe, another may go in its place.

What is slow need not be configured: three times what 99 of 100 good calls took while it was
closed. Slow calls are not learnt from, or an incident would soon be normal. But what is slow and
does not fail may be what it is from now on, and must not be left alone for ever. So each time that
probes are only slow, the next may take twice as long; if it is these that close it, what is usual
is learnt anew.
"""

import math
from collections import Counter, deque
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from inferd.config import resilience
from inferd.resilience.outcome import Outcome
from inferd.resilience.probes import Probes
from inferd.resilience.quantile import LiveQuantile
from inferd.resilience.window import Counts, CountWindow, TimeWindow

USUAL = 0.99
"""The quantile of good calls that is usual,"""
SLOW_FACTOR = 3.0
"""how many times as long is slow,"""
LEARNT = 100
"""and how many good calls it takes to know: before, nothing is slow."""
ONE_IN = 4
"""So many of the good calls are learnt from. It is what most of a breaker's time goes into."""

_REFUSED, _UNCOUNTED = 0, 1
"""Permits of calls that may not pass, and of those whose outcome does not matter."""

# Looked up once: the hot path compares with them.
_FAILURE, _IGNORED = Outcome.FAILURE, Outcome.IGNORED


class State(StrEnum):
    """What a breaker does with calls."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    FORCED_CLOSED = "forced_closed"


_PASSING = (State.CLOSED, State.FORCED_CLOSED)
_FORCED = (State.FORCED_OPEN, State.FORCED_CLOSED)


class Transition(NamedTuple):
    """A change of state, and the reason as an operator wants to read it."""

    at: float
    before: State
    after: State
    why: str


class Breaker:
    """A circuit breaker. Times are monotonic seconds, and never go back."""

    __slots__ = (
        "_config",
        "_failure_rate",
        "_generation",
        "_good",
        "_in_a_row",
        "_minimum_calls",
        "_next_open_s",
        "_passing",
        "_patience",
        "_permit",
        "_probes",
        "_random",
        "_slow_rate",
        "_state",
        "_until",
        "_usual",
        "_window",
        "entered",
        "slow_s",
        "transitions",
    )

    def __init__(self, config: resilience.Breaker, *, random: Callable[[], float]) -> None:
        """`random` returns numbers from 0 to 1, which spread the open intervals."""
        self._config = config
        self._random = random
        self._window: TimeWindow | CountWindow
        self._failure_rate, self._slow_rate = config.failure_rate, config.slow_rate
        self._minimum_calls = config.minimum_calls
        if config.window == "time":
            self._window = TimeWindow(config.window_s)
        else:
            self._window = CountWindow(config.window_calls)
            self._minimum_calls = min(config.minimum_calls, config.window_calls)
        self._state = State.CLOSED
        self._generation = _UNCOUNTED + 1
        #: Whether all calls pass, and with which permit: all that is asked while nothing is wrong.
        self._passing = True
        self._permit = _UNCOUNTED if config.mode == "off" else self._generation
        #: Slower than this is slow, in seconds; infinity: nothing is.
        self.slow_s = config.slow_ms / 1000 or math.inf
        #: Failed calls since the last one that did not fail.
        self._in_a_row = 0
        #: Calls that neither failed nor were slow.
        self._good = 0
        self._usual = None if config.slow_ms else LiveQuantile(seed_s=0.0)
        #: How many times as long probes may take.
        self._patience = 1.0
        self._next_open_s = config.open_s
        self._until = 0.0
        self._probes = Probes(0, 0.0)
        #: The last changes of state, and how often each state was entered.
        self.transitions: deque[Transition] = deque(maxlen=32)
        self.entered: Counter[State] = Counter()

    def __repr__(self) -> str:
        return f"<Breaker {self._state}, {self._window.calls} calls>"

    @property
    def state(self) -> State:
        """What it does with calls, as of the last one."""
        return self._state

    @property
    def opened(self) -> int:
        """How often it has opened by itself."""
        return self.entered[State.OPEN]

    def counts(self, now: float) -> Counts:
        """Return what is in the window: what was seen since it closed."""
        return self._window.counts(now)

    def admit(self, now: float) -> int:
        """Return a permit, which is to be settled exactly once; 0: the call may not pass."""
        if self._passing:
            return self._permit
        if self._state is State.FORCED_OPEN:
            return _REFUSED
        if self._state is State.OPEN and now >= self._until:
            self._half_open(now)
        if self._state is State.HALF_OPEN:
            if self._probes.overdue(now):
                self._open_overdue(now)
            elif self._probes.go(now):
                return self._generation
        return _UNCOUNTED if self._config.mode == "metrics_only" else _REFUSED

    def settle(self, permit: int, outcome: Outcome, seconds: float, now: float) -> None:
        """Take a permit back: what the call says about the dependency, and how long it took."""
        if permit != self._generation:
            return
        if not self._passing:
            self._settle_probe(outcome, seconds, now)
            return
        if outcome is _IGNORED:
            return
        failed = outcome is _FAILURE
        slow = seconds > self.slow_s
        window = self._window
        window.record(failed, slow, now)
        calls = window.calls
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if calls >= self._minimum_calls and (
            window.failures / calls >= self._failure_rate or window.slow / calls >= self._slow_rate
        ):
            self._trip(now)
        elif self._in_a_row == self._config.consecutive_failures and failed:
            self._open(f"{self._in_a_row} calls in a row failed", now)
        if self._usual is not None and not (failed or slow):
            self._good += 1
            if self._good % ONE_IN == 0:
                self._learn(self._usual, seconds)

    def retry_after(self, now: float) -> float:
        """Return the seconds until a probe may pass; 0: a call may pass now."""
        if self._state is State.OPEN:
            return max(0.0, self._until - now)
        if self._state is State.HALF_OPEN and not self._probes.left:
            return self._config.open_s  # the probes will have decided by then, as a rule
        return self._config.open_max_s if self._state is State.FORCED_OPEN else 0.0

    def force(self, state: State | None, now: float) -> None:
        """Keep it FORCED_OPEN or FORCED_CLOSED, whatever calls say; None: let it go again."""
        if state is not None and state not in _FORCED:
            raise ValueError(f"state must be forced_open, forced_closed or none, not {state}")
        if state is not None and state is not self._state:
            self._enter(state, "an operator forced it", now)
        elif state is None and self._state in _FORCED:
            self._close("an operator let it go", now)

    def _trip(self, now: float) -> None:
        window, config = self._window, self._config
        counts = Counts(window.calls, window.failures, window.slow)
        why = self._complaint("calls", window.calls, counts, self.slow_s)
        self._open(f"{why} in {config.window_s:g} s" if config.window == "time" else why, now)

    def _complaint(self, what: str, of: int, counts: Counts, slow_s: float) -> str:
        """Return what is wrong if too many of them failed or were slow; nothing if not."""
        # Divided and not multiplied: 3 of 30 is a share of 0.1, but 0.1 * 30 is more than 3.
        if counts.failures / of >= self._failure_rate:
            return f"{counts.failures} of {of} {what} failed"
        if counts.slow / of >= self._slow_rate:
            return f"{counts.slow} of {of} {what} took longer than {slow_s * 1e3:.3g} ms"
        return ""

    def _settle_probe(self, outcome: Outcome, seconds: float, now: float) -> None:
        if self._probes.overdue(now):
            self._open_overdue(now)
            return
        slow_s = self.slow_s * self._patience
        self._probes.back(outcome, seconds, slow_s)
        counts, probes = self._probes.counts, self._config.probes
        why = self._complaint("probes", probes, counts, slow_s)
        if why:
            if self._usual is not None and not counts.failures:
                self._patience *= 2
            self._open(why, now)
        elif counts.calls == probes:
            self._close(f"{probes - counts.failures} of {probes} probes succeeded", now)

    def _learn(self, usual: LiveQuantile, seconds: float) -> None:
        if usual.observe(seconds) and usual.count * ONE_IN >= LEARNT:
            self.slow_s = usual.at(USUAL) * SLOW_FACTOR

    def _open(self, why: str, now: float) -> None:
        config = self._config
        spread = 1 + config.open_jitter * (2 * self._random() - 1)
        self._until = now + self._next_open_s * spread
        self._next_open_s = min(self._next_open_s * config.open_factor, config.open_max_s)
        self._enter(State.OPEN, why, now)

    def _open_overdue(self, now: float) -> None:
        config = self._config
        late = f"{self._probes.under_way} of {config.probes} probes"
        self._open(f"{late} had no answer after {config.probe_timeout_s:g} s", now)

    def _half_open(self, now: float) -> None:
        self._probes = Probes(self._config.probes, self._config.probe_timeout_s)
        self._enter(State.HALF_OPEN, "it was left alone for long enough", now)

    def _close(self, why: str, now: float) -> None:
        self._window.clear()
        self._in_a_row = 0
        self._next_open_s = self._config.open_s
        if self._patience > 1 and self._probes.slowest_s > self.slow_s:
            self._usual, self.slow_s = LiveQuantile(seed_s=0.0), math.inf
        self._patience = 1.0
        self._enter(State.CLOSED, why, now)

    def _enter(self, state: State, why: str, now: float) -> None:
        self.transitions.append(Transition(now, self._state, state, why))
        self.entered[state] += 1
        self._state = state
        self._generation += 1
        self._passing = state in _PASSING
        counted = state is State.CLOSED and self._config.mode != "off"
        self._permit = self._generation if counted else _UNCOUNTED
