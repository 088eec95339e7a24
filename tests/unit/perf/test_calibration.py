"""What the simulator is told of a machine, from what was measured on it."""

from dataclasses import replace

import pytest

from inferd_perf.calibration import (
    Batches,
    Sounding,
    front_of,
    loop_costs_us,
    machine_of,
    slowdown,
    slowed,
)
from inferd_perf.direct import Timed, summary_of

ALONE = [Timed(1, 0.001, 0.02), Timed(2, 0.0015, 0.03), Timed(4, 0.002, 0.2)]
MACHINE = machine_of("m", ALONE, [], 1)


def sounding(
    *,
    answered: int = 1000,
    refused: int = 0,
    loop_s: float = 0.1,
    handover_s: float = 0.0,
    **counts: float,
) -> Sounding:
    """Return a run of ten seconds; `b4=0.5` says that batches of 4 took half a second."""
    seconds = {int(name[1:]): each for name, each in counts.items()}
    return Sounding(
        load=1.0,
        duration_s=10.0,
        answered=answered,
        refused=refused,
        batches=Batches(dict.fromkeys(seconds, 100), seconds),
        handover_s=handover_s,
        loop_s=loop_s,
    )


def test_a_machine_has_the_middle_of_its_direct_runs() -> None:
    assert MACHINE.profile_ms == ((1, 1.0), (2, 1.5), (4, 2.0))
    assert MACHINE.noise == 0.03
    assert (MACHINE.instances, MACHINE.sharing) == (1, 0.0)


def test_instances_share_cores_as_far_as_runs_side_by_side_take_longer() -> None:
    together = [replace(each, median_s=each.median_s * 1.5) for each in ALONE]

    assert machine_of("m", ALONE, together, 2).sharing == pytest.approx(0.5)
    assert machine_of("m", ALONE, together, 3).sharing == pytest.approx(0.25)


def test_instances_on_cores_of_their_own_do_not_speed_each_other_up() -> None:
    together = [replace(each, median_s=each.median_s * 0.9) for each in ALONE]

    assert machine_of("m", ALONE, together, 2).sharing == 0.0


def test_times_are_summed_up_by_their_middle_and_not_by_their_outliers() -> None:
    found = summary_of(8, [0.010, 0.010, 0.010, 0.011, 0.009, 0.5])

    assert found.median_s == 0.010
    assert found.spread < 0.1


def test_batches_are_counted_between_two_moments() -> None:
    before = Batches({1: 5, 2: 1}, {1: 0.5, 2: 0.2})
    after = Batches({1: 5, 2: 3, 4: 1}, {1: 0.5, 2: 0.6, 4: 0.4})

    found = after.since(before)

    assert found.count == {2: 2, 4: 1}
    assert found.seconds == pytest.approx({2: 0.4, 4: 0.4})
    assert found.number == 3
    assert found.total_s == pytest.approx(0.8)
    assert found.rows_each == pytest.approx(8 / 3)


def test_no_batches_have_no_size() -> None:
    assert Batches({}, {}).rows_each is None


def test_runs_are_as_slow_as_their_batches_took_longer_than_alone() -> None:
    # 100 of 1 take 0.1 s alone, 100 of 4 take 0.2 s.
    assert slowdown(MACHINE, sounding(b1=0.15, b4=0.3)) == pytest.approx(1.5)


def test_the_way_to_an_executor_is_part_of_a_run() -> None:
    # 200 batches, each of them half a millisecond on its way.
    found = slowdown(MACHINE, sounding(b1=0.1, b4=0.2, handover_s=0.0005))

    assert found == pytest.approx((0.3 + 0.1) / 0.3)


def test_what_executors_cost_each_other_is_not_counted_twice() -> None:
    machine = replace(MACHINE, instances=2, sharing=0.5)
    # Two at a time, all the time: half as slow again.
    busy = replace(sounding(b4=20.0), batches=Batches({4: 100 * 100}, {4: 20.0}))

    assert slowdown(machine, busy) == pytest.approx(20.0 / (20.0 * 1.5))


def test_a_run_without_batches_says_nothing() -> None:
    assert slowdown(MACHINE, sounding()) == 1.0


def test_a_slower_machine_takes_longer_at_every_size_and_is_otherwise_the_same() -> None:
    found = slowed(MACHINE, 2.0)

    assert found.profile_ms == ((1, 2.0), (2, 3.0), (4, 4.0))
    assert replace(found, profile_ms=MACHINE.profile_ms) == MACHINE


def test_an_answer_and_a_refusal_cost_what_two_loads_tell_apart() -> None:
    light = sounding(answered=1000, loop_s=0.05)  # 50 us each
    heavy = sounding(answered=1000, refused=4000, loop_s=0.05 + 0.08)  # 20 us a refusal

    assert loop_costs_us([heavy, light]) == pytest.approx((50.0, 20.0))


def test_batches_are_taken_off_before_calls_are_charged() -> None:
    light = sounding(answered=1000, loop_s=0.054, b4=0.2)  # 100 batches of 40 us

    assert loop_costs_us([light])[0] == pytest.approx(50.0)


def test_nothing_costs_less_than_nothing() -> None:
    assert loop_costs_us([sounding(loop_s=0.0), sounding(loop_s=0.0, refused=10)]) == (1.0, 1.0)


def test_the_parts_of_a_call_add_up() -> None:
    light = sounding(answered=1000, loop_s=0.1)
    heavy = sounding(answered=1000, refused=1000, loop_s=0.14)

    front = front_of([light, heavy], alone_s=0.0015, run_s=0.001, guard_ms=0.5)

    assert front.receive_us + front.admit_us + front.answer_us == pytest.approx(100.0)
    assert front.receive_us + front.refuse_us == pytest.approx(40.0)
    assert front.round_trip_us == pytest.approx(500.0 - 100.0 - front.dispatch_us)
    assert front.guard_ms == 0.5


def test_a_cheap_refusal_leaves_no_part_of_a_call_below_nothing() -> None:
    light = sounding(answered=1000, loop_s=0.1)
    heavy = sounding(answered=1000, refused=1000, loop_s=0.105)

    front = front_of([light, heavy], alone_s=0.0001, run_s=0.001, guard_ms=0.5)

    parts = (front.receive_us, front.admit_us, front.refuse_us, front.answer_us)
    assert min(parts) > 0
    assert front.round_trip_us == 0.0
    assert front.receive_us + front.refuse_us == pytest.approx(6.0)
