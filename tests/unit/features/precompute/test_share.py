"""What background work may take of a thread, and how its own part is told."""

import pytest

from inferd.features.precompute.share import CpuShare, OwnTime


def test_what_is_at_hand_may_be_spent_at_once() -> None:
    share = CpuShare(0.1, burst_s=0.004, now=5.0)

    assert share.wait_s(0.004, 5.0) == 0


def test_after_that_it_comes_back_at_the_rate_of_the_share() -> None:
    share = CpuShare(0.1, burst_s=0.004, now=5.0)

    share.spend(0.004, 5.0)

    assert share.wait_s(0.002, 5.0) == pytest.approx(0.02)
    assert share.wait_s(0.002, 5.021) == 0


def test_no_more_is_saved_up_than_the_burst() -> None:
    share = CpuShare(0.1, burst_s=0.004, now=0.0)

    share.spend(0.004, 1000.0)

    assert share.wait_s(0.004, 1000.0) == pytest.approx(0.04)


def test_work_larger_than_the_burst_may_be_done_and_is_paid_for_afterwards() -> None:
    share = CpuShare(0.1, burst_s=0.004, now=0.0)

    assert share.wait_s(0.05, 0.0) == 0
    share.spend(0.05, 0.0)

    assert share.wait_s(0.05, 0.0) == pytest.approx(0.5)


def test_over_any_time_no_more_is_spent_than_the_share() -> None:
    share, now, spent_s, expected_s = CpuShare(0.1, burst_s=0.004, now=0.0), 0.0, 0.0, 0.001

    while now < 60:
        wait_s = share.wait_s(expected_s, now)
        if wait_s > 0:
            now += max(wait_s, 0.001)
        else:
            share.spend(0.003, now)  # always more than it was expected to
            spent_s += 0.003
            now += 0.003

    assert 0.095 * 60 < spent_s <= 0.1 * now + 0.004 + 0.002


def test_alone_on_the_thread_everything_is_its_own() -> None:
    assert OwnTime().of(0.010, 0.004) == pytest.approx(0.004)


@pytest.mark.parametrize("others", [0.1, 0.5, 0.8])
def test_while_it_awaits_the_others_go_on_as_before(others: float) -> None:
    own_time = OwnTime()
    for _ in range(20):
        own_time.between(1.0, others)

    # 2 ms of work in 10 ms: the others had their part of the 8 ms that were left.
    assert own_time.of(0.010, 0.002 + others * 0.008) == pytest.approx(0.002)
    # It never awaited: nobody else did anything.
    assert own_time.of(0.010, 0.010) == pytest.approx(0.010)


def test_it_is_never_less_than_nothing_nor_more_than_the_thread_worked() -> None:
    own_time = OwnTime()
    own_time.between(10.0, 5.0)

    assert own_time.of(0.010, 0.0) == 0
    assert own_time.of(0.010, 0.011) == 0.011


def test_of_a_thread_that_is_always_busy_something_is_left_to_tell() -> None:
    own_time = OwnTime()
    own_time.between(100.0, 100.0)

    assert own_time.of(0.010, 0.010) == pytest.approx(0.010)
