"""What is kept back from a deadline, so that an answer does not leave too late to arrive."""

import pytest

from inferd.inference.scheduling import LatencyModel, Policy, Reason, Scheduler, Ticket
from inferd.inference.scheduling.way_home import LEGS, MOST_S, WayHome

MS = 0.001


def test_an_idle_server_keeps_back_what_is_configured() -> None:
    assert WayHome(0.5 * MS).seconds == 0.5 * MS


def test_a_long_way_counts_at_once_and_is_forgotten_slowly() -> None:
    home = WayHome(0.5 * MS)

    home.note(2 * MS)
    assert home.seconds == pytest.approx((0.5 + 2 * LEGS) * MS)
    for _ in range(10):
        home.note(0.0)
    assert 1.0 * MS < home.seconds < 3.0 * MS
    for _ in range(100):
        home.note(0.0)
    assert home.seconds == pytest.approx(0.5 * MS, rel=0.01)


def test_one_hiccup_is_bounded() -> None:
    home = WayHome(0.5 * MS)

    home.note(1.0)

    assert home.seconds == pytest.approx(0.5 * MS + MOST_S)


def test_who_would_be_late_on_the_way_home_is_refused() -> None:
    latency = LatencyModel((1,))
    latency.seed(1, 5 * MS)
    scheduler = Scheduler(Policy(guard_s=0.0), latency)

    def asked(now: float) -> list[Reason]:
        ticket = Ticket(rows=1, deadline=now + 8 * MS, arrived=now)
        return [drop.reason for drop in scheduler.admit(now, [ticket])]

    scheduler.answered(4 * MS)
    assert asked(0.0) == [Reason.INFEASIBLE]

    for _ in range(50):
        scheduler.answered(0.0)
    assert asked(0.1) == []


def test_a_long_way_that_nothing_confirms_is_doubted() -> None:
    latency = LatencyModel((1,))
    latency.seed(1, 5 * MS)
    scheduler = Scheduler(Policy(guard_s=0.0), latency)
    scheduler.answered(1.0)

    refused = 0
    for second in range(60):
        now = 10.0 + second
        ticket = Ticket(rows=1, deadline=now + 8 * MS, arrived=now)
        refused += len(scheduler.admit(now, [ticket]))
        if len(scheduler):
            break

    assert 0 < refused < 30
