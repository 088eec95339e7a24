"""First come, first served, by the rules of Triton's dynamic batcher. Time in seconds."""

import math
from collections.abc import Hashable
from typing import Any

import pytest

from inferd.inference.scheduling import (
    Drop,
    Fifo,
    LatencyModel,
    Level,
    Policy,
    Reason,
    Run,
    Ticket,
    buckets_of,
)

MS = 0.001


def a_fifo(*, drop_expired: bool = False, **policy: Any) -> Fifo:
    rules = Policy(**{"max_batch": 8, **policy})
    latency = LatencyModel(buckets_of(rules.max_batch, rules.preferred))
    for bucket in latency.buckets:
        latency.seed(bucket, 2 * MS + 0.5 * MS * bucket)
    return Fifo(rules, latency, drop_expired=drop_expired)


def a_ticket(at: float = 0.0, *, due: float = 1000.0, **rest: Any) -> Ticket:
    return Ticket(**{"rows": 1, "deadline": due, "arrived": at, **rest})


def enter(fifo: Fifo, *tickets: Ticket) -> list[Drop]:
    return [drop for ticket in tickets if (drop := fifo.enter(ticket.arrived, ticket))]


def picked(run: Run | None) -> list[Ticket]:
    assert run is not None, "nothing was picked"
    return list(run.tickets)


def test_first_come_first_served_whatever_the_deadlines() -> None:
    fifo = a_fifo(max_batch=2)
    tickets = [a_ticket(due=due) for due in (9.0, 5.0, 1.0)]
    enter(fifo, *tickets)

    run = fifo.pick(0.0)

    assert picked(run) == tickets[:2]
    assert run is not None
    assert run.closed == "full"
    assert fifo.pick(0.0) is None, "the only instance is busy"
    assert (len(fifo), fifo.running) == (1, 1)
    fifo.finished(0.003, run)
    assert picked(fifo.pick(0.003)) == tickets[2:]


def test_a_late_one_runs_like_any_other() -> None:
    fifo, late = a_fifo(), a_ticket(due=0.001)
    enter(fifo, late)

    assert fifo.given_up(5.0) == []
    assert picked(fifo.pick(5.0)) == [late]


def test_who_has_expired_is_left_out_when_a_batch_is_made_up_if_told_so() -> None:
    fifo = a_fifo(max_batch=2, drop_expired=True)
    late, fine = [a_ticket(due=0.5), a_ticket(due=0.4)], [a_ticket(due=9.0), a_ticket(due=8.0)]
    enter(fifo, late[0], fine[0], late[1], fine[1])

    assert fifo.given_up(1.0) == [], "not before"
    assert picked(fifo.pick(1.0)) == fine, "their places go to others"

    assert len(fifo) == 2, "they are still to be told"
    assert fifo.wake_at(1.0) == 1.0
    assert [(drop.ticket, drop.reason) for drop in fifo.given_up(1.0)] == [
        (late[0], Reason.LATE_DROP),
        (late[1], Reason.LATE_DROP),
    ]
    assert len(fifo) == 0


def test_nobody_is_dropped_who_is_behind_the_batch() -> None:
    fifo = a_fifo(max_batch=2, drop_expired=True)
    fine, late = [a_ticket(), a_ticket()], a_ticket(due=1.0)
    enter(fifo, *fine, late)

    run = fifo.pick(1.0)

    assert picked(run) == fine
    assert fifo.given_up(1.0) == []
    assert run is not None
    fifo.finished(1.0, run, learn=False)
    assert fifo.pick(1.0) is None, "its deadline is now: it cannot be in time"
    assert [drop.ticket for drop in fifo.given_up(1.0)] == [late]


def test_nobody_runs_when_all_have_expired() -> None:
    fifo = a_fifo(drop_expired=True)
    enter(fifo, a_ticket(due=0.5), a_ticket(due=0.5))

    assert fifo.pick(1.0) is None
    assert len(fifo.given_up(1.0)) == 2


