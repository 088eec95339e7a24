"""Nexus: a window slides over the queue until all in it can be in time."""

import pytest

from inferd_perf.simulation.baselines.nexus import Nexus
from unit.perf.baselines.rules import MS, a_setting, a_ticket, dropped, enter, leaves, serve


def test_the_head_is_dropped_for_the_sake_of_the_batch_although_it_could_run_alone() -> None:
    policy = Nexus(a_setting(20.0), share=0.5)
    tight, others = a_ticket(5.0), [a_ticket(50.0) for _ in range(8)]
    enter(policy, tight, *others)

    assert leaves(policy, 0.0) == others, "eight take 6 ms; alone it would have taken 2.5"

    assert policy.wake_at(0.0) == 0.0, "who is dropped is to be told"
    assert dropped(policy, 0.0) == [tight]
    assert len(policy) == 0


def test_a_short_queue_shrinks_the_window() -> None:
    policy = Nexus(a_setting(20.0), share=0.5)
    tight = a_ticket(3.0)
    enter(policy, tight)

    assert leaves(policy, 0.0) == [tight], "2.5 ms: nobody else is there to wait for"


def test_the_window_shrinks_when_dropping_leaves_too_few() -> None:
    policy = Nexus(a_setting(20.0), share=0.5)
    hopeless, tight, patient = a_ticket(2.0), a_ticket(3.2), a_ticket(9.0)
    enter(policy, hopeless, tight, patient)

    assert leaves(policy, 0.0) == [tight, patient], "without the first they take 3 ms, not 3.5"
    assert dropped(policy, 0.0) == [hopeless]


@pytest.mark.parametrize(("deadline_ms", "target"), [(20.0, 8), (8.2, 4), (4.0, 1)])
def test_a_run_may_take_half_of_the_deadline(deadline_ms: float, target: int) -> None:
    assert Nexus(a_setting(deadline_ms), share=0.5).target == target


def test_the_way_home_is_kept_back() -> None:
    policy, tight = Nexus(a_setting(20.0), share=0.5), a_ticket(3.0)
    policy.answered(0.5 * MS)
    enter(policy, tight)

    assert leaves(policy, 0.0) == []
    assert dropped(policy, 0.0) == [tight]


def test_nobody_is_dropped_while_the_executor_is_busy() -> None:
    policy, late = Nexus(a_setting(20.0), share=0.5), a_ticket(1.0)
    enter(policy, a_ticket())
    assert leaves(policy, 0.0)
    enter(policy, late)

    assert dropped(policy, 2.0) == []
    assert len(policy) == 1


def test_a_bad_hour_does_not_keep_everybody_out_for_ever() -> None:
    policy = Nexus(a_setting(20.0), share=0.5)
    for at_ms in (0.0, 100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0):
        serve(policy, at_ms, for_ms=80.0, tickets=[a_ticket(at_ms=at_ms)])
    refused, again = a_ticket(820.0, at_ms=800.0), a_ticket(1900.0, at_ms=1880.0)
    enter(policy, refused)
    assert leaves(policy, 800.0) == []
    assert dropped(policy, 800.0) == [refused]

    enter(policy, again)
    assert leaves(policy, 1880.0) == [again], "nothing has confirmed it for a second"
