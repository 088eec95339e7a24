"""DELAY: who has waited too long goes behind the others of its level, and no further."""

import math

import pytest

from inferd.inference.scheduling import Level, Reason, Ticket
from support.scheduling import MS, a_busy_scheduler, a_scheduler, a_ticket, order_of, picked

DELAYS = Level(delays=True)


def yielding(due: float, at: float, **rest: int) -> Ticket:
    ticket = a_ticket(due, **rest)
    ticket.yields_at = at
    return ticket


def test_who_has_waited_too_long_goes_behind() -> None:
    scheduler, first = a_busy_scheduler(max_batch=1, default_limits=DELAYS)
    early, late = yielding(0.5, 5 * MS), yielding(0.9, 9 * MS)
    scheduler.admit(0.0, [early, late])

    assert scheduler.wake_at(0.0) == 5 * MS
    assert scheduler.given_up(4.9 * MS) == []
    assert [each.put_back for each in (early, late)] == [False, False]
    assert scheduler.given_up(5 * MS) == []
    assert [each.put_back for each in (early, late)] == [True, False]
    assert scheduler.wake_at(5 * MS) == 9 * MS, "the other's turn is next"

    scheduler.finished(6 * MS, first)
    assert order_of(scheduler, 6 * MS) == [late, early]


def test_nobody_is_put_back_twice() -> None:
    scheduler, first = a_busy_scheduler(max_batch=1, default_limits=DELAYS)
    tickets = [yielding(0.5, 5 * MS), yielding(0.9, 6 * MS)]
    scheduler.admit(0.0, tickets)
    scheduler.given_up(5 * MS)
    scheduler.given_up(6 * MS)
    scheduler.given_up(7 * MS)

    assert scheduler.wake_at(7 * MS) == pytest.approx(0.5 - 2.1 * MS), "when it would be too late"
    scheduler.finished(7 * MS, first)
    assert order_of(scheduler, 7 * MS) == tickets, "by their deadlines, as among the others"


def test_it_stays_ahead_of_the_next_level() -> None:
    scheduler, first = a_busy_scheduler(max_batch=1, levels=2, limits={1: DELAYS})
    back, same, below = yielding(0.5, 5 * MS, level=1), a_ticket(level=1), a_ticket(level=2)
    scheduler.admit(0.0, [back, same, below])
    scheduler.given_up(5 * MS)

    scheduler.finished(6 * MS, first)
    assert order_of(scheduler, 6 * MS) == [same, back, below]


def test_who_never_yields_stays_where_it_is() -> None:
    scheduler, first = a_busy_scheduler(max_batch=1, levels=2, limits={1: DELAYS})
    stays, other = a_ticket(0.5, level=2), a_ticket(0.9, level=2)
    scheduler.admit(0.0, [stays, other])

    assert scheduler.wake_at(0.0) == pytest.approx(0.5 - 2.1 * MS)
    scheduler.given_up(0.1)
    scheduler.finished(0.1, first)
    assert order_of(scheduler, 0.1) == [stays, other]


def test_who_has_been_put_back_is_still_given_up_before_its_deadline() -> None:
    scheduler, _ = a_busy_scheduler(base=5 * MS, per_row=0.0, default_limits=DELAYS)
    back, patient = yielding(12 * MS, 5 * MS), a_ticket(1.0)
    scheduler.admit(0.0, [back, patient])
    scheduler.given_up(5 * MS)

    wake = scheduler.wake_at(5 * MS)

    assert wake == pytest.approx(7 * MS)
    assert scheduler.given_up(wake - 0.1 * MS) == []
    assert [(drop.ticket, drop.reason) for drop in scheduler.given_up(wake)] == [
        (back, Reason.LATE_DROP)
    ]


def test_who_has_been_put_back_can_leave() -> None:
    scheduler, _ = a_busy_scheduler(default_limits=DELAYS)
    back, other = yielding(0.5, 5 * MS), a_ticket(0.9)
    scheduler.admit(0.0, [back, other])
    scheduler.given_up(5 * MS)

    assert scheduler.cancel(back)
    assert not scheduler.cancel(back)
    assert len(scheduler) == 1


def test_who_has_been_put_back_can_share_a_batch() -> None:
    scheduler, first = a_busy_scheduler(default_limits=DELAYS)
    back, other = yielding(0.5, 5 * MS), a_ticket(0.9)
    scheduler.admit(0.0, [back, other])
    scheduler.given_up(5 * MS)
    scheduler.finished(6 * MS, first)

    assert picked(scheduler.pick(6 * MS)) == [other, back]


def test_without_a_level_that_delays_nobody_is_put_back() -> None:
    scheduler = a_scheduler(max_delay_s=1.0)
    ticket = yielding(math.inf, 5 * MS)
    scheduler.enter(0.0, ticket)
    scheduler.given_up(0.5)

    assert not ticket.put_back
    assert scheduler.wake_at(0.5) == 1.0