def test_a_run_at_once_is_refused_to_who_has_expired_if_told_so() -> None:
    late, fine = a_ticket(due=1.0), a_ticket(due=1.1)
    fifo = a_fifo(drop_expired=True)

    assert fifo.run_at_once(1.0, late) == Drop(late, Reason.LATE_DROP)
    assert isinstance(fifo.run_at_once(1.0, fine), Run)
    assert isinstance(a_fifo().run_at_once(1.0, late), Run)


def test_a_full_queue_refuses_and_says_how_long_it_takes() -> None:
    fifo = a_fifo(max_queue=9)
    enter(fifo, *[a_ticket() for _ in range(9)])

    (drop,) = enter(fifo, a_ticket())

    assert drop.reason is Reason.QUEUE_FULL
    assert drop.retry_after_s == pytest.approx(12 * MS), "two batches of at most 6 ms"


def test_who_has_left_does_not_count_as_waiting() -> None:
    fifo = a_fifo(max_batch=1, max_queue=2)
    enter(fifo, a_ticket(), a_ticket())
    assert fifo.pick(0.0)
    enter(fifo, a_ticket())

    (drop,) = enter(fifo, a_ticket())

    assert drop.retry_after_s == pytest.approx(5 * MS), "two that wait, 2.5 ms each"


def test_a_level_can_have_a_bound_of_its_own() -> None:
    fifo = a_fifo(levels=2, limits={2: Level(max_queue=1)})
    enter(fifo, a_ticket(level=2))

    assert [drop.reason for drop in enter(fifo, a_ticket(level=2))] == [Reason.QUEUE_FULL]
    assert enter(fifo, a_ticket(level=1), a_ticket(level=1)) == []


def test_the_first_waits_for_company_as_long_as_it_is_told_to() -> None:
    fifo = a_fifo(max_delay_s=0.005)
    first = a_ticket(1.0)
    enter(fifo, first)

    assert fifo.pick(1.0) is None
    assert fifo.wake_at(1.0) == 1.005
    second = a_ticket(1.004)
    enter(fifo, second)
    assert fifo.pick(1.004) is None

    run = fifo.pick(1.005)
    assert picked(run) == [first, second]
    assert run is not None
    assert run.closed == "delay"
    assert fifo.wake_at(1.005) == math.inf, "nobody waits"
    enter(fifo, a_ticket(1.005))
    assert fifo.wake_at(1.005) == math.inf, "the instance is busy"


def test_the_oldest_of_all_shapes_and_levels_says_how_long_to_wait() -> None:
    fifo = a_fifo(max_delay_s=0.005, levels=2)
    enter(fifo, a_ticket(1.0, level=2, key="a"), a_ticket(1.001, level=1, key="a"))
    enter(fifo, a_ticket(1.002, level=1, key="b"))

    assert fifo.wake_at(1.002) == 1.005
    assert len(picked(fifo.pick(1.005))) == 2


def test_a_full_batch_does_not_wait() -> None:
    fifo = a_fifo(max_batch=2, max_delay_s=1.0)
    enter(fifo, a_ticket(), a_ticket(), a_ticket())

    assert len(picked(fifo.pick(0.0))) == 2


def test_who_has_waited_enough_in_a_full_batch_leaves_because_it_is_full() -> None:
    fifo = a_fifo(max_delay_s=1.0, preferred=(2,))
    enter(fifo, *[a_ticket() for _ in range(8)])

    run = fifo.pick(1.0)

    assert len(picked(run)) == 8
    assert run is not None
    assert run.closed == "full"


def test_a_size_between_two_that_are_preferred_waits() -> None:
    fifo = a_fifo(max_delay_s=1.0, preferred=(2, 6))
    enter(fifo, a_ticket(rows=3), a_ticket(rows=1))

    assert fifo.pick(0.0) is None


def test_exactly_a_preferred_size_is_not_called_full() -> None:
    fifo = a_fifo(max_delay_s=1.0, preferred=(2, 4))
    enter(fifo, a_ticket(), a_ticket())

    run = fifo.pick(0.0)

    assert run is not None
    assert (run.rows, run.closed) == (2, "preferred")


