"""The scheduler's rules, one per test. Time is a number we pass in, in seconds."""

import math
from typing import Any

import pytest

from inferd.inference.scheduling import (
    LatencyModel,
    Level,
    Policy,
    Reason,
    Run,
    Scheduler,
    Ticket,
    buckets_of,
)

MS = 0.001


def a_scheduler(*, base: float = 2 * MS, per_row: float = 0.1 * MS, **policy: object) -> Scheduler:
    settings: dict[str, object] = {"max_batch": 8, "guard_s": 0.0, **policy}
    rules = Policy(**settings)  # type: ignore[arg-type]
    latency = LatencyModel(buckets_of(rules.max_batch, rules.preferred))
    for bucket in latency.buckets:
        latency.seed(bucket, base + per_row * bucket)
    return Scheduler(rules, latency)


def a_ticket(due: float = 1.0, *, rows: int = 1, arrived: float = 0.0, **rest: Any) -> Ticket:
    return Ticket(rows=rows, deadline=due, arrived=arrived, **rest)


def picked(run: Run | None) -> list[Ticket]:
    assert run is not None, "nothing was picked"
    return list(run.tickets)


def test_an_idle_instance_takes_what_is_there() -> None:
    scheduler, ticket = a_scheduler(), a_ticket()

    assert scheduler.admit(0.0, [ticket]) == []

    run = scheduler.pick(0.0)
    assert picked(run) == [ticket]
    assert run is not None
    assert run.closed == "idle"


def test_the_earliest_deadline_goes_first() -> None:
    scheduler = a_scheduler(max_batch=1)
    late, soon = a_ticket(2.0), a_ticket(1.0)
    scheduler.admit(0.0, [late, soon])

    first = scheduler.pick(0.0)

    assert picked(first) == [soon]
    assert scheduler.pick(0.0) is None, "the only instance is busy"
    assert first is not None
    scheduler.finished(0.003, first)
    assert picked(scheduler.pick(0.003)) == [late]


def test_what_waits_leaves_together() -> None:
    scheduler = a_scheduler(max_batch=4)
    tickets = [a_ticket(1.0 + at) for at in range(6)]
    scheduler.admit(0.0, tickets)

    run = scheduler.pick(0.0)

    assert picked(run) == tickets[:4]
    assert run is not None
    assert run.closed == "full"
    assert len(scheduler) == 2


def test_every_idle_instance_gets_work() -> None:
    scheduler = a_scheduler(max_batch=1, instances=2)
    scheduler.admit(0.0, [a_ticket() for _ in range(3)])

    assert scheduler.pick(0.0)
    assert scheduler.pick(0.0)
    assert scheduler.pick(0.0) is None


def test_a_request_is_not_split_over_batches() -> None:
    scheduler = a_scheduler(max_batch=4)
    tickets = [a_ticket(rows=3), a_ticket(rows=3)]
    scheduler.admit(0.0, tickets)

    assert picked(scheduler.pick(0.0)) == tickets[:1]


def test_only_like_shapes_share_a_batch() -> None:
    scheduler = a_scheduler()
    wide = [Ticket(rows=1, deadline=1.0, arrived=0.0, key="wide") for _ in range(2)]
    narrow = Ticket(rows=1, deadline=1.0, arrived=0.0, key="narrow")
    scheduler.admit(0.0, [wide[0], narrow, wide[1]])

    assert picked(scheduler.pick(0.0)) == wide


def test_a_hopeless_request_is_refused_at_the_door() -> None:
    scheduler = a_scheduler(base=5 * MS)
    hopeless, fine = a_ticket(4 * MS), a_ticket(10 * MS)

    drops = scheduler.admit(0.0, [hopeless, fine])

    assert [(drop.ticket, drop.reason) for drop in drops] == [(hopeless, Reason.INFEASIBLE)]
    assert drops[0].retry_after_s < 0
    assert len(scheduler) == 1


def test_just_enough_time_is_enough() -> None:
    scheduler = a_scheduler(base=2 * MS, per_row=0.0)

    assert isinstance(scheduler.run_at_once(0.0, a_ticket(2 * MS)), Run)


