"""Whatever happens in whatever order: the scheduler's promises, in a world of its own.

The world is a server without the server: it admits, looks, runs, finishes and cancels at
times of its own choosing, and keeps the books that the scheduler's must agree with. Time is
a number. Runs take what was predicted, or not.
"""

import itertools
import math
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inferd.inference.scheduling import (
    Drop,
    LatencyModel,
    Level,
    Policy,
    Reason,
    Run,
    Scheduler,
    Ticket,
    buckets_of,
)
from inferd.inference.scheduling.arrivals import ALIKE, EPOCH_S, TICK_S, Arrivals
from inferd.inference.scheduling.forecast import Forecast
from inferd.inference.scheduling.turns import Turns
from inferd.inference.scheduling.way_home import WayHome

MS = 0.001
#: Sums of floats are not exact.
EPSILON = 1e-9

times_ms = st.floats(0.0, 60.0, allow_nan=False)

policies = st.builds(
    Policy,
    max_batch=st.sampled_from([1, 2, 5, 8]),
    instances=st.integers(1, 3),
    max_queue=st.sampled_from([1, 4, 64]),
    max_delay_s=st.sampled_from([0.0, 3 * MS]),
    guard_s=st.sampled_from([0.0, 0.5 * MS]),
    preserve_ordering=st.booleans(),
    levels=st.sampled_from([0, 2]),
    default_level=st.just(1),
    limits=st.sampled_from([{}, {2: Level(max_queue=2)}]),
)


