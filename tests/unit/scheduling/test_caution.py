"""How careful the door is, learnt from those whom it let in and who came too late."""

import random

import pytest

from inferd.inference.scheduling import Run, Scheduler
from inferd.inference.scheduling.caution import MISS_RATE, Caution
from support.scheduling import MS, a_scheduler, a_ticket, take_back


def test_it_begins_without() -> None:
    assert Caution().share == 0.0


def test_who_came_too_late_adds_to_it_and_all_who_are_served_take_a_little() -> None:
    caution = Caution()

    caution.lost(3)
    assert caution.share == pytest.approx(0.03)
    caution.served(100)
    assert caution.share == pytest.approx(0.025)
    caution.lost(1)
    assert caution.share == pytest.approx(0.035)


def test_it_has_bounds() -> None:
    caution = Caution()

    caution.lost(10_000)
    assert caution.share == 0.25, "of a full batch's time"
    caution.served(1_000_000)
    assert caution.share == 0.0


@pytest.mark.parametrize("usual", [0.02, 0.1, 0.2])
def test_one_in_two_hundred_comes_too_late_in_the_long_run(usual: float) -> None:
    """Forecasts are off by twice `usual` at most; who was let in with less caution is late."""
    rng, caution, late = random.Random(2), Caution(), 0
    for _ in range(40_000):
        if usual * rng.random() > caution.share:
            late += 1
            caution.lost(1)
        else:
            caution.served(1)

    assert late / 40_000 == pytest.approx(MISS_RATE, rel=0.15)


def test_after_losses_the_door_is_closed_earlier() -> None:
    def admits(scheduler: Scheduler, now: float, due: float) -> bool:
        ticket = a_ticket(now + due, arrived=now)
        admitted = scheduler.enter(now, ticket) is None
        scheduler.cancel(ticket)
        return admitted

    scheduler = a_scheduler(base=10 * MS, per_row=0.0, max_batch=1)
    scheduler.enter(0.0, a_ticket(24 * MS))
    run = scheduler.pick(0.0)
    assert run
    assert admits(scheduler, 1 * MS, 20 * MS), "it will be answered in 19 ms"
    for _ in range(5):
        assert scheduler.enter(1 * MS, a_ticket(23 * MS, arrived=1 * MS)) is None
        assert len(scheduler.given_up(14 * MS)) == 1, "the run takes longer than it should"

    take_back(scheduler, 15 * MS, run)
    scheduler.enter(15 * MS, a_ticket(39 * MS, arrived=15 * MS))
    run = scheduler.pick(15 * MS)
    assert run
    assert not admits(scheduler, 16 * MS, 19.4 * MS), "5 late: a twentieth of 10 ms more"
    assert admits(scheduler, 16 * MS, 19.6 * MS)
    take_back(scheduler, 25 * MS, run)
    for _ in range(1000):
        alone = scheduler.run_at_once(25 * MS, a_ticket(49 * MS, arrived=25 * MS))
        assert isinstance(alone, Run)
        take_back(scheduler, 25 * MS, alone)
    assert scheduler.run_at_once(25 * MS, a_ticket(49 * MS, arrived=25 * MS))
    assert admits(scheduler, 26 * MS, 19.1 * MS), "a thousand in time: that is forgotten"