def test_a_preferred_size_does_not_wait_and_takes_no_more() -> None:
    fifo = a_fifo(max_delay_s=1.0, preferred=(2, 4))
    enter(fifo, *[a_ticket() for _ in range(3)])

    run = fifo.pick(0.0)

    assert len(picked(run)) == 2
    assert run is not None
    assert run.closed == "preferred"


def test_the_largest_preferred_size_wins_until_the_wait_is_over() -> None:
    fifo = a_fifo(max_delay_s=1.0, preferred=(2, 4), instances=2)
    enter(fifo, *[a_ticket() for _ in range(7)])

    assert len(picked(fifo.pick(0.5))) == 4
    assert len(picked(fifo.pick(1.0))) == 3, "all who are there, once the first has waited enough"


def test_preferred_sizes_count_rows() -> None:
    fifo = a_fifo(preferred=(4,), max_delay_s=1.0)
    tickets = [a_ticket(rows=3), a_ticket(rows=3)]
    enter(fifo, *tickets)

    assert picked(fifo.pick(0.0)) == tickets[:1], "both are more than is preferred"


def test_without_a_delay_an_idle_instance_takes_what_is_there() -> None:
    fifo = a_fifo(instances=2)
    tickets = [a_ticket() for _ in range(3)]
    enter(fifo, *tickets)

    run = fifo.pick(0.0)

    assert picked(run) == tickets
    assert run is not None
    assert run.closed == "idle"


def test_a_request_is_not_split_over_batches() -> None:
    fifo = a_fifo(max_delay_s=1.0)
    tickets = [a_ticket(rows=5), a_ticket(rows=5), a_ticket(rows=1)]
    enter(fifo, *tickets)

    run = fifo.pick(0.0)

    assert picked(run) == tickets[:1], "and nobody overtakes"
    assert run is not None
    assert run.closed == "full"


def test_only_like_shapes_share_a_batch_and_the_oldest_shape_goes_first() -> None:
    fifo = a_fifo(instances=2)
    tickets = [a_ticket(key="wide"), a_ticket(key="narrow"), a_ticket(key="wide")]
    enter(fifo, *tickets)

    assert picked(fifo.pick(0.0)) == [tickets[0], tickets[2]]
    assert picked(fifo.pick(0.0)) == [tickets[1]]


def test_the_most_urgent_level_goes_first() -> None:
    fifo = a_fifo(max_batch=2, levels=3)
    tickets = [a_ticket(level=level) for level in (3, 1, 2)]
    enter(fifo, *tickets)

    assert picked(fifo.pick(0.0)) == tickets[1:]


def test_a_timeout_is_an_age_in_the_queue_of_its_level() -> None:
    fifo = a_fifo(levels=2, limits={1: Level(timeout_s=0.5)}, max_delay_s=9.0)
    old, young, patient = a_ticket(0.0, level=1), a_ticket(0.3, level=1), a_ticket(0.0, level=2)
    enter(fifo, old, young, patient)

    assert fifo.wake_at(0.3) == 0.5
    assert fifo.given_up(0.49) == []
    assert [(drop.ticket, drop.reason) for drop in fifo.given_up(0.5)] == [(old, Reason.LATE_DROP)]
    assert [drop.ticket for drop in fifo.given_up(2.0)] == [young]
    assert len(fifo) == 1


def test_who_times_out_while_the_instance_is_busy_is_told_then() -> None:
    fifo = a_fifo(default_limits=Level(timeout_s=0.5))
    enter(fifo, a_ticket())
    assert fifo.pick(0.0)
    enter(fifo, a_ticket(0.1))

    assert fifo.wake_at(0.1) == 0.6
    assert len(fifo.given_up(0.6)) == 1


