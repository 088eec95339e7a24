"""Several instances: the others count when a batch is made up. `n` rows take `1 + n` ms."""

from inferd.inference.scheduling import Run, Scheduler, Ticket
from support.scheduling import MS, a_scheduler, a_ticket, picked


def one_tight_and_seven(scheduler: Scheduler, now: float) -> list[Ticket]:
    """Let a tight one in, and seven whom two batches one after the other would make late."""
    tickets = [a_ticket(now + due * MS, arrived=now) for due in (3.5, *[9.5] * 7)]
    assert scheduler.admit(now, tickets) == []
    return tickets


def two_instances() -> tuple[Scheduler, Run]:
    """Return a scheduler with two, one of which has just begun a run of 9 ms."""
    scheduler = a_scheduler(base=1 * MS, per_row=1 * MS, instances=2)
    run = scheduler.run_at_once(0.0, a_ticket(1.0, rows=8))
    assert isinstance(run, Run)
    return scheduler, run


def test_the_tight_goes_first_where_another_instance_takes_the_rest() -> None:
    scheduler, run = two_instances()
    scheduler.finished(9 * MS, run)
    tickets = one_tight_and_seven(scheduler, 9 * MS)

    assert picked(scheduler.pick(9 * MS)) == tickets[:2]
    assert picked(scheduler.pick(9 * MS)) == tickets[2:]


def test_the_tight_is_left_where_the_other_instance_is_busy_for_too_long() -> None:
    scheduler, _ = two_instances()
    tickets = one_tight_and_seven(scheduler, 0.0)

    assert picked(scheduler.pick(0.0)) == tickets[1:]


def test_an_instance_that_is_overdue_may_be_free_any_moment() -> None:
    scheduler, _ = two_instances()
    tickets = one_tight_and_seven(scheduler, 12 * MS)

    assert picked(scheduler.pick(12 * MS)) == tickets[:2]


def test_no_more_batches_run_than_there_are_instances() -> None:
    scheduler, run = two_instances()
    one_tight_and_seven(scheduler, 0.0)
    assert scheduler.pick(0.0)

    assert scheduler.running == 2
    assert scheduler.pick(0.0) is None
    assert scheduler.run_at_once(0.0, a_ticket()) is None
    scheduler.finished(9 * MS, run)
    assert scheduler.running == 1


def test_a_full_queue_drains_by_all_of_them() -> None:
    full = a_scheduler(base=1 * MS, per_row=1 * MS, instances=2, max_queue=9)
    full.admit(0.0, [a_ticket() for _ in range(9)])

    drop = full.enter(0.0, a_ticket())

    assert drop is not None
    assert 9 * MS <= drop.retry_after_s <= 9 * MS * 1.25, "two batches of 9 ms at the same time"
