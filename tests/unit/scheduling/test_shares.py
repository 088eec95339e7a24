"""Callers get equal shares, or those that are configured, where there is not enough for all."""

import math
import random
from collections import Counter

import pytest

from inferd.inference.scheduling import Reason, Run, Scheduler, Ticket
from inferd.inference.scheduling.eviction import Eviction
from inferd.inference.scheduling.queue import Queue
from support.scheduling import (
    MS,
    a_busy_scheduler,
    a_scheduler,
    a_ticket,
    order_of,
    picked,
    take_back,
)


def entered(scheduler: Scheduler, *callers: str | None) -> list[bool]:
    return [scheduler.enter(0.0, a_ticket(caller=caller)) is None for caller in callers]


def waiting(scheduler: Scheduler, run: Run) -> dict[object, int]:
    """Return how many wait of each caller, by running them all."""
    scheduler.given_up(0.0)
    take_back(scheduler, 2.1 * MS, run)
    return dict(Counter(ticket.caller for ticket in order_of(scheduler, 2.1 * MS)))


def test_who_has_the_most_waiting_makes_room() -> None:
    scheduler, run = a_busy_scheduler(max_queue=4)

    assert entered(scheduler, "a", "a", "a", "b", "c") == [True] * 5

    (drop,) = scheduler.given_up(0.0)
    assert drop.ticket.caller == "a"
    assert drop.reason == Reason.SHED
    assert waiting(scheduler, run) == {"a": 2, "b": 1, "c": 1}


def test_nobody_gets_more_than_those_who_make_room_keep() -> None:
    scheduler, run = a_busy_scheduler(max_queue=4)

    assert entered(scheduler, *"aaaabbb") == [True] * 6 + [False]
    assert entered(scheduler, "a") == [False], "now it has its share"
    assert waiting(scheduler, run) == {"a": 2, "b": 2}


def test_of_the_longest_queue_the_latest_goes() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=3)
    tickets = [a_ticket(1.0 + at, caller="a") for at in range(3)]
    scheduler.admit(0.0, tickets)

    scheduler.enter(0.0, a_ticket(9.0, caller="b"))

    assert [drop.ticket for drop in scheduler.given_up(0.0)] == tickets[2:]


def test_a_share_of_two_is_twice_as_much() -> None:
    scheduler, run = a_busy_scheduler(max_queue=6, shares={"a": 2.0})

    assert entered(scheduler, *"aaaaaa", *"bb") == [True] * 8
    assert entered(scheduler, "b") == [False]
    assert entered(scheduler, "a") == [False]
    assert waiting(scheduler, run) == {"a": 4, "b": 2}


def test_a_share_of_two_may_take_from_the_others() -> None:
    scheduler, run = a_busy_scheduler(max_queue=6, shares={"a": 2.0})

    assert entered(scheduler, *"bbbbbb", *"aaaaa") == [True] * 10 + [False]
    assert waiting(scheduler, run) == {"a": 4, "b": 2}


def test_all_who_do_not_say_who_they_are_share_one_share() -> None:
    scheduler, run = a_busy_scheduler(max_queue=4)

    assert entered(scheduler, None, None, None, None, "b", "b", "b") == [True] * 6 + [False]
    assert waiting(scheduler, run) == {None: 2, "b": 2}


def test_large_requests_count_for_their_rows() -> None:
    scheduler, _ = a_busy_scheduler(max_queue=2)
    large, small = a_ticket(rows=4, caller="a"), a_ticket(rows=1, caller="b")
    scheduler.admit(0.0, [large, small])

    assert scheduler.enter(0.0, a_ticket(rows=3, caller="c")) is None
    assert [drop.ticket for drop in scheduler.given_up(0.0)] == [large]


def an_eviction(*waiting: Ticket) -> Eviction:
    queue = Queue(by_arrival=False)
    for ticket in waiting:
        queue.insert(queue.place(ticket), ticket)
    return Eviction(queue, {})


def test_a_caller_loses_no_more_than_down_to_what_the_other_would_have() -> None:
    eviction = an_eviction(*(a_ticket(caller="a") for _ in range(8)))

    assert eviction.in_favour_of(a_ticket(rows=4, caller="b"), range(8)) == [4, 5, 6, 7]
    assert eviction.in_favour_of(a_ticket(rows=5, caller="b"), range(8)) == []


