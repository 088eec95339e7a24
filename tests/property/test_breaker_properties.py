"""Whatever happens in whatever order, a breaker does what its rules say.

The reference has the same rules, written plainly: it keeps every call in a list and counts anew
each time. Times are multiples of a 512th of a second, and buckets of an eighth: all is exact.
"""

import math
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inferd.config import resilience
from inferd.resilience.breaker import Breaker, State
from inferd.resilience.outcome import Outcome
from inferd.resilience.window import BUCKETS

TICK_S = 1 / 64
#: Between calls, or nobody knew in which order they end.
BETWEEN_S = TICK_S / 8
SLOW_S = 0.1

configs = st.builds(
    resilience.Breaker,
    mode=st.sampled_from(["on", "on", "on", "metrics_only", "off"]),
    window=st.sampled_from(["time", "count"]),
    window_s=st.just(1.25),
    window_calls=st.sampled_from([1, 3, 6]),
    minimum_calls=st.sampled_from([1, 2, 4]),
    failure_rate=st.sampled_from([0.1, 0.5, 0.6, 1.0]),
    consecutive_failures=st.sampled_from([0, 2, 20]),
    slow_rate=st.sampled_from([0.3, 0.8, 1.0]),
    slow_ms=st.just(SLOW_S * 1e3),
    open_s=st.just(0.5),
    open_factor=st.sampled_from([1.0, 2.0]),
    open_max_s=st.sampled_from([0.5, 3.0]),
    open_jitter=st.sampled_from([0.0, 0.25]),
    probes=st.sampled_from([1, 2, 3]),
    probe_timeout_s=st.just(1.0),
)

outcomes = st.sampled_from(
    [Outcome.SUCCESS, Outcome.SUCCESS, Outcome.SUCCESS, Outcome.FAILURE, Outcome.IGNORED]
)


@dataclass(eq=False)
class Seen:
    """One call, as the reference remembers it."""

    state: State
    #: How many states there were before.
    era: int
    began: float
    counted: bool
    ended: float = math.inf
    outcome: Outcome = Outcome.IGNORED
    slow: bool = False

    @property
    def says_something(self) -> bool:
        return self.counted and self.ended < math.inf and self.outcome is not Outcome.IGNORED