def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    scheduler = a_scheduler(max_queue=2)
    drops = scheduler.admit(0.0, [a_ticket() for _ in range(3)])

    assert [drop.reason for drop in drops] == [Reason.QUEUE_FULL]
    assert 2.8 * MS <= drops[0].retry_after_s <= 3.5 * MS, "one full batch drains the queue"


def test_no_retry_is_offered_beyond_the_deadline() -> None:
    scheduler = a_scheduler(max_queue=4, max_batch=1)
    drops = scheduler.admit(0.0, [*(a_ticket(1.0) for _ in range(4)), a_ticket(10 * MS)])

    assert [drop.reason for drop in drops] == [Reason.QUEUE_FULL]
    assert drops[0].retry_after_s < 0


def test_who_would_be_late_is_told_at_the_door() -> None:
    scheduler = a_scheduler(base=5 * MS, per_row=0.0, max_batch=1)
    tickets = [a_ticket(16 * MS + at * MS / 10) for at in range(5)]

    drops = scheduler.admit(0.0, tickets)

    assert [drop.ticket for drop in drops] == tickets[3:], "three runs fit, one after another"
    assert {drop.reason for drop in drops} == {Reason.SHED}


def test_who_is_turned_away_hears_when_it_would_have_been_admitted() -> None:
    scheduler = a_scheduler(base=5 * MS, per_row=0.0, max_batch=1)

    drops = scheduler.admit(0.0, [a_ticket(16 * MS) for _ in range(23)])

    waits = [drop.retry_after_s for drop in drops]
    assert all(4 * MS <= wait <= 5 * MS for wait in waits), "the fourth run ends 4 ms too late"
    assert len(set(waits)) == len(waits) == 20, "or all of them would be back at once"


def test_no_retry_is_offered_when_not_even_a_run_alone_would_fit_by_then() -> None:
    scheduler = a_scheduler(base=5 * MS, per_row=0.0, max_batch=1)

    drops = scheduler.admit(0.0, [a_ticket(1.0), *(a_ticket(7 * MS) for _ in range(2))])

    assert [drop.retry_after_s for drop in drops] == [-1.0]


def test_a_run_under_way_is_waited_for() -> None:
    scheduler = a_scheduler(base=5 * MS, per_row=0.0, max_batch=1)
    scheduler.admit(0.0, [a_ticket()])
    scheduler.pick(0.0)

    late, fine = a_ticket(11 * MS), a_ticket(11 * MS)

    assert [drop.ticket for drop in scheduler.admit(0.5 * MS, [a_ticket(9.9 * MS)])]
    assert scheduler.admit(0.5 * MS, [fine]) == []
    assert [drop.ticket for drop in scheduler.admit(0.5 * MS, [late])] == [late]


def test_every_instance_shortens_the_wait() -> None:
    scheduler = a_scheduler(base=5 * MS, per_row=0.0, max_batch=1, instances=2)
    scheduler.admit(0.0, [a_ticket()])
    scheduler.pick(0.0)
    scheduler.admit(1 * MS, [a_ticket()])
    scheduler.pick(1 * MS)

    drops = scheduler.admit(2 * MS, [a_ticket(17 * MS) for _ in range(5)])

    assert len(drops) == 1, "the instances are free at 5, 6, 10 and 11 ms, then it is too late"


def test_who_is_more_urgent_is_not_in_the_way_of_the_others_forecast() -> None:
    scheduler = a_scheduler(base=5 * MS, per_row=0.0, max_batch=1)
    scheduler.admit(0.0, [a_ticket(1.0) for _ in range(6)])

    assert scheduler.admit(0.0, [a_ticket(6 * MS)]) == [], "it overtakes them all"
    assert scheduler.admit(0.0, [a_ticket(9 * MS)]), "it does not overtake that one"


@pytest.mark.parametrize(("calls_per_s", "refused"), [(10, 0), (4000, 1)])
def test_a_batch_is_expected_to_fill_while_callers_keep_coming(
    calls_per_s: int, refused: int
) -> None:
    """Alone the last would be back in time; with those who come until it leaves, it would not."""
    scheduler, now = a_scheduler(base=4 * MS, per_row=1 * MS), 0.0
    while now < 0.1:
        now += 1 / calls_per_s
        run = scheduler.run_at_once(now, a_ticket(now + 11 * MS, arrived=now))
        assert isinstance(run, Run)
        scheduler.finished(now, run, learn=False)
    scheduler.admit(now, [a_ticket(now + 11 * MS, arrived=now)])
    scheduler.pick(now)

    drops = scheduler.admit(now + MS, [a_ticket(now + 12 * MS, arrived=now + MS)])

    assert [drop.reason for drop in drops] == [Reason.SHED] * refused