class World(RuleBasedStateMachine):
    """Some of the rules that the real server keeps: it looks after every change."""

    @initialize(
        policy=policies,
        base_ms=st.floats(0.1, 8.0),
        per_row_ms=st.floats(0.0, 2.0),
        mixed=st.booleans(),
    )
    def open(self, policy: Policy, base_ms: float, per_row_ms: float, mixed: bool) -> None:
        self.now = 0.0
        self.mixed = mixed
        self.policy = policy
        self.latency = LatencyModel(buckets_of(policy.max_batch))
        for bucket in self.latency.buckets:
            self.latency.seed(bucket, (base_ms + per_row_ms * bucket) * MS)
        self.scheduler = Scheduler(policy, self.latency)
        self.arriving: list[Ticket] = []
        self.waiting: set[Ticket] = set()
        self.running: list[Run] = []
        self.left: set[Ticket] = set()

    # -- what callers do --------------------------------------------------------------

    @rule(
        rows=st.integers(1, 8),
        within_ms=times_ms,
        level=st.integers(1, 2),
        key=st.sampled_from(["narrow", "wide"]),
        count=st.integers(1, 6),
    )
    def arrive(self, rows: int, within_ms: float, level: int, key: str, count: int) -> None:
        self.arriving += [self.a_ticket(rows, within_ms, level, key) for _ in range(count)]

    @rule(
        rows=st.integers(1, 8),
        within_ms=times_ms,
        level=st.integers(1, 2),
        key=st.sampled_from(["narrow", "wide"]),
    )
    def arrive_alone(self, rows: int, within_ms: float, level: int, key: str) -> None:
        """Take the short way, where there is one."""
        self.look()
        ticket = self.a_ticket(rows, within_ms, level, key)
        outcome = self.scheduler.run_at_once(self.now, ticket)
        if isinstance(outcome, Run):
            assert not self.waiting
            self.waiting.add(ticket)
            self.started(outcome)
        elif isinstance(outcome, Drop):
            self.admitted([ticket], [outcome])
        else:
            self.arriving.append(ticket)

    def a_ticket(self, rows: int, within_ms: float, level: int, key: str) -> Ticket:
        return Ticket(
            rows=min(rows, self.policy.max_batch),
            deadline=self.now + within_ms * MS,
            arrived=self.now,
            key=key if self.mixed else None,
            level=level if self.policy.levels else 0,
        )

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.waiting, key=lambda it: it.sequence)))
        assert self.scheduler.cancel(ticket)
        self.gone(ticket)
        assert not self.scheduler.cancel(ticket), "it has left already"

    # -- what the server does ---------------------------------------------------------

    @rule(ahead_ms=times_ms)
    def wait(self, ahead_ms: float) -> None:
        """Let time pass, up to when the scheduler wants to be woken."""
        self.look()
        self.now = min(self.now + ahead_ms * MS, self.scheduler.wake_at(self.now))
        self.look()

    @rule(late_ms=times_ms)
    def oversleep(self, late_ms: float) -> None:
        """Let time pass, whatever the scheduler wants."""
        self.now += late_ms * MS
        self.look()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), takes_ms=st.floats(0.0, 20.0), learn=st.booleans())
    def finish(self, data: st.DataObject, takes_ms: float, learn: bool) -> None:
        run = data.draw(st.sampled_from(self.running))
        self.now = max(self.now, run.picked_at + takes_ms * MS)
        self.running.remove(run)
        self.scheduler.finished(self.now, run, learn=learn)
        self.look()

    def look(self) -> None:
        arriving, self.arriving = self.arriving, []
        self.admitted(arriving, self.scheduler.admit(self.now, arriving))
        self.dropped(self.scheduler.given_up(self.now))
        while run := self.scheduler.pick(self.now):
            self.started(run)
        self.asks_to_be_woken_in_time()

    # -- what must hold ---------------------------------------------------------------

    def admitted(self, arriving: list[Ticket], drops: list[Drop]) -> None:
        refused = {drop.ticket: drop for drop in drops}
        assert len(refused) == len(drops)
        assert set(refused) <= set(arriving)
        for ticket in arriving:
            drop = refused.get(ticket)
            if drop is None:
                self.waiting.add(ticket)
                continue
            if self.last_start(ticket) < self.now:
                assert drop.reason == Reason.INFEASIBLE
            elif self.is_full(ticket.level):
                assert drop.reason == Reason.QUEUE_FULL
            else:
                assert drop.reason == Reason.SHED
                assert self.waiting or not self.idle, "an idle server turns nobody away"
            if drop.retry_after_s >= 0:
                assert self.now + drop.retry_after_s <= self.last_start(ticket)
            self.left.add(ticket)

    @property
    def idle(self) -> bool:
        slots = 1 if self.policy.preserve_ordering else self.policy.instances
        return len(self.running) < slots

    def is_full(self, level: int) -> bool:
        bound = self.policy.limits_of(level).max_queue
        in_level = sum(ticket.level == level for ticket in self.waiting)
        return len(self.waiting) >= self.policy.max_queue or 0 < bound <= in_level

    def dropped(self, drops: list[Drop]) -> None:
        for drop in drops:
            assert drop.reason == Reason.LATE_DROP
            assert self.last_start(drop.ticket) <= self.now, "it could have been answered"
            self.gone(drop.ticket)
        assert all(self.last_start(ticket) > self.now for ticket in self.waiting)

    def started(self, run: Run) -> None:
        assert run.tickets
        assert len(set(run.tickets)) == len(run.tickets)
        assert run.rows == sum(ticket.rows for ticket in run.tickets)
        assert run.rows <= self.policy.max_batch
        assert len({ticket.key for ticket in run.tickets}) == 1
        assert run.predicted_s == self.latency.predict(run.rows)
        finish = self.now + run.predicted_s + self.policy.guard_s
        late = [ticket for ticket in run.tickets if ticket.deadline < finish - EPSILON]
        assert not late, "it takes somebody along who will be late"
        for ticket in run.tickets:
            self.gone(ticket)
        self.running.append(run)

    def asks_to_be_woken_in_time(self) -> None:
        wake = self.scheduler.wake_at(self.now)
        assert wake >= self.now
        due = min((self.last_start(ticket) for ticket in self.waiting), default=math.inf)
        assert wake <= max(due, self.now)
        assert (wake == math.inf) == (not self.waiting)

    def gone(self, ticket: Ticket) -> None:
        assert ticket not in self.left, "it left twice"
        self.waiting.remove(ticket)
        self.left.add(ticket)

    def last_start(self, ticket: Ticket) -> float:
        return ticket.deadline - self.latency.predict(ticket.rows) - self.policy.guard_s

    @invariant()
    def the_books_agree(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        assert len(self.scheduler) == len(self.waiting)
        assert self.scheduler.running == len(self.running)
        slots = 1 if self.policy.preserve_ordering else self.policy.instances
        assert len(self.running) <= slots
        assert len(self.waiting) <= self.policy.max_queue
        bound = self.policy.limits_of(2).max_queue
        if self.policy.levels and bound:
            assert sum(ticket.level == 2 for ticket in self.waiting) <= bound

    @invariant()
    def an_idle_instance_leaves_nobody_waiting_in_vain(self) -> None:
        if not hasattr(self, "scheduler") or self.policy.max_delay_s:
            return
        assert not self.waiting or not self.idle

    def teardown(self) -> None:
        """Everyone who came leaves: time passes, runs end, and the queue is empty."""
        if not hasattr(self, "scheduler"):
            return
        while self.waiting or self.running or self.arriving:
            self.look()
            if self.running:
                run = self.running.pop()
                self.now = max(self.now, run.picked_at + run.predicted_s)
                self.scheduler.finished(self.now, run)
            elif self.waiting:
                self.now = self.scheduler.wake_at(self.now)
        assert len(self.scheduler) == 0
        assert self.scheduler.wake_at(self.now) == math.inf


def test_the_scheduler_keeps_its_promises_in_whatever_order_things_happen() -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=250,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


# -- the forecast -------------------------------------------------------------------------


def served_in_order(
    now: float, ahead: int, ends: list[float], takes_s: Callable[[int], float], *, slots: int
) -> float:
    """Return when the last of `ahead` + 1 rows would be answered, by doing it all on paper."""
    free = sorted([*(max(now, end) for end in ends), *[now] * (slots - len(ends))])
    left = ahead + 1
    while left > 8:
        left -= 8
        free = sorted([*free[1:], free[0] + takes_s(8)])
    return free[0] + takes_s(left)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    ahead=st.integers(0, 60),
    ends_ms=st.lists(st.floats(0.0, 5.0), max_size=3),
    slots=st.integers(1, 3),
    base_ms=st.floats(0.5, 5.0),
    per_row_ms=st.floats(0.0, 1.0),
)
def test_the_forecast_is_what_would_come_if_nothing_changed(
    ahead: int, ends_ms: list[float], slots: int, base_ms: float, per_row_ms: float
) -> None:
    latency = LatencyModel(range(1, 9))
    for rows in latency.buckets:
        latency.seed(rows, (base_ms + per_row_ms * rows) * MS)
    arrivals = Arrivals()
    for within_s in (0.001, 1.0):
        arrivals.note(0.0, 1, within_s)
    policy = Policy(max_batch=8, instances=slots)
    forecast = Forecast(policy, latency, arrivals, WayHome(policy.guard_s), Turns(), slots=slots)
    # Runs under way began within the time that one takes: nobody is free twice before another.
    ends = sorted(min(end, base_ms) * MS for end in ends_ms[:slots])

    finish = forecast.finish(0.0, 1, ahead, ends)

    exact = served_in_order(0.0, ahead, ends, latency.expect, slots=slots)
    assert not forecast.strict
    assert finish == pytest.approx(exact)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    times_ms=st.lists(st.floats(0.0, 20.0), min_size=1, max_size=60),
    within_ms=st.lists(st.floats(1.0, 100.0), min_size=60, max_size=60),
)
def test_what_is_remembered_of_arrivals_is_what_arrived_of_late(
    times_ms: list[float], within_ms: list[float]
) -> None:
    arrivals, now, seen = Arrivals(), 0.0, []
    for step, within in zip(times_ms, within_ms, strict=False):
        now += step * MS
        arrivals.note(now, 1, within * MS)
        seen.append((now, within * MS))
        recent = [each for at, each in seen if at > now - EPOCH_S + EPSILON]
        older = [each for at, each in seen if at > now - 3 * EPOCH_S]
        assert min(older) <= arrivals.within_s.least <= min(recent)
        if max(recent) > ALIKE * min(recent):
            assert not arrivals.alike
        if max(older) <= ALIKE * min(older):
            assert arrivals.alike
        assert 0 <= arrivals.rows_per_s(now) <= len(seen) / TICK_S


# -- the latency model --------------------------------------------------------------------

seconds = st.floats(1e-6, 1.0)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    buckets=st.sets(st.integers(1, 64), min_size=1, max_size=8),
    seeds=st.lists(st.tuples(st.integers(1, 64), seconds), max_size=10),
    runs=st.lists(st.tuples(st.integers(1, 64), seconds), max_size=60),
)
def test_more_rows_never_take_less_time(
    buckets: set[int], seeds: list[tuple[int, float]], runs: list[tuple[int, float]]
) -> None:
    latency = LatencyModel(sorted(buckets))
    largest = max(buckets)
    for rows, seconds in seeds:
        latency.seed(min(rows, largest), seconds)
    for rows, seconds in runs:
        latency.observe(min(rows, largest), seconds)

    predicted = [latency.predict(rows) for rows in range(1, largest + 1)]

    assert all(less <= more for less, more in itertools.pairwise(predicted))
    # A run counts at most double for the bucket it is nearest to.
    most = 2 * max([seconds for _, seconds in (*seeds, *runs)], default=0.0)
    assert all(0 <= each <= most * math.e + EPSILON for each in predicted)
