"""Whatever happens in whatever order: the promises of every discipline, in a world of its own.

The world is a server without the server: it takes calls in, looks, runs, fails, reloads and
cancels at times of its own choosing, and keeps the books that the scheduler's must agree with.
Time is a number. Runs take what was predicted, or not.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

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
    Discipline,
    Drop,
    Fifo,
    LatencyModel,
    Level,
    Mode,
    Policy,
    Reason,
    Run,
    Scheduler,
    Ticket,
    buckets_of,
    discipline_for,
)
from inferd.inference.scheduling.queue import Queue
from support.scheduling import MS, a_latency, a_ticket, take_back

#: Sums of floats are not exact.
EPSILON = 1e-9

times_ms = st.floats(0.0, 60.0, allow_nan=False)

policies = st.builds(
    Policy,
    mode=st.sampled_from([Mode.GOODPUT, Mode.GOODPUT, Mode.FAIL_FAST, Mode.FIFO]),
    max_batch=st.sampled_from([1, 2, 5, 8]),
    instances=st.integers(1, 3),
    max_queue=st.sampled_from([1, 4, 64]),
    max_delay_s=st.sampled_from([0.0, 0.0, 3 * MS]),
    guard_s=st.sampled_from([0.0, 0.5 * MS]),
    preserve_ordering=st.sampled_from([False, False, True]),
    levels=st.sampled_from([0, 2]),
    default_level=st.just(1),
    default_limits=st.sampled_from([Level(), Level(delays=True)]),
    limits=st.sampled_from([{}, {2: Level(max_queue=2)}, {1: Level(delays=True, max_queue=3)}]),
    shares=st.sampled_from([{}, {"a": 2.0}]),
)

callers = st.fixed_dictionaries(
    {
        "rows": st.integers(1, 8),
        "within_ms": times_ms,
        "level": st.integers(1, 2),
        "key": st.sampled_from(["narrow", "wide"]),
        "weight": st.sampled_from([1.0, 1.0, 0.5, 4.0]),
        "caller": st.sampled_from([None, "a", "b"]),
        "retried": st.booleans(),
        "patience_ms": st.sampled_from([math.inf, 2.0]),
    }
)


class Version:
    """A model version: its discipline, and the books that a server keeps about it."""

    def __init__(self, policy: Policy, latency: LatencyModel) -> None:
        self.policy = policy
        self.latency = latency
        self.discipline: Discipline = discipline_for(policy, latency)
        self.keeps_time = not isinstance(self.discipline, Fifo)
        self.slots = 1 if policy.preserve_ordering else policy.instances
        self.arriving: list[Ticket] = []
        #: Let in and not yet run, dropped or gone, in the order of arrival.
        self.waiting: dict[Ticket, None] = {}
        self.running: list[Run] = []
        #: Callers in `running` who are gone.
        self.deserted: set[Ticket] = set()
        #: Gone, but not before they were evicted: the scheduler will tell nobody.
        self.untold: set[Ticket] = set()
        self.ended: dict[Ticket, str] = {}
        self.admitted = 0

    @property
    def idle(self) -> bool:
        return len(self.running) < self.slots

    @property
    def queue(self) -> Queue:
        """Whitebox: where a `Scheduler` keeps who waits."""
        assert isinstance(self.discipline, Scheduler)
        return self.discipline._queue

    @property
    def home_s(self) -> float:
        return self.discipline._home.seconds if isinstance(self.discipline, Scheduler) else 0.0

    def last_start(self, ticket: Ticket) -> float:
        return ticket.deadline - self.latency.predict(ticket.rows, ticket.key) - self.home_s

    # -- what a server does -----------------------------------------------------------

    def enter(self, now: float) -> None:
        """Take in those who have arrived, one by one."""
        arriving, self.arriving = self.arriving, []
        for ticket in arriving:
            full = self._is_full(ticket.level)
            in_vain = bool(len(self.discipline)) or not self.idle
            drop = self.discipline.enter(now, ticket)
            if drop is None:
                self.let_in(ticket)
                continue
            self.refused(now, ticket, drop)
            if drop.reason != Reason.INFEASIBLE:
                assert full == (drop.reason == Reason.QUEUE_FULL)
                assert in_vain or full, "an idle server turns nobody away"

    def look(self, now: float) -> None:
        self.enter(now)
        self._take_drops(now)
        while run := self.discipline.pick(now):
            self.started(now, run)
        self._asks_to_be_woken_in_time(now)

    def let_in(self, ticket: Ticket) -> None:
        self.admitted += 1
        self.waiting[ticket] = None

    def refused(self, now: float, ticket: Ticket, drop: Drop) -> None:
        assert drop.ticket is ticket
        if self.keeps_time:
            infeasible = self.last_start(ticket) < now
            assert infeasible == (drop.reason == Reason.INFEASIBLE)
            if drop.retry_after_s >= 0:
                assert now + drop.retry_after_s <= self.last_start(ticket)
        self.end(ticket, "refused")

    def started(self, now: float, run: Run) -> None:
        assert run.tickets
        assert len(set(run.tickets)) == len(run.tickets)
        assert run.rows == sum(ticket.rows for ticket in run.tickets)
        assert run.rows <= self.policy.max_batch
        assert len({ticket.key for ticket in run.tickets}) == 1
        assert run.predicted_s == self.latency.predict(run.rows, run.tickets[0].key)
        assert self.idle, "all instances are busy"
        finish = now + run.predicted_s + self.home_s
        for ticket in run.tickets:
            del self.waiting[ticket]
            assert not self.keeps_time or finish <= ticket.deadline + EPSILON, "it will be late"
        self.running.append(run)

    def finish(self, now: float, run: Run, *, learn: bool) -> None:
        self.running.remove(run)
        run.failed = not learn
        self.discipline.finished(now, run, learn=learn)
        for ticket in run.tickets:
            gone = ticket in self.deserted
            self.deserted.discard(ticket)
            if not gone:
                self.end(ticket, "ok" if now <= ticket.deadline and learn else "late or failed")

    def leave(self, ticket: Ticket) -> None:
        """Let a caller go who waits."""
        if not self.discipline.cancel(ticket):
            self.untold.add(ticket)  # it has been evicted, or has expired
        assert not self.discipline.cancel(ticket), "it has left already"
        del self.waiting[ticket]
        self.end(ticket, "cancelled")

    def desert(self, ticket: Ticket) -> None:
        """Let a caller go whose batch runs."""
        assert not self.discipline.cancel(ticket), "it runs"
        self.deserted.add(ticket)
        self.end(ticket, "cancelled")

    def end(self, ticket: Ticket, how: str) -> None:
        assert ticket not in self.ended, "it ended twice"
        self.ended[ticket] = how

    # -- what must hold ---------------------------------------------------------------

    def _take_drops(self, now: float) -> None:
        drops = self.discipline.given_up(now)
        assert self.discipline.given_up(now) == [], "they have been told"
        for drop in drops:
            if drop.ticket in self.untold:
                self.untold.remove(drop.ticket)
                continue
            del self.waiting[drop.ticket]
            self.end(drop.ticket, "dropped")
            if drop.reason == Reason.LATE_DROP and self.keeps_time:
                assert self.last_start(drop.ticket) <= now, "it could have been answered"
            elif drop.reason == Reason.SHED:
                assert self.keeps_time, "nobody makes room in a plain queue"
        assert not self.untold
        if self.keeps_time:
            assert all(self.last_start(ticket) > now for ticket in self.waiting)
        for ticket in self.waiting:
            if self.policy.limits_of(ticket.level).delays:
                assert ticket.put_back == (ticket.yields_at <= now)

    def _asks_to_be_woken_in_time(self, now: float) -> None:
        wake = self.discipline.wake_at(now)
        assert wake >= now
        if not self.waiting:
            assert wake == math.inf or len(self.discipline)
        if self.keeps_time:
            due = min(map(self.last_start, self.waiting), default=math.inf)
            assert wake <= max(due, now) + EPSILON
        yields = (each.yields_at for each in self.waiting if not each.put_back)
        assert wake <= max(now, min(yields, default=math.inf))

    def _is_full(self, level: int) -> bool:
        bound = self.policy.limits_of(level).max_queue
        waiting = list(self.queue) if self.keeps_time else [*self.waiting]
        in_level = sum(ticket.level == level for ticket in waiting)
        return len(waiting) >= self.policy.max_queue or 0 < bound <= in_level

    def check_books(self) -> None:
        assert len(self.discipline) == len(self.waiting) + len(self.untold)
        assert self.discipline.running == len(self.running) <= self.slots
        counts = Counter(self.ended.values())
        refused = counts.pop("refused", 0)
        in_runs = sum(len(run.tickets) for run in self.running) - len(self.deserted)
        assert self.admitted == counts.total() + len(self.waiting) + in_runs
        assert len(self.ended) == counts.total() + refused
        if self.keeps_time:
            self.check_queue()

    def check_queue(self) -> None:
        queue = self.queue
        waiting = list(queue)
        assert set(waiting) <= set(self.waiting)
        assert len(waiting) <= self.policy.max_queue
        assert queue.rows == sum(ticket.rows for ticket in waiting)
        assert queue.by_level == Counter(ticket.level for ticket in waiting)
        assert queue.by_weight == Counter(ticket.weight for ticket in waiting)
        rows: Counter[Hashable] = Counter()
        for ticket in waiting:
            rows[ticket.caller] += ticket.rows
        assert queue.by_caller == rows
        assert all(one[:3] < other[:3] for one, other in pairwise(queue.entries))
        assert all(queue.find(ticket) == at for at, ticket in enumerate(waiting))
        for level, count in queue.by_level.items():
            assert count <= (self.policy.limits_of(level).max_queue or count)


class World(RuleBasedStateMachine):
    """Some of the rules that the real server keeps: it looks after every change."""

    versions: tuple[Version, ...] = ()

    @initialize(
        policy=policies,
        base_ms=st.floats(0.1, 8.0),
        per_row_ms=st.floats(0.0, 2.0),
        mixed=st.booleans(),
    )
    def open(self, policy: Policy, base_ms: float, per_row_ms: float, mixed: bool) -> None:
        self.now = 0.0
        self.mixed = mixed
        self.latency = LatencyModel(buckets_of(policy.max_batch))
        for bucket in self.latency.buckets:
            self.latency.seed(bucket, (base_ms + per_row_ms * bucket) * MS)
        self.policy = policy
        self.versions = (Version(policy, self.latency),)

    # -- what callers do --------------------------------------------------------------

    @rule(caller=callers, count=st.integers(1, 6))
    def arrive(self, caller: dict[str, object], count: int) -> None:
        self.newest.arriving += [self.a_ticket(**caller) for _ in range(count)]  # type: ignore[arg-type]

    @rule(caller=callers)
    def arrive_alone(self, caller: dict[str, object]) -> None:
        """Take the short way, where there is one."""
        self.look()
        version, ticket = self.newest, self.a_ticket(**caller)  # type: ignore[arg-type]
        outcome = version.discipline.run_at_once(self.now, ticket)
        if isinstance(outcome, Run):
            assert not version.waiting
            version.let_in(ticket)
            version.started(self.now, outcome)
        elif isinstance(outcome, Drop):
            version.refused(self.now, ticket, outcome)
        else:
            version.arriving.append(ticket)

    @rule()
    def enter(self) -> None:
        """Let those in who have arrived, without a look yet: the turn is not over."""
        self.newest.enter(self.now)

    def a_ticket(
        self,
        *,
        rows: int,
        within_ms: float,
        level: int,
        key: str,
        weight: float,
        caller: str | None,
        retried: bool,
        patience_ms: float,
    ) -> Ticket:
        ticket = Ticket(
            rows=min(rows, self.policy.max_batch),
            deadline=self.now + within_ms * MS,
            arrived=self.now,
            key=key if self.mixed else None,
            level=level if self.policy.levels else 0,
            weight=weight,
            caller=caller,
            retried=retried,
        )
        if self.policy.limits_of(ticket.level).delays:
            # `Fifo` looks at who is first only: there all are as patient.
            ticket.yields_at = self.now + (patience_ms if self.newest.keeps_time else 2.0) * MS
        return ticket

    @precondition(lambda self: any(version.waiting for version in self.versions))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from([each for each in self.versions if each.waiting]))
        version.leave(data.draw(st.sampled_from([*version.waiting])))

    @precondition(lambda self: any(version.running for version in self.versions))
    @rule(data=st.data())
    def desert(self, data: st.DataObject) -> None:
        """Leave though the batch is running."""
        version = data.draw(st.sampled_from([each for each in self.versions if each.running]))
        run = data.draw(st.sampled_from(version.running))
        ticket = data.draw(st.sampled_from(run.tickets))
        if ticket not in version.deserted:
            version.desert(ticket)

    # -- what the server does ---------------------------------------------------------

    @property
    def newest(self) -> Version:
        return self.versions[-1]

    @rule(ahead_ms=times_ms)
    def wait(self, ahead_ms: float) -> None:
        """Let time pass, up to when somebody wants to be woken."""
        self.look()
        wake = min(version.discipline.wake_at(self.now) for version in self.versions)
        self.now = min(self.now + ahead_ms * MS, wake)
        self.look()

    @rule(late_ms=times_ms)
    def oversleep(self, late_ms: float) -> None:
        """Let time pass, whatever the scheduler wants; those go whose time is over."""
        self.now += late_ms * MS
        self.look()
        for version in self.versions:
            for ticket in [each for each in version.waiting if each.deadline <= self.now]:
                assert not version.keeps_time
                version.leave(ticket)
        self.look()

    @precondition(lambda self: any(version.running for version in self.versions))
    @rule(data=st.data(), takes_ms=st.floats(0.0, 20.0), learn=st.booleans())
    def finish(self, data: st.DataObject, takes_ms: float, learn: bool) -> None:
        """End a run; it has failed if there is nothing to learn from it."""
        version = data.draw(st.sampled_from([each for each in self.versions if each.running]))
        run = data.draw(st.sampled_from(version.running))
        self.now = max(self.now, run.picked_at + takes_ms * MS)
        version.finish(self.now, run, learn=learn)
        self.look()

    @rule(took_ms=st.floats(0.0, 8.0))
    def answer(self, took_ms: float) -> None:
        self.newest.discipline.answered(took_ms * MS)
        self.look()

    @precondition(lambda self: len(self.versions) < 3)
    @rule()
    def reload(self) -> None:
        """Begin another version; the one before serves those whom it has let in."""
        self.look()
        self.versions += (Version(self.policy, self.latency),)

    def look(self) -> None:
        for version in self.versions:
            version.look(self.now)

    # -- what must hold ---------------------------------------------------------------

    @invariant()
    def the_books_agree(self) -> None:
        for version in self.versions:
            version.check_books()

    def teardown(self) -> None:
        """Everyone who came leaves: time passes, runs end, and the queues are empty."""
        for version in self.versions:
            while version.waiting or version.running or version.arriving:
                self.look()
                self.an_idle_instance_leaves_nobody_waiting(version)
                if version.running:
                    run = version.running[0]
                    self.now = max(self.now, run.picked_at + run.predicted_s)
                    version.finish(self.now, run, learn=True)
                elif version.waiting:
                    assert version.discipline.wake_at(self.now) < math.inf
                    self.now = version.discipline.wake_at(self.now)
            self.look()
            assert len(version.discipline) == 0
            assert version.discipline.wake_at(self.now) == math.inf
            version.check_books()

    def an_idle_instance_leaves_nobody_waiting(self, version: Version) -> None:
        if not self.policy.max_delay_s:
            assert not version.waiting or not version.idle


def test_every_discipline_keeps_its_promises_in_whatever_order_things_happen() -> None:
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=150,
            stateful_step_count=30,
            deadline=None,
            report_multiple_bugs=False,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


# -- who is served ------------------------------------------------------------------------


class Told:
    """What became of callers whose runs take just what was predicted."""

    def __init__(self) -> None:
        self.in_time: set[Ticket] = set()
        self.failed: set[Ticket] = set()


def served(discipline: Discipline, tickets: Sequence[Ticket]) -> Told:
    """Let these come, in this order, and serve whom the discipline lets in."""
    told, running = Told(), list[Run]()
    now, at = 0.0, 0
    while at < len(tickets) or running or len(discipline):
        ends = min((run.picked_at + run.predicted_s for run in running), default=math.inf)
        comes = tickets[at].arrived if at < len(tickets) else math.inf
        now = max(now, min(ends, comes, discipline.wake_at(now)))
        for run in [run for run in running if run.picked_at + run.predicted_s <= now]:
            running.remove(run)
            take_back(discipline, now, run)
            for ticket in run.tickets:
                (told.in_time if now <= ticket.deadline else told.failed).add(ticket)
        while at < len(tickets) and tickets[at].arrived <= now:
            if discipline.enter(now, tickets[at]):
                told.failed.add(tickets[at])
            at += 1
        told.failed.update(drop.ticket for drop in discipline.given_up(now))
        while run_or_none := discipline.pick(now):
            running.append(run_or_none)
    return told


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    policy=policies,
    calls=st.lists(
        st.tuples(st.floats(0.0, 100.0), st.integers(1, 8), callers, st.floats(200.0, 900.0)),
        max_size=20,
    ),
)
def test_where_all_can_be_served_in_time_nobody_is_refused(
    policy: Policy, calls: list[tuple[float, int, dict[str, Any], float]]
) -> None:
    """Twenty runs of at most 5 ms each, one after the other, and 200 ms for each."""
    policy = replace(policy, max_queue=64, limits={}, guard_s=0.0)
    tickets = [
        a_ticket(
            (arrived_ms + within_ms) * MS,
            arrived=arrived_ms * MS,
            rows=min(rows, policy.max_batch),
            level=caller["level"] if policy.levels else 0,
            **{name: caller[name] for name in ("key", "weight", "caller", "retried")},
        )
        for arrived_ms, rows, caller, within_ms in sorted(calls, key=lambda call: call[0])
    ]
    latency = a_latency(*buckets_of(policy.max_batch), base=1 * MS, per_row=0.5 * MS)

    told = served(discipline_for(policy, latency), tickets)

    assert not told.failed
    assert told.in_time == set(tickets)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    gaps_ms=st.lists(st.floats(12.0, 40.0), min_size=1, max_size=8),
    flood_per_ms=st.floats(1.0, 8.0),
    within=st.floats(4.0, 8.0),
    max_batch=st.sampled_from([2, 4, 8]),
    base_ms=st.floats(0.5, 4.0),
)
def test_who_asks_for_less_than_its_share_is_served_whatever_the_others_ask_for(
    gaps_ms: list[float], flood_per_ms: float, within: float, max_batch: int, base_ms: float
) -> None:
    """All have the time of some full batches; one has a single request here at a time."""
    latency = a_latency(*buckets_of(max_batch), base=base_ms * MS, per_row=0.25 * MS)
    within_s = within * latency.predict(max_batch)
    modest, now = [], 0.0
    for gap_ms in gaps_ms:
        now += max(gap_ms * MS, within_s)
        modest.append(a_ticket(now + within_s, arrived=now, caller="modest"))
    flood = [
        a_ticket(at * MS / flood_per_ms + within_s, arrived=at * MS / flood_per_ms, caller="bulk")
        for at in range(int(now / MS * flood_per_ms) + 20)
    ]
    policy = Policy(max_batch=max_batch, guard_s=0.0)
    tickets = sorted([*modest, *flood], key=lambda ticket: ticket.arrived)

    told = served(Scheduler(policy, latency), tickets)

    assert told.in_time >= set(modest)