def test_the_late_are_dropped_before_their_deadline() -> None:
    scheduler = a_scheduler(base=5 * MS, max_batch=1)
    scheduler.admit(0.0, [a_ticket(6 * MS), a_ticket(12 * MS)])
    scheduler.pick(0.0)

    wake = scheduler.wake_at(0.0)
    assert wake == pytest.approx(12 * MS - 5.1 * MS), "it should have been its turn by then"
    assert scheduler.given_up(wake - 0.1 * MS) == []
    drops = scheduler.given_up(wake)

    assert [drop.reason for drop in drops] == [Reason.LATE_DROP]
    assert len(scheduler) == 0


def test_a_large_request_is_late_before_a_small_one_that_is_due_earlier() -> None:
    scheduler = a_scheduler(base=1 * MS, per_row=1 * MS, instances=2, guard_s=1 * MS)
    small, large = a_ticket(10 * MS), a_ticket(16.5 * MS, rows=8)
    assert scheduler.admit(0.0, [small, large]) == []

    assert scheduler.wake_at(0.0) == pytest.approx((16.5 - 9 - 1) * MS)
    assert [drop.ticket for drop in scheduler.given_up(6.6 * MS)] == [large]
    assert scheduler.wake_at(6.6 * MS) == pytest.approx((10 - 2 - 1) * MS)


def test_rows_are_ahead_not_requests() -> None:
    scheduler = a_scheduler(base=1 * MS, per_row=1 * MS)
    scheduler.admit(0.0, [a_ticket()])
    scheduler.pick(0.0)
    assert scheduler.admit(0.0, [a_ticket(0.02, rows=4), a_ticket(0.02, rows=4)]) == []

    assert scheduler.admit(0.0, [a_ticket(20.5 * MS)]) == [], "2 ms, 9 and 2"
    assert scheduler.admit(0.0, [a_ticket(21 * MS, rows=8)]), "2 ms, 9 and 9, and one more row"


def test_a_tight_deadline_shrinks_the_batch_rather_than_losing_the_call() -> None:
    scheduler = a_scheduler(base=1 * MS, per_row=1 * MS)
    tight = a_ticket(3.5 * MS)
    scheduler.admit(0.0, [tight, *(a_ticket(1.0) for _ in range(7))])

    run = scheduler.pick(0.0)

    assert tight in picked(run)
    assert run is not None
    assert run.rows == 2, "three rows would be late for the tight one"


def test_in_overload_the_batch_stays_big_and_the_tight_are_left() -> None:
    scheduler = a_scheduler(base=8 * MS, per_row=0.1 * MS)
    scheduler.admit(0.0, [a_ticket(20 * MS)])
    first = scheduler.pick(0.0)
    tight = [a_ticket(16.35 * MS) for _ in range(2)]
    loose = [a_ticket(17.05 * MS) for _ in range(8)]
    assert scheduler.admit(0.0, [*tight, *loose]) == []

    assert first
    scheduler.finished(8.1 * MS, first, learn=False)

    assert picked(scheduler.pick(8.1 * MS)) == loose, "two now would cost the eight after them"


def test_a_cancelled_request_leaves_at_once() -> None:
    scheduler = a_scheduler()
    gone, stays = a_ticket(), a_ticket()
    scheduler.admit(0.0, [gone, stays])

    assert scheduler.cancel(gone)
    assert not scheduler.cancel(gone)
    assert picked(scheduler.pick(0.0)) == [stays]


def test_waits_for_company_only_if_asked_to() -> None:
    scheduler = a_scheduler(max_delay_s=4 * MS)
    scheduler.admit(0.0, [a_ticket()])

    assert scheduler.pick(1 * MS) is None
    assert scheduler.wake_at(1 * MS) == pytest.approx(4 * MS)
    run = scheduler.pick(4 * MS)
    assert run is not None
    assert run.closed == "delay"