def test_a_caller_who_has_lost_enough_is_passed_over() -> None:
    callers = "aaaaabbbb"
    eviction = an_eviction(*(a_ticket(1.0 + at, caller=who) for at, who in enumerate(callers)))

    assert eviction.in_favour_of(a_ticket(rows=3, caller="c"), range(9)) == [3, 4, 8]


def test_the_lighter_are_not_protected_by_their_shares() -> None:
    eviction = an_eviction(a_ticket(caller="a", weight=0.5), a_ticket(caller="a", weight=0.5))

    assert eviction.in_favour_of(a_ticket(rows=2, caller="b"), range(2)) == [0, 1]


def test_the_heavier_stay_however_many_there_are_of_a_caller() -> None:
    eviction = an_eviction(*(a_ticket(caller="a", weight=2.0) for _ in range(9)))

    assert eviction.in_favour_of(a_ticket(caller="b"), range(9)) == []


def test_only_those_are_asked_to_go_who_may() -> None:
    eviction = an_eviction(*(a_ticket(1.0 + at, caller="a") for at in range(4)))

    assert eviction.in_favour_of(a_ticket(caller="b"), range(2)) == [1]


def test_from_an_empty_queue_nobody_goes() -> None:
    assert an_eviction().in_favour_of(a_ticket(weight=9.0), []) == []


def test_when_a_batch_cannot_take_all_callers_take_turns() -> None:
    scheduler, first = a_busy_scheduler(base=5 * MS, per_row=0.0, max_batch=4)
    bulk = [a_ticket(13 * MS, caller="a") for _ in range(4)]
    single = [a_ticket(13.1 * MS, caller=caller) for caller in "bc"]
    for ticket in (*bulk, *single):
        scheduler.enter(0.0, ticket)
    scheduler.given_up(0.0)

    take_back(scheduler, 7 * MS, first)
    run = scheduler.pick(7 * MS)

    assert Counter(ticket.caller for ticket in picked(run)) == {"a": 2, "b": 1, "c": 1}


@pytest.mark.parametrize(
    ("deadlines_s", "least"), [((0.050,), 0.95), ((0.025,), 0.85), ((0.025, 0.050), 0.85)]
)
def test_a_bulk_client_does_not_starve_the_others(
    deadlines_s: tuple[float, ...], least: float
) -> None:
    """One asks for four times the capacity, two for a quarter of it each: below their shares."""
    loads = {"bulk": 4.0, "b": 0.25, "c": 0.25}

    in_time = success(loads, deadlines_s)
    nameless = success(loads, deadlines_s, named=False)

    for caller in "bc":
        assert in_time[caller] >= least
        assert nameless[caller] <= 0.5, "so much depends on who asks"
    assert 4.0 * in_time["bulk"] >= 0.5, "and what they leave is the bulk client's"


def success(
    loads: dict[str, float], deadlines_s: tuple[float, ...], *, named: bool = True
) -> dict[str, float]:
    """Return the share of each caller's requests answered in time. Load 1.0 is the capacity."""
    scheduler = a_scheduler(base=4 * MS, per_row=0.5 * MS)
    whose = arrivals(loads, deadlines_s, named=named)
    tickets, good = sorted(whose, key=lambda ticket: ticket.arrived), Counter[str]()
    run: Run | None = None
    now, at = 0.0, 0
    while at < len(tickets) or run or len(scheduler):
        ends = run.picked_at + run.predicted_s if run else math.inf
        comes = tickets[at].arrived if at < len(tickets) else math.inf
        now = max(now, min(ends, comes, scheduler.wake_at(now)))
        if run and ends <= now:
            good.update(whose[each] for each in run.tickets if now <= each.deadline)
            take_back(scheduler, now, run)
            run = None
        if comes <= now:
            scheduler.enter(now, tickets[at])
            at += 1
        scheduler.given_up(now)
        run = run or scheduler.pick(now)
    offered = Counter(whose.values())
    return {caller: good[caller] / offered[caller] for caller in loads}


def arrivals(
    loads: dict[str, float], deadlines_s: tuple[float, ...], *, named: bool
) -> dict[Ticket, str]:
    rng, whose = random.Random(5), {}
    for caller, load in loads.items():
        now = 0.0
        while now < 0.4:
            now += rng.expovariate(load * 8 / (8 * MS))
            due = now + rng.choice(deadlines_s)
            whose[a_ticket(due, arrived=now, caller=caller if named else None)] = caller
    return whose