def test_a_timeout_that_delays_puts_a_request_behind_the_others_of_its_level() -> None:
    fifo = a_fifo(max_batch=1, levels=2, default_limits=Level(delays=True))
    tickets = [a_ticket(level=1), a_ticket(level=1), a_ticket(level=2)]
    tickets[0].yields_at = 0.5
    enter(fifo, *tickets)

    assert fifo.wake_at(0.0) == 0.5
    assert fifo.given_up(0.5) == []
    assert fifo.wake_at(0.5) == math.inf, "nobody is put back twice"
    order: list[Ticket] = []
    while (run := fifo.pick(1.0)) is not None:
        order += run.tickets
        fifo.finished(1.0, run, learn=False)
    assert order == [tickets[1], tickets[0], tickets[2]]


def test_who_leaves_the_queue_is_forgotten() -> None:
    fifo = a_fifo(levels=2)
    stays, goes = [a_ticket(level=2), a_ticket(level=2)], a_ticket(level=2)
    enter(fifo, stays[0], goes, stays[1])

    assert fifo.cancel(goes)
    assert not fifo.cancel(goes)
    assert not fifo.cancel(a_ticket(level=1))
    assert not fifo.cancel(a_ticket(level=3))
    assert not fifo.cancel(a_ticket(key="other"))
    assert len(fifo) == 2
    assert picked(fifo.pick(0.0)) == stays
    assert not fifo.cancel(stays[0]), "it runs"


def test_a_run_at_once_where_nobody_waits() -> None:
    fifo, ticket = a_fifo(), a_ticket()

    run = fifo.run_at_once(0.0, ticket)

    assert isinstance(run, Run)
    assert run.tickets == (ticket,)
    assert fifo.run_at_once(0.0, a_ticket()) is None, "the instance is busy"
    fifo.finished(0.001, run)
    enter(fifo, a_ticket())
    assert fifo.run_at_once(0.001, a_ticket()) is None, "somebody waits"


def test_no_run_at_once_where_the_first_waits_for_company() -> None:
    assert a_fifo(max_delay_s=0.005).run_at_once(0.0, a_ticket()) is None


def test_ordered_batches_run_one_at_a_time() -> None:
    fifo = a_fifo(max_batch=1, instances=2, preserve_ordering=True)
    enter(fifo, a_ticket(), a_ticket())

    assert fifo.pick(0.0)
    assert fifo.pick(0.0) is None


class Noting(LatencyModel):
    """Notes what it is told."""

    def __init__(self) -> None:
        super().__init__((1,))
        self.told: list[tuple[int, float]] = []

    def observe(self, rows: int, seconds: float, shape: Hashable = None) -> None:
        self.told.append((rows, seconds))


def test_the_latency_model_learns_but_for_runs_that_say_nothing() -> None:
    latency = Noting()
    fifo = Fifo(Policy(), latency)
    for learn in (False, True):
        enter(fifo, a_ticket())
        run = fifo.pick(1.0)
        assert run is not None
        fifo.finished(1.5, run, learn=learn)

    assert latency.told == [(1, 0.5)], "of the second"


def test_a_run_says_when_it_is_expected_to_end() -> None:
    fifo = a_fifo()
    enter(fifo, a_ticket(rows=4))

    run = fifo.pick(1.0)

    assert run is not None
    assert run.predicted_s == pytest.approx(4 * MS)
    assert run.ends_at == pytest.approx(1.004)


def test_as_many_batches_run_as_there_are_instances() -> None:
    fifo = a_fifo(max_batch=1, instances=2)
    fifo.resize(1)
    tickets = [a_ticket(), a_ticket(), a_ticket()]
    enter(fifo, *tickets)

    assert picked(fifo.pick(0.0)) == [tickets[0]]
    assert fifo.pick(0.0) is None
    fifo.resize(2)
    assert picked(fifo.pick(0.0)) == [tickets[1]]
    assert fifo.waiting() == [tickets[2]]


def test_where_order_is_to_be_preserved_one_batch_runs_at_a_time() -> None:
    fifo = a_fifo(max_batch=1, instances=2, preserve_ordering=True)
    fifo.resize(2)
    enter(fifo, a_ticket(), a_ticket())

    assert fifo.pick(0.0) is not None
    assert fifo.pick(0.0) is None
