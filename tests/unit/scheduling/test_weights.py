"""Who is worth more goes first where not all can be served. Times in seconds."""

import pytest

from inferd.inference.scheduling import Level, Reason, Scheduler, Ticket
from support.scheduling import MS, a_busy_scheduler, a_scheduler, a_ticket, picked, take_back


def told(scheduler: Scheduler, now: float = 0.0) -> list[tuple[Ticket, Reason]]:
    return [(drop.ticket, drop.reason) for drop in scheduler.given_up(now)]


def test_the_heavier_takes_the_place_of_the_lighter() -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=1)
    light, heavy = a_ticket(10.5 * MS), a_ticket(10.6 * MS, weight=2.0)
    scheduler.enter(0.0, light)

    assert scheduler.enter(0.0, heavy) is None

    assert told(scheduler) == [(light, Reason.SHED)]
    assert told(scheduler) == [], "once is enough"
    assert len(scheduler) == 1


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_nobody_goes_for_an_equal_or_a_lighter(weight: float) -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=1)
    scheduler.enter(0.0, a_ticket(10.5 * MS))

    drop = scheduler.enter(0.0, a_ticket(10.6 * MS, weight=weight))

    assert drop is not None
    assert drop.reason == Reason.SHED
    assert told(scheduler) == []


def test_who_had_to_make_room_hears_when_to_come_back() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=2)
    scheduler.admit(0.0, [a_ticket(), a_ticket()])
    scheduler.enter(0.0, a_ticket(weight=2.0))

    (drop,) = scheduler.given_up(0.0)

    assert drop.reason == Reason.SHED
    assert 2.8 * MS <= drop.retry_after_s <= 3.5 * MS, "one full batch drains the queue"


def test_who_has_no_time_to_come_back_is_told_not_to() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=1, base=5 * MS)
    scheduler.enter(0.0, a_ticket(10.5 * MS))
    scheduler.enter(0.0, a_ticket(weight=2.0))

    assert [drop.retry_after_s for drop in scheduler.given_up(0.0)] == [-1.0]


def test_the_lightest_goes_and_of_the_lightest_the_latest() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=5)
    weights = (2.0, 1.0, 1.0, 3.0, 2.0)
    tickets = [a_ticket(1.0 + at, weight=weight) for at, weight in enumerate(weights)]
    scheduler.admit(0.0, tickets)

    scheduler.enter(0.0, a_ticket(9.0, weight=4.0))
    scheduler.enter(0.0, a_ticket(9.0, weight=4.0))
    scheduler.enter(0.0, a_ticket(9.0, weight=4.0))

    assert [ticket for ticket, _ in told(scheduler)] == [tickets[2], tickets[1], tickets[4]]


def test_as_many_rows_go_as_come() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=4)
    tickets = [a_ticket(1.0 + at) for at in range(4)]
    scheduler.admit(0.0, tickets)

    scheduler.enter(0.0, a_ticket(9.0, rows=3, weight=2.0))

    assert {ticket for ticket, _ in told(scheduler)} == set(tickets[1:])


def test_nobody_goes_when_all_who_are_lighter_are_not_enough() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=2)
    scheduler.admit(0.0, [a_ticket(), a_ticket(weight=2.0)])

    assert scheduler.enter(0.0, a_ticket(rows=2, weight=2.0)) is not None
    assert told(scheduler) == []
    assert len(scheduler) == 2


def test_where_time_is_short_only_those_go_who_are_in_the_way() -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=1)
    scheduler.admit(0.0, [a_ticket(10.5 * MS, weight=2.0), a_ticket(1.0)])

    assert scheduler.enter(0.0, a_ticket(10.6 * MS, weight=2.0)) is not None
    assert told(scheduler) == [], "the light one is not ahead"