@dataclass
class Reference:
    """The rules of a breaker."""

    config: resilience.Breaker
    random: float
    calls: list[Seen] = field(default_factory=list)
    states: list[tuple[State, float]] = field(default_factory=lambda: [(State.CLOSED, 0.0)])
    #: How long each open state lasts, or lasted.
    intervals: list[float] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.states[-1][0]

    @property
    def since(self) -> float:
        return self.states[-1][1]

    @property
    def era(self) -> int:
        return len(self.states)

    def of_now(self) -> list[Seen]:
        """Return the calls of this state that count."""
        return [call for call in self.calls if call.era == self.era and call.counted]

    def window(self, now: float) -> list[Seen]:
        """Return the calls since it was closed last that are in the window now."""
        closed = max(era for era, (state, _) in enumerate(self.states, 1) if state is State.CLOSED)
        seen = [each for each in self.calls if each.era == closed and each.says_something]
        # In the order in which they ended.
        seen.sort(key=lambda each: each.ended)
        if self.config.window == "count":
            return seen[-self.config.window_calls :]
        width_s = self.config.window_s / BUCKETS
        return [each for each in seen if each.ended // width_s > now // width_s - BUCKETS]

    def admit(self, now: float) -> Seen | None:
        if self.state is State.OPEN and now >= self.since + self.intervals[-1]:
            self.states.append((State.HALF_OPEN, now))
        if self.state is State.HALF_OPEN and self.hangs(now):
            self.open(now)
        call = Seen(self.state, self.era, now, self.counts_the_next())
        passes = (
            call.counted
            or self.state in (State.CLOSED, State.FORCED_CLOSED)
            or (self.config.mode == "metrics_only" and self.state is not State.FORCED_OPEN)
        )
        if passes:
            self.calls.append(call)
        return call if passes else None

    def counts_the_next(self) -> bool:
        if self.state is State.CLOSED:
            return self.config.mode != "off"
        if self.state is not State.HALF_OPEN:
            return False
        given_back = [
            each
            for each in self.of_now()
            if each.ended < math.inf and each.outcome is Outcome.IGNORED
        ]
        return len(self.of_now()) - len(given_back) < self.config.probes

    def settle(self, call: Seen, outcome: Outcome, slow: bool, now: float) -> None:
        hung = self.state is State.HALF_OPEN and call in self.of_now() and self.hangs(now)
        call.ended, call.outcome, call.slow = now, outcome, slow
        if not call.counted or call.era != self.era:
            return
        if hung:
            self.open(now)
        elif outcome is not Outcome.IGNORED:
            self.judge(now)

    def hangs(self, now: float) -> bool:
        """Return whether some probe has been under way, without a pause, for too long."""
        probes = self.of_now()
        if all(each.ended < math.inf for each in probes):
            return False
        since, busy_until = -math.inf, -math.inf
        for each in probes:  # in the order in which they began
            if busy_until <= each.began:
                since = each.began
            busy_until = max(busy_until, each.ended)
        return now >= since + self.config.probe_timeout_s

    def all_failed(self, now: float) -> bool:
        """Return whether so many calls in a row have failed, since it was closed last."""
        closed = max(era for era, (state, _) in enumerate(self.states, 1) if state is State.CLOSED)
        seen = [each for each in self.calls if each.era == closed and each.says_something]
        seen.sort(key=lambda each: each.ended)
        most = self.config.consecutive_failures
        last = seen[-most:] if most else []
        return len(last) == most > 0 and all(each.outcome is Outcome.FAILURE for each in last)

    def judge(self, now: float) -> None:
        config = self.config
        if self.state is State.CLOSED and self.all_failed(now):
            self.open(now)
            return
        if self.state is State.CLOSED:
            judged = self.window(now)
            of, enough = len(judged), config.minimum_calls
            if config.window == "count":
                enough = min(enough, config.window_calls)
            if of < enough:
                return
        else:
            judged = [each for each in self.of_now() if each.says_something]
            of = config.probes
        failures = sum(each.outcome is Outcome.FAILURE for each in judged)
        slow = sum(each.slow for each in judged)
        if failures / of >= config.failure_rate or slow / of >= config.slow_rate:
            self.open(now)
        elif self.state is State.HALF_OPEN and len(judged) == of:
            self.states.append((State.CLOSED, now))

    def open(self, now: float) -> None:
        in_a_row = 0
        for state, _ in reversed(self.states):
            if state is State.CLOSED:
                break
            in_a_row += state is State.OPEN
        config = self.config
        wait_s = min(config.open_s * config.open_factor**in_a_row, config.open_max_s)
        self.intervals.append(wait_s * (1 + config.open_jitter * (2 * self.random - 1)))
        self.states.append((State.OPEN, now))

    def force(self, state: State | None, now: float) -> None:
        forced = self.state in (State.FORCED_OPEN, State.FORCED_CLOSED)
        if state is None and forced:
            self.states.append((State.CLOSED, now))
        elif state not in (None, self.state):
            self.states.append((state, now))


class Breakers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.under_way: list[tuple[int, Seen]] = []

    @initialize(config=configs, random=st.sampled_from([0.0, 0.5, 1.0]))
    def begin_with(self, config: resilience.Breaker, random: float) -> None:
        self.breaker = Breaker(config, random=lambda: random)
        self.reference = Reference(config, random)

    @rule(ticks=st.sampled_from([1, 2, 7, 8, 32, 64, 80, 200]))
    def wait(self, ticks: int) -> None:
        self.now += ticks * TICK_S

    @rule()
    def wait_until_a_probe_may_pass(self) -> None:
        self.now += self.breaker.retry_after(self.now)

    @rule(calls=st.integers(1, 5))
    def begin(self, calls: int) -> None:
        for _ in range(calls):
            self.now += BETWEEN_S
            permit, expected = self.breaker.admit(self.now), self.reference.admit(self.now)
            assert (permit > 0) == (expected is not None)
            if expected is not None:
                self.under_way.append((permit, expected))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), outcome=outcomes, slow=st.booleans())
    def end(self, data: st.DataObject, outcome: Outcome, slow: bool) -> None:
        at = data.draw(st.integers(0, len(self.under_way) - 1))
        self.settle(*self.under_way.pop(at), outcome, slow)

    @rule(calls=st.integers(1, 6), outcome=outcomes, slow=st.booleans())
    def call_one_after_the_other(self, calls: int, outcome: Outcome, slow: bool) -> None:
        for _ in range(calls):
            self.begin(1)
            if self.under_way and self.under_way[-1][1].began == self.now:
                self.settle(*self.under_way.pop(), outcome, slow)

    @rule(data=st.data(), slow=st.booleans())
    def open_and_probe(self, data: st.DataObject, slow: bool) -> None:
        """Go the way that it takes a while to stumble upon."""
        self.call_one_after_the_other(6, Outcome.FAILURE, slow)
        self.wait_until_a_probe_may_pass()
        for outcome in data.draw(st.lists(outcomes, max_size=4)):
            self.call_one_after_the_other(1, outcome, slow)

    @rule(state=st.sampled_from([None] * 8 + [State.FORCED_OPEN, State.FORCED_CLOSED]))
    def force(self, state: State | None) -> None:
        self.now += BETWEEN_S
        self.breaker.force(state, self.now)
        self.reference.force(state, self.now)

    def settle(self, permit: int, call: Seen, outcome: Outcome, slow: bool) -> None:
        self.now += BETWEEN_S
        self.breaker.settle(permit, outcome, SLOW_S * 2 if slow else SLOW_S, self.now)
        self.reference.settle(call, outcome, slow, self.now)

    @invariant()
    def is_in_the_same_state(self) -> None:
        assert self.breaker.state is self.reference.state
        opened = sum(state is State.OPEN for state, _ in self.reference.states)
        assert self.breaker.opened == opened

    @invariant()
    def has_seen_the_same_calls(self) -> None:
        if self.breaker.state is not State.CLOSED:
            return
        seen = self.reference.window(self.now)
        assert self.breaker.counts(self.now) == (
            len(seen),
            sum(each.outcome is Outcome.FAILURE for each in seen),
            sum(each.slow for each in seen),
        )

    @invariant()
    def says_when_to_return(self) -> None:
        after_s = self.breaker.retry_after(self.now)
        reference = self.reference
        if reference.state is State.OPEN:
            assert after_s == max(0.0, reference.since + reference.intervals[-1] - self.now)
        elif reference.state is State.HALF_OPEN:
            assert (after_s == 0) == reference.counts_the_next()
        else:
            assert (after_s > 0) == (reference.state is State.FORCED_OPEN)

    @invariant()
    def tells_how_it_came_to_be_so(self) -> None:
        told = self.breaker.transitions
        assert [(each.after, each.at) for each in told] == self.reference.states[1:][-32:]
        assert all(before.after is after.before for before, after in pairwise(told))
        assert all(each.why for each in told)


def test_a_breaker_does_what_its_rules_say() -> None:
    run_state_machine_as_test(
        Breakers,
        settings=settings(
            max_examples=150, stateful_step_count=40, deadline=None, derandomize=True
        ),
    )
