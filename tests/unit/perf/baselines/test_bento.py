"""BentoML: the cork, and the predictive drop of the oldest."""

import math

import pytest

from inferd_perf.simulation.baselines.bento import KEPT, Bento
from unit.perf.baselines.rules import MS, a_setting, a_ticket, dropped, enter, leaves, serve


def a_corked(*, decay: float = 1.0) -> Bento:
    """Whose batches have waited for 60 ms each: the average that a cork is weighed against."""
    policy = Bento(a_setting(1000.0), share=1.0, decay=decay, refit_s=0.0)
    for at in range(KEPT):
        ticket = a_ticket(5000.0, at_ms=10.0 * at - 60.0)
        policy.enter(0.0, ticket)
        run = policy.pick(10.0 * at * MS) or policy.pick(10.0 * at * MS + 1.0)
        assert run is not None
        run.picked_at = 10.0 * at * MS
        policy.finished(run.picked_at + 2.5 * MS, run)
    return policy


def test_a_batch_is_corked_while_company_is_worth_the_wait() -> None:
    policy, now_ms = a_corked(), 1000.0
    first = a_ticket(5000.0, at_ms=now_ms)
    enter(policy, first)

    assert leaves(policy, now_ms) == []
    assert policy.wake_at(now_ms * MS) == pytest.approx((now_ms + 1) * MS), "the next poll"
    assert leaves(policy, now_ms + 100) == [first], "nobody came"


def test_the_more_there_are_the_sooner_the_cork_is_out() -> None:
    policy, now_ms = a_corked(), 1000.0
    tickets = [a_ticket(5000.0, at_ms=now_ms) for _ in range(4)]
    enter(policy, *tickets)

    assert leaves(policy, now_ms) == []
    assert leaves(policy, now_ms + 20) == tickets, "four times 20 ms are more than 60"


def test_a_full_batch_is_not_corked() -> None:
    policy, now_ms = a_corked(), 1000.0
    tickets = [a_ticket(5000.0, at_ms=now_ms) for _ in range(8)]
    enter(policy, *tickets)

    assert leaves(policy, now_ms) == tickets


def test_without_a_history_of_waiting_there_is_no_cork() -> None:
    policy, ticket = Bento(a_setting(20.0)), a_ticket()
    enter(policy, ticket)

    assert leaves(policy, 0.0) == [ticket]


def test_the_oldest_is_dropped_when_all_together_would_make_it_late() -> None:
    policy = Bento(a_setting(20.0), share=1.0)
    enter(policy, a_ticket())
    assert leaves(policy, 0.0)
    oldest, others = a_ticket(), [a_ticket(at_ms=5.0) for _ in range(7)]
    enter(policy, oldest, *others)

    assert policy.wake_at(5 * MS) == pytest.approx(14 * MS), "eight take 6 of 20 ms"
    assert dropped(policy, 13.9) == []
    assert dropped(policy, 14.1) == [oldest]


def test_who_waits_alone_is_dropped_only_when_its_time_is_over_and_it_cannot_run() -> None:
    policy = Bento(a_setting(20.0), share=1.0)
    enter(policy, a_ticket())
    run = policy.pick(0.0)
    assert run is not None
    alone = a_ticket()
    enter(policy, alone)

    assert policy.wake_at(10 * MS) == pytest.approx(20 * MS)
    assert dropped(policy, 19.9) == []
    policy.finished(19.9 * MS, run)
    assert policy.wake_at(19.9 * MS) == math.inf
    assert leaves(policy, 25.0) == [alone]


def test_the_line_follows_the_runs() -> None:
    policy = Bento(a_setting(40.0), share=1.0, refit_s=0.0)
    for at in range(KEPT):
        rows = 1 + at % 8
        tickets = [a_ticket(at_ms=100.0 * at) for _ in range(rows)]
        serve(policy, 100.0 * at, for_ms=4 + 1.0 * rows, tickets=tickets)
    at_ms = 100.0 * KEPT
    enter(policy, *[a_ticket(at_ms=at_ms) for _ in range(9)])
    assert len(leaves(policy, at_ms)) == 8
    enter(policy, *[a_ticket(at_ms=at_ms) for _ in range(5)])

    assert policy.wake_at(at_ms * MS) == pytest.approx((at_ms + 40 - 10) * MS), "4 + 6 ms"