def test_in_a_full_queue_the_lighter_goes_though_it_is_due_later() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=2)
    tickets = [a_ticket(2.0), a_ticket(3.0)]
    scheduler.admit(0.0, tickets)

    assert scheduler.enter(0.0, a_ticket(1.0, weight=2.0)) is None
    assert told(scheduler) == [(tickets[1], Reason.SHED)]


def test_where_a_level_is_full_it_is_one_of_that_level_who_goes() -> None:
    scheduler, _ = a_busy_scheduler(levels=3, limits={2: Level(max_queue=1)})
    above, same, below = (a_ticket(1.0, level=level) for level in (1, 2, 3))
    scheduler.admit(0.0, [above, same, below])

    assert scheduler.enter(0.0, a_ticket(2.0, level=2, weight=2.0)) is None
    assert told(scheduler) == [(same, Reason.SHED)]


def test_a_full_level_of_equals_stays_as_it_is() -> None:
    scheduler, _ = a_busy_scheduler(levels=2, limits={2: Level(max_queue=1)})
    scheduler.admit(0.0, [a_ticket(level=1, weight=0.5), a_ticket(level=2)])

    assert scheduler.enter(0.0, a_ticket(level=2)) is not None
    assert told(scheduler) == []


def test_who_made_room_is_told_though_the_newcomer_leaves_again() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=1)
    light, heavy = a_ticket(), a_ticket(weight=2.0)
    scheduler.admit(0.0, [light, heavy])

    assert scheduler.cancel(heavy)
    assert not scheduler.cancel(light), "it does not wait any more"

    assert len(scheduler) == 1, "there is somebody to be told"
    assert scheduler.wake_at(0.0) == 0.0
    assert told(scheduler) == [(light, Reason.SHED)]
    assert len(scheduler) == 0


def test_after_a_delay_the_heaviest_who_can_still_be_in_time_go() -> None:
    scheduler, first = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=2)
    light = [a_ticket(due * MS) for due in (15.0, 15.1, 15.2)]
    heavy = a_ticket(15.3 * MS, weight=3.0)
    scheduler.admit(0.0, [*light[:2], heavy, light[2]])

    take_back(scheduler, 8 * MS, first)

    assert picked(scheduler.pick(8 * MS)) == [light[0], heavy], "at 13 ms; the next is at 18"


def test_where_all_can_be_in_time_the_heavy_are_no_quicker() -> None:
    scheduler, first = a_busy_scheduler(max_batch=2)
    light, heavy = [a_ticket(0.5), a_ticket(0.6)], [a_ticket(0.7, weight=9.0)]
    scheduler.admit(0.0, [*light, *heavy])
    take_back(scheduler, 2.1 * MS, first)

    assert picked(scheduler.pick(2.1 * MS)) == light


@pytest.mark.parametrize(("weight", "saved"), [(1.0, False), (10.0, True)])
def test_a_small_batch_saves_one_who_is_worth_more_than_those_it_costs(
    weight: float, saved: bool
) -> None:
    """A batch of `n` takes `1 + n` ms: two are back in time, and the six after them are not."""
    scheduler = a_scheduler(base=1 * MS, per_row=1 * MS)
    tight, loose = a_ticket(3.5 * MS, weight=weight), [a_ticket(9.5 * MS) for _ in range(7)]
    assert scheduler.admit(0.0, [tight, *loose]) == []

    assert picked(scheduler.pick(0.0)) == ([tight, loose[0]] if saved else loose)


def test_who_asks_again_is_worth_half() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=1)
    again, fresh = a_ticket(retried=True), a_ticket()

    assert scheduler.enter(0.0, again) is None
    assert again.weight == 0.5
    assert scheduler.enter(0.0, fresh) is None
    assert told(scheduler) == [(again, Reason.SHED)]
    assert scheduler.enter(0.0, a_ticket(retried=True)) is not None, "it is no reason for fresh"
    assert scheduler.enter(0.0, a_ticket(weight=4.0, retried=True)) is None, "but 4 is, halved"
