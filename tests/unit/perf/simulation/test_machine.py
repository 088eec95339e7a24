"""How long runs take on a simulated machine."""

from dataclasses import replace
from itertools import islice

import pytest

from inferd_perf.simulation.machine import Machine, Slow, disturbances
from inferd_perf.simulation.suites import AFFINE, MLP_LARGE, PROBE
from support.simulated import PLAIN

STEPS = Machine(name="steps", profile_ms=((1, 2.0), (4, 3.0), (8, 7.0)))


def test_between_the_sizes_of_the_profile_time_is_a_line() -> None:
    assert [STEPS.seconds(rows) * 1000 for rows in (1, 2, 4, 6, 8)] == pytest.approx(
        [2.0, 2.0 + 1 / 3, 3.0, 5.0, 7.0]
    )


def test_below_the_smallest_size_time_is_that_of_the_smallest() -> None:
    machine = Machine(name="late", profile_ms=((4, 3.0), (8, 7.0)))

    assert machine.seconds(1) == machine.seconds(4) == 0.003


def test_a_padded_batch_takes_as_long_as_the_next_size() -> None:
    padded = replace(STEPS, padded=True)

    assert [padded.seconds(rows) for rows in (1, 2, 4, 5)] == [0.002, 0.003, 0.003, 0.007]
    assert [padded.padding(rows) for rows in (1, 2, 4, 5)] == [0, 2, 0, 3]
    assert STEPS.padding(5) == 0


def test_the_capacity_is_that_of_the_best_size_on_all_instances() -> None:
    assert STEPS.rows_per_s == pytest.approx(4 / 0.003)
    assert replace(STEPS, instances=3).rows_per_s == pytest.approx(12 / 0.003)
    assert replace(STEPS, instances=3, sharing=1.0).rows_per_s == pytest.approx(4 / 0.003)


def test_the_machines_have_the_capacities_that_their_issues_speak_of() -> None:
    assert PROBE.rows_per_s == pytest.approx(7191, rel=1e-3)
    assert AFFINE.rows_per_s == pytest.approx(16 / 0.012)
    assert MLP_LARGE.rows_per_s == pytest.approx(64 / 0.014)


def test_slow_phases_multiply_where_they_overlap() -> None:
    machine = replace(
        PLAIN,
        slow=(Slow(from_s=1.0, to_s=3.0, factor=2.0), Slow(from_s=2.0, to_s=4.0, factor=1.5)),
    )

    assert [machine.slowness(at) for at in (0.9, 1.0, 2.5, 3.0, 4.0)] == [1.0, 2.0, 3.0, 1.5, 1.0]


def drawn(machine: Machine, seed: int, executor: int, count: int = 600) -> list[float]:
    return list(islice(disturbances(machine, seed, executor), count))


def test_the_nth_run_of_an_executor_is_disturbed_alike_whatever_went_before() -> None:
    machine = replace(PLAIN, noise=0.1, stall_share=0.05)

    assert drawn(machine, 1, 0) == drawn(machine, 1, 0)
    assert drawn(machine, 1, 0) != drawn(machine, 1, 1)
    assert drawn(machine, 1, 0) != drawn(machine, 2, 0)


def test_stalls_do_not_change_the_noise_of_the_runs_between() -> None:
    calm = drawn(replace(PLAIN, noise=0.1), 1, 0)
    stalling = drawn(replace(PLAIN, noise=0.1, stall_share=0.05, stall_factor=5.0), 1, 0)

    stalls = [at for at, (a, b) in enumerate(zip(calm, stalling, strict=True)) if a != b]

    assert 10 < len(stalls) < 60
    assert all(stalling[at] == pytest.approx(5.0 * calm[at]) for at in stalls)


def test_a_warm_latency_model_knows_every_bucket() -> None:
    latency = PROBE.warm(1)

    for size in PROBE.sizes:
        assert latency.expect(size) == pytest.approx(PROBE.seconds(size), rel=0.05)
