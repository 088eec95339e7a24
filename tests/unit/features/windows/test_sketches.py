"""Distinct values and quantiles at their limits; how exact they are is in the property tests."""

import math
import sys

import pytest

from inferd.features.windows import distinct, quantiles
from inferd.features.windows.distinct import FEW, REGISTERS, hash_of
from inferd.features.windows.quantiles import MAX_BINS


def test_few_values_are_counted_exactly_and_many_take_a_kilobyte() -> None:
    few = distinct.gather(map(hash_of, range(FEW)))
    many = distinct.add(distinct.fold([few]), hash_of("one more"))

    assert distinct.estimate(few) == FEW
    assert (type(many), len(many)) == (bytearray, REGISTERS)
    assert distinct.estimate(many) == pytest.approx(FEW, rel=0.1)


def test_hashes_come_to_the_same_one_by_one_and_at_once() -> None:
    hashes = [hash_of(number) for number in range(500)]
    # A long run of zeros, the longest, and what a float would round up.
    hashes += [1 << 10, 1 << 11, 7, (1 << 64) - 1]

    state = distinct.gather(hashes[:1])
    for hashed in hashes[1:]:
        state = distinct.add(state, hashed)

    assert state == distinct.gather(hashes)
    assert state == distinct.fold([distinct.gather(hashes[:200]), distinct.gather(hashes[200:])])


def test_numbers_that_are_equal_are_one_value() -> None:
    assert len({hash_of(each) for each in (1, 1.0, True)}) == 1
    assert len({hash_of(each) for each in (0.0, -0.0)}) == 1
    assert len({hash_of(each) for each in (1, 1.5, 2**53, 2**53 + 1, 1e300, "x", b"y")}) == 7


def test_putting_states_together_changes_none_of_them() -> None:
    few = distinct.gather([1, 2])
    many = distinct.gather(map(hash_of, range(2 * FEW)))
    before = set(few), bytes(many)

    distinct.fold([few, many])
    distinct.fold([few, few])

    assert (few, bytes(many)) == before


def test_quantiles_know_both_signs_and_zero() -> None:
    bins = quantiles.gather([-100.0, -1.0, 0.0, 1.0, 100.0])

    read = [quantiles.at(bins, rank / 4) for rank in range(5)]

    assert read == pytest.approx([-100, -1, 0, 1, 100], rel=0.01)


@pytest.mark.parametrize("value", [sys.float_info.max, sys.float_info.min, 5e-324, 2**63])
def test_the_largest_and_the_smallest_floats_have_bins(value: float) -> None:
    for each in (value, -value):
        read = quantiles.at(quantiles.gather([each]), 0.5)
        assert math.isfinite(read)
        assert read == pytest.approx(each, rel=0.01, abs=1e-320)


def test_too_many_bins_spoil_the_lowest_values_only() -> None:
    values = [1.02**power for power in range(2 * MAX_BINS)]
    bins = quantiles.gather(values)

    assert len(bins) == MAX_BINS
    assert quantiles.at(bins, 0.1) > 100 * values[2 * MAX_BINS // 10]
    for share in (0.6, 0.9, 1.0):
        exact = values[int(share * (len(values) - 1))]
        assert quantiles.at(bins, share) == pytest.approx(exact, rel=0.01)
