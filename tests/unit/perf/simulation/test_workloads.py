"""What callers do, and that suites for tuning and for reporting share nothing."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from inferd_perf.simulation.calls import Calls
from inferd_perf.simulation.suites import HELD_OUT, MAIN, SUITES, TUNING, Suite, find
from inferd_perf.simulation.workloads import Rows, Workload


def drawn(workload: Workload, *, rows_per_s: float = 5000.0, seed: int = 1) -> Calls:
    return workload.calls(rows_per_s=rows_per_s, duration_s=2.0, seed=seed)


@pytest.mark.parametrize("name", [name for suite in SUITES.values() for name in suite.entries])
def test_every_workload_asks_for_the_rows_it_should(name: str) -> None:
    workload = find(name).workload

    calls = drawn(workload)

    asked = calls.rows.sum() / 2.0
    assert (np.diff(calls.sent_ns) >= 0).all()
    assert 0 <= calls.sent_ns[0] <= calls.sent_ns[-1] <= 2_000_000_000
    assert asked == pytest.approx(5000.0, rel=0.5)
    assert workload.loads


def test_mixed_deadlines_are_equally_likely_and_name_the_classes() -> None:
    calls = drawn(find("w2").workload)

    assert calls.kinds == ("5 ms", "10 ms", "25 ms", "50 ms", "100 ms")
    assert np.bincount(calls.kind) / len(calls) == pytest.approx([0.2] * 5, abs=0.02)
    assert set(calls.within_ns[calls.kind == 0].tolist()) == {5_000_000}


def test_criticalities_name_the_classes_and_weigh_the_calls() -> None:
    calls = drawn(find("priority").workload)

    assert calls.kinds == ("critical", "sheddable")
    assert (calls.kind == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert set(calls.weight[calls.kind == 0].tolist()) == {10.0}


def test_one_caller_makes_most_of_the_calls_in_bulk() -> None:
    calls = drawn(find("bulk").workload)

    assert calls.named
    assert (calls.caller == 0).mean() == pytest.approx(0.8, abs=0.02)
    assert len(set(calls.caller.tolist())) == 11
    assert not drawn(find("w1").workload).named


def test_keys_cost_what_a_row_costs_on_average() -> None:
    workload = find("w9").workload

    calls = drawn(workload)

    costs = [calls.costs[calls.keys[at]] for at in calls.key.tolist()]
    assert workload.cost == 1.0
    assert np.mean(costs) == pytest.approx(1.0, abs=0.05)


def test_some_requests_are_larger_than_a_batch() -> None:
    calls = drawn(find("w8").workload)

    assert calls.rows.max() > find("w8").machine.max_batch
    assert drawn(find("w8-poison").workload).poison.mean() == pytest.approx(0.01, abs=0.005)


def test_deadlines_do_not_depend_on_what_else_is_drawn() -> None:
    plain = find("w2").workload
    large = replace(plain, rows=(Rows(share=1.0, least=1, most=1),), callers=(0.5, 0.5))

    assert drawn(plain).within_ns.tolist() == drawn(large).within_ns.tolist()


def test_a_seed_is_a_set_of_calls() -> None:
    workload = find("w3").workload

    assert drawn(workload).sent_ns.tolist() == drawn(workload).sent_ns.tolist()
    assert drawn(workload).sent_ns.tolist() != drawn(workload, seed=2).sent_ns.tolist()


@pytest.mark.parametrize(("one", "other"), list(combinations((MAIN, TUNING, HELD_OUT), 2)))
def test_suites_share_no_name_and_no_seed(one: Suite, other: Suite) -> None:
    assert not set(one.entries) & set(other.entries)
    assert not set(one.seeds) & set(other.seeds)


def test_what_is_held_out_has_other_machines_and_other_deadlines_than_what_is_tuned_on() -> None:
    tuned, held = TUNING.entries.values(), HELD_OUT.entries.values()

    assert not {each.machine.name for each in tuned} & {each.machine.name for each in held}
    assert not {each.workload.deadlines_ms for each in tuned} & {
        each.workload.deadlines_ms for each in held
    }


def test_an_unknown_workload_is_an_error_that_names_the_known() -> None:
    with pytest.raises(KeyError, match="w1-10"):
        find("w99")