def test_a_preferred_size_ends_the_wait() -> None:
    scheduler = a_scheduler(max_delay_s=4 * MS, preferred=(3,))
    scheduler.admit(0.0, [a_ticket() for _ in range(3)])

    run = scheduler.pick(0.0)

    assert run is not None
    assert run.closed == "preferred"


def test_a_tight_deadline_ends_the_wait() -> None:
    scheduler = a_scheduler(max_delay_s=40 * MS)
    scheduler.admit(0.0, [a_ticket(10 * MS)])

    assert scheduler.pick(1 * MS) is None
    wake = scheduler.wake_at(1 * MS)
    assert wake == pytest.approx(10 * MS - 2.1 * MS)
    run = scheduler.pick(wake)
    assert run is not None
    assert run.closed == "deadline"


def test_a_higher_priority_goes_first_whatever_its_deadline() -> None:
    scheduler = a_scheduler(max_batch=1, levels=2, default_level=2)
    low, high = a_ticket(1.0, level=2), a_ticket(9.0, level=1)
    scheduler.admit(0.0, [low, high])

    assert picked(scheduler.pick(0.0)) == [high]


def test_a_level_has_its_own_bound() -> None:
    limits = {2: Level(max_queue=1)}
    scheduler = a_scheduler(levels=2, default_level=1, limits=limits)

    drops = scheduler.admit(0.0, [a_ticket(level=2), a_ticket(level=2), a_ticket(level=1)])

    assert [drop.ticket.level for drop in drops] == [2]


def test_preserved_order_is_first_come_first_served_one_at_a_time() -> None:
    scheduler = a_scheduler(max_batch=1, instances=4, preserve_ordering=True)
    first, second = a_ticket(9.0, arrived=0.0), a_ticket(1.0, arrived=0.1)
    scheduler.admit(0.1, [second, first])

    assert picked(scheduler.pick(0.1)) == [first]
    assert scheduler.pick(0.1) is None


def test_an_empty_queue_asks_not_to_be_woken() -> None:
    assert a_scheduler().wake_at(0.0) == math.inf


def test_a_bad_memory_does_not_keep_everybody_out_for_ever() -> None:
    scheduler = a_scheduler(base=1 * MS, per_row=0.0, max_batch=1)
    for second in range(40):
        scheduler.admit(float(second), [a_ticket(second + 0.5)])
        run = scheduler.pick(float(second))
        assert run is not None
        scheduler.finished(second + 0.1, run)

    assert scheduler.admit(39.2, [a_ticket(39.25)]), "a run takes 100 ms of late"
    assert scheduler.admit(40.2, [a_ticket(40.25)]) == [], "that was long ago: let one try"
    run = scheduler.pick(40.2)
    assert run is not None
    scheduler.finished(40.3, run)
    assert scheduler.admit(40.4, [a_ticket(40.45)]), "it was slow again: the next try can wait"


def test_a_scheduler_counts_on_the_instances_that_there_are() -> None:
    scheduler = a_scheduler(max_batch=1, instances=2)
    scheduler.resize(1)
    for _ in range(3):
        assert scheduler.enter(0.0, a_ticket(1.0)) is None
    runs = [scheduler.pick(0.0), scheduler.pick(0.0)]
    assert [run is not None for run in runs] == [True, False]

    scheduler.resize(2)

    assert scheduler.pick(0.0) is not None
    assert scheduler.pick(0.0) is None


def test_with_fewer_instances_fewer_are_let_in() -> None:
    def let_in(instances: int) -> int:
        scheduler = a_scheduler(max_batch=1, instances=4)
        scheduler.resize(instances)
        tickets = [a_ticket(due=10 * MS) for _ in range(40)]
        return sum(scheduler.enter(0.0, each) is None for each in tickets)

    assert let_in(1) < let_in(2) < let_in(4)


def test_who_waits_can_be_told() -> None:
    scheduler = a_scheduler()
    tickets = [a_ticket(2.0), a_ticket(1.5)]
    for each in tickets:
        assert scheduler.enter(0.0, each) is None

    assert scheduler.waiting() == [tickets[1], tickets[0]]
